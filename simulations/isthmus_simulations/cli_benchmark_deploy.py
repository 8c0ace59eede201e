"""`isthmus benchmark deploy`: what real processes, TLS and secure aggregation add to a round."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from isthmus.cli_options import count, file, switch
from isthmus.console import progress_for, publish_json
from isthmus.errors import ScenarioError

if TYPE_CHECKING:
    from isthmus_simulations.benchmark_deploy import Rounds

DirOption = Annotated[
    Path, typer.Option("--dir", metavar="DIR", help="Where the processes' files are meanwhile.")
]
RoundsOption = Annotated[int, count("Rounds of each way; the first one is left out.", least=2)]
StockOption = Annotated[
    int, count("Rounds with Flower's own loop, which is slow; 0 leaves them out.", least=0)
]
TinyOption = Annotated[bool, switch("--tiny", "The tiny encoder alone.")]
KeepOption = Annotated[bool, switch("--keep-files", "Keep the folder, with all logs.")]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of a table.")]
OutOption = Annotated[Path | None, file("Also write the JSON to this file.")]


def deploy(
    *,
    folder: DirOption = Path("isthmus-benchmark-deploy"),
    rounds: RoundsOption = 8,
    stock_rounds: StockOption = 3,
    tiny: TinyOption = False,
    keep_files: KeepOption = False,
    as_json: JsonOption = False,
    out: OutOption = None,
) -> None:
    """Measure seconds a round of three real clients on loopback, next to the same rounds in memory.

    A server and three platforms as real processes, with TLS, node authentication and a database;
    with and without secure aggregation; a tiny encoder and one of a million parameters; then the
    same with Flower's own SuperNode loop, which starts a process for each message.

    Example: isthmus benchmark deploy --rounds 8
    """
    from isthmus_simulations.benchmark_deploy import ENCODERS, measure  # noqa: PLC0415 - slow

    if folder.exists():
        raise ScenarioError(f"{folder} is there already", hint="remove it, or name another: --dir")
    if stock_rounds == 1:
        raise ScenarioError("--stock-rounds is 1, but the first round is left out")
    encoders = ["tiny"] if tiny else [*ENCODERS]
    progress = progress_for(as_json=as_json)
    found = measure(
        folder, encoders=encoders, rounds=rounds, stock_rounds=stock_rounds, progress=progress
    )
    if not keep_files:
        shutil.rmtree(folder)
    publish_json({"ways": [_plain(each, found) for each in found]}, out, as_json=as_json)
    if not as_json:
        _show(found)


def _memory(of: Rounds, found: list[Rounds]) -> Rounds:
    return next(each for each in found if (each.encoder, each.way) == (of.encoder, "memory"))


def _plain(each: Rounds, found: list[Rounds]) -> dict[str, Any]:
    memory = _memory(each, found).median
    return {
        **asdict(each),
        "median": each.median,
        "overhead": each.median - memory,
        "ratio": each.median / memory,
    }


def _show(found: list[Rounds]) -> None:
    from isthmus_simulations.benchmark_deploy import GOALS  # noqa: PLC0415 - slow

    table = Table(title="A round of three platforms, seconds on the server")
    headings = ("encoder", "parameters", "way", "median\nround", "over\nmemory", "ratio", "first")
    for place, heading in enumerate((*headings, "up\nkB", "down\nkB")):
        table.add_column(heading, justify="left" if place in (0, 2) else "right")
    for each in sorted(found, key=lambda one: (one.parameters, one.median)):
        told = _plain(each, found)
        table.add_row(
            each.encoder,
            f"{each.parameters:,}",
            each.way,
            f"{each.median:.3f}",
            f"{told['overhead']:.3f}",
            f"{told['ratio']:.1f}",
            f"{each.first:.2f}",
            f"{each.bytes_up / 1e3:,.1f}",
            f"{each.bytes_down / 1e3:,.1f}",
        )
    console = Console()
    console.print(table)
    for each in found:
        if (goal := GOALS.get(each.way)) is not None:
            over = _plain(each, found)["overhead"]
            verdict = "met" if over <= goal else "missed"
            console.print(f"Goal {verdict}: {each.way}, {each.encoder}: {over:.2f} of {goal} s")
