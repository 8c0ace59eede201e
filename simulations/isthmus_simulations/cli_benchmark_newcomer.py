"""`isthmus benchmark newcomer`: every platform in turn as a newcomer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from isthmus.console import RichProgress
from isthmus.files import write_text
from isthmus.progress import Silent

CORES = os.cpu_count() or 1
DEFAULT_OUT = Path("isthmus-runs/benchmark-newcomer")

ScenarioOption = Annotated[
    str, typer.Option(metavar="NAME,...", help="Built-in scenarios or TOML files.")
]
NewcomersOption = Annotated[
    str,
    typer.Option(
        metavar="NAME,...", help="Platforms that take a turn.", show_default="every platform"
    ),
]
DataOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder of the data sets that scenarios read.")
]
QuickOption = Annotated[bool, typer.Option("--quick", help="The scenarios' small versions.")]
SeedsOption = Annotated[int, typer.Option(min=1, help="Seeds of every newcomer.")]
SeedOption = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="The first seed.")]
WorkersOption = Annotated[
    int,
    typer.Option(min=1, help="Platforms at work at the same time.", show_default="one per core"),
]
OutOption = Annotated[
    Path, typer.Option(metavar="DIR", help="The benchmark's folder; finished cells are kept.")
]
CacheOption = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the item embeddings.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


def newcomer(
    *,
    scenario: ScenarioOption = "journey",
    newcomers: NewcomersOption = "",
    data: DataOption = None,
    quick: QuickOption = False,
    seeds: SeedsOption = 1,
    seed: SeedOption = 7,
    workers: WorkersOption = CORES,
    out: OutOption = DEFAULT_OUT,
    cache: CacheOption = Path(".isthmus-cache"),
    as_json: JsonOption = False,
) -> None:
    """Measure day one: every platform joins in turn after the others have federated.

    The release, as it is and fitted further at home, stands next to what the newcomer can do alone
    with the same users, and to its own model fully trained on all its users. An interrupted
    benchmark goes on where it stopped.

    Example: isthmus benchmark newcomer --scenario journey --quick
    """
    from isthmus_simulations.benchmark_newcomer import Grid, run_grid  # noqa: PLC0415 - PyTorch
    from isthmus_simulations.options import checked  # noqa: PLC0415 - keeps `--help` fast
    from isthmus_simulations.report.newcomers import document, page, render  # noqa: PLC0415

    options = checked(data=data, out=out, cache=cache, seed=seed, quick=quick, workers=workers)
    grid = Grid(_names(scenario), seeds, _names(newcomers), options)
    cells = run_grid(grid, Silent() if as_json else RichProgress())
    text = document(cells)
    write_text(out / "newcomers.html", page(cells))
    write_text(out / "newcomers.json", text)
    if as_json:
        print(text, end="")
        return
    console = Console(highlight=False)
    console.print(render(cells))
    console.print(f"Report: {(out / 'newcomers.html').resolve()}", soft_wrap=True)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
