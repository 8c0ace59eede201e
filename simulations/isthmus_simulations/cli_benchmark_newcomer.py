"""`isthmus benchmark newcomer`: every platform in turn as a newcomer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from isthmus.cli_options import CORES, DEFAULT_CACHE, count, folder, names, switch
from isthmus.cli_options import seed as seed_option
from isthmus.cli_options import workers as workers_option
from isthmus.console import progress_for, show_result
from isthmus.files import write_text

DEFAULT_OUT = Path("isthmus-runs/benchmark-newcomer")

ScenarioOption = Annotated[str, names("Built-in scenarios or TOML files.")]
NewcomersOption = Annotated[str, names("Platforms that take a turn.", default="every platform")]
DataOption = Annotated[Path | None, folder("Folder of the data sets that scenarios read.")]
QuickOption = Annotated[bool, switch("--quick", "The scenarios' small versions.")]
SeedsOption = Annotated[int, count("Seeds of every newcomer.")]
SeedOption = Annotated[int, seed_option("The first seed.")]
WorkersOption = Annotated[int, workers_option("Platforms at work at the same time.")]
OutOption = Annotated[Path, folder("The benchmark's folder; finished cells are kept.")]
CacheOption = Annotated[Path, folder("Folder of the item embeddings.")]
JsonOption = Annotated[bool, switch("--json", "Print JSON and nothing else.")]


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
    cache: CacheOption = DEFAULT_CACHE,
    as_json: JsonOption = False,
) -> None:
    """Measure day one: every platform joins in turn after the others have federated.

    The release, as it is and with what is added at home, stands next to what the newcomer can do
    alone with the same users, and to its own model fully trained on all its users. An interrupted
    benchmark goes on where it stopped.

    Example: isthmus benchmark newcomer --scenario journey --quick
    """
    from isthmus_simulations.benchmark_newcomer import Grid, run_grid  # noqa: PLC0415 - PyTorch
    from isthmus_simulations.options import checked  # noqa: PLC0415 - keeps `--help` fast
    from isthmus_simulations.report.newcomers import document, page, render  # noqa: PLC0415

    options = checked(data=data, out=out, cache=cache, seed=seed, quick=quick, workers=workers)
    grid = Grid(_names(scenario), seeds, _names(newcomers), options)
    cells = run_grid(grid, progress_for(as_json=as_json))
    text = document(cells)
    write_text(out / "newcomers.html", page(cells))
    write_text(out / "newcomers.json", text)
    if as_json:
        print(text, end="")
        return
    show_result(render(cells), out / "newcomers.html")


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
