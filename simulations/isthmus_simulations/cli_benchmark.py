"""Measure what the federation costs on this computer."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from isthmus.cli_options import CORES, count, file, names, switch, text
from isthmus.console import progress_for, publish_json
from isthmus.errors import ScenarioError
from isthmus_simulations.cli_benchmark_deploy import deploy
from isthmus_simulations.cli_benchmark_dp import dp
from isthmus_simulations.cli_benchmark_ingest import ingest
from isthmus_simulations.cli_benchmark_newcomer import newcomer
from isthmus_simulations.cli_benchmark_privacy import privacy
from isthmus_simulations.cli_benchmark_secagg import secagg
from isthmus_simulations.cli_benchmark_training import training
from isthmus_simulations.cli_benchmark_transfer import transfer

if TYPE_CHECKING:
    from isthmus_simulations.benchmark_rounds import Comparison
    from isthmus_simulations.engines.runner import Engine

app = typer.Typer(
    help="Measure what the federation costs on this computer.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.callback()
def _root() -> None:
    """Measure what the federation costs on this computer."""


app.command()(deploy)
app.command()(dp)
app.command()(ingest)
app.command()(newcomer)
app.command()(privacy)
app.command()(secagg)
app.command()(training)
app.command()(transfer)

PlatformsOption = Annotated[str, text("Numbers of platforms to compare at.", metavar="N,N,...")]
EnginesOption = Annotated[str, names("Engines to compare: memory, ray.")]
RoundsOption = Annotated[int, count("Rounds that count; one more warms up.")]
ParametersOption = Annotated[int, count("Parameters of the shared encoder, at least.")]
StepsOption = Annotated[int, count("Training steps of a platform in a round.")]
UsersOption = Annotated[int, count("Users of a step.")]
ThreadsOption = Annotated[int, count("Platforms at work at the same time.")]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of a table.")]
OutOption = Annotated[Path | None, file("Also write the JSON to this file.")]


@app.command()
def rounds(
    *,
    platforms: PlatformsOption = "2,10,64",
    engines: EnginesOption = "memory,ray",
    rounds: RoundsOption = 3,
    parameters: ParametersOption = 1_000_000,
    steps: StepsOption = 5,
    users: UsersOption = 64,
    threads: ThreadsOption = CORES,
    as_json: JsonOption = False,
    out: OutOption = None,
) -> None:
    """Compare a federated round with a bare PyTorch loop that does the same training steps.

    Both run in turn with equal threads; a ratio of 1 means that messages, checks, receipts and
    checkpoints cost nothing. The fewer the steps, the more they weigh.

    Example: isthmus benchmark rounds --platforms 10 --engines memory --steps 20
    """
    from isthmus_simulations.benchmark_rounds import compare  # noqa: PLC0415 - imports PyTorch
    from isthmus_simulations.benchmark_work import Work  # noqa: PLC0415 - the same

    sizes, carriers = _sizes(platforms), _engines(engines)
    work = Work(parameters=parameters, steps=steps, users=users)
    progress = progress_for(as_json=as_json)
    found = [
        compare(name, size, work=work, rounds=rounds, threads=threads, progress=progress)
        for size in sizes
        for name in carriers
    ]
    publish_json(_document(found, asdict(work), threads), out, as_json=as_json)
    if not as_json:
        _show(found)


def _sizes(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise ScenarioError(
            f"--platforms is {text!r}", hint="give numbers of platforms, such as 2,10,64"
        )
    return [int(part) for part in parts]


def _engines(text: str) -> list[Engine]:
    known: dict[str, Engine] = {"memory": "memory", "ray": "ray"}
    wanted = [name.strip() for name in text.split(",")]
    if odd := [name for name in wanted if name not in known]:
        raise ScenarioError(f"--engines has {odd}", hint="use memory, ray or both: memory,ray")
    return [known[name] for name in wanted]


def _document(found: list[Comparison], work: dict[str, int], threads: int) -> dict[str, Any]:
    """The JSON form: seconds and ratios of every pair."""
    return {
        "work": work,
        "threads": threads,
        "comparisons": [{**asdict(comparison), "ratio": comparison.ratio} for comparison in found],
    }


def _show(found: list[Comparison]) -> None:
    from isthmus_simulations.benchmark_rounds import GOAL, GOAL_PLATFORMS  # noqa: PLC0415 - above

    table = Table(title="A federated round over a bare PyTorch loop of the same steps")
    for heading in ("engine", "platforms", "ratio", "lowest", "highest", "engine s", "bare s"):
        table.add_column(heading, justify="left" if heading == "engine" else "right")
    for one in found:
        table.add_row(
            one.engine,
            str(one.platforms),
            f"{one.ratio:.3f}",
            f"{min(one.ratios):.3f}",
            f"{max(one.ratios):.3f}",
            f"{sum(one.engine_seconds) / len(one.engine_seconds):.2f}",
            f"{sum(one.bare_seconds) / len(one.bare_seconds):.2f}",
        )
    console = Console()
    console.print(table)
    for one in found:
        if (one.engine, one.platforms) == ("memory", GOAL_PLATFORMS):
            verdict = "met" if one.ratio <= GOAL else "missed"
            console.print(f"Goal {verdict}: at most {GOAL} at {GOAL_PLATFORMS} platforms in memory")
