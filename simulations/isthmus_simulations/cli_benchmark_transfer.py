"""`isthmus benchmark transfer`: does the federation help, whom, and does it harm anybody."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from isthmus.console import RichProgress
from isthmus.errors import ScenarioError
from isthmus.progress import Silent

CORES = os.cpu_count() or 1
OUT = Path("isthmus-runs") / "benchmark-transfer"
QUICK_OUT = Path("isthmus-runs") / "benchmark-transfer-quick"

ScenarioOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="A built-in scenario or a TOML file; may be given several times.",
        show_default="journey, trio, markets",
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A scenario file of your own data, besides any --scenario."),
]
SeedsOption = Annotated[
    int | None,
    typer.Option(min=1, max=1000, help="Seeds, from 1 on.", show_default="5; 3 with --quick"),
]
QuickOption = Annotated[bool, typer.Option("--quick", help="The scenarios' small versions.")]
RoundsOption = Annotated[int | None, typer.Option(min=1, help="Rounds of the federation, at most.")]
UsersOption = Annotated[
    int, typer.Option(min=0, help="Users of a platform at most, drawn at random; 0 is all.")
]
TestUsersOption = Annotated[
    int, typer.Option(min=1, help="Test users of a platform and seed at most.")
]
FolderOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the data sets that trio and markets read."),
]
WorkersOption = Annotated[
    int,
    typer.Option(min=1, help="Cells at work at the same time.", show_default="one per core"),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="The benchmark's own folder; finished cells in it are kept.",
        show_default="isthmus-runs/benchmark-transfer",
    ),
]
CacheOption = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the item embeddings.")]
ResumeOption = Annotated[
    bool,
    typer.Option("--resume/--restart", help="Keep the finished cells, or compute all anew."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print transfer.json and nothing else.")]


def transfer(
    *,
    scenario: ScenarioOption = None,
    data: DataOption = None,
    seeds: SeedsOption = None,
    quick: QuickOption = False,
    rounds: RoundsOption = None,
    max_users: UsersOption = 10_000,
    max_test_users: TestUsersOption = 4_000,
    data_folder: FolderOption = None,
    workers: WorkersOption = CORES,
    out: OutOption = None,
    cache: CacheOption = Path(".isthmus-cache"),
    resume: ResumeOption = True,
    as_json: JsonOption = False,
) -> None:
    """Measure whether the federation helps, whom, and whether it harms anybody.

    Every scenario under several seeds: all models on the same test users, the candidate against
    the best that each platform has alone, tests that lean against our own claims, and the goals. An
    interrupted benchmark goes on where it stopped.

    Example: isthmus benchmark transfer --scenario journey --seeds 5 --quick
    """
    from isthmus_simulations.transfer import options as known  # noqa: PLC0415 - keeps --help fast
    from isthmus_simulations.transfer.run import benchmark_transfer  # noqa: PLC0415 - PyTorch
    from isthmus_simulations.transfer.terminal import render  # noqa: PLC0415 - the same

    folder = out or (QUICK_OUT if quick else OUT)
    options = known.checked(
        scenarios=_scenarios(scenario or [], data),
        seeds=seeds or (known.QUICK_SEEDS if quick else known.DEFAULT_SEEDS),
        quick=quick,
        rounds=rounds,
        max_users=max_users,
        max_test_users=max_test_users,
        data_folder=data_folder,
        cache=cache,
        out=folder,
        workers=workers,
        restart=not resume,
    )
    results = benchmark_transfer(options, Silent() if as_json else RichProgress())
    if as_json:
        print(results.to_json(), end="")
        return
    console = Console(highlight=False)
    console.print(render(results))
    console.print(f"Report: {(folder / 'transfer.html').resolve()}", soft_wrap=True)


def _scenarios(named: list[str], own: Path | None) -> tuple[str, ...]:
    """All that were asked for; none means the defaults."""
    if own is not None and own.is_dir():
        raise ScenarioError(
            f"--data {own} is a folder",
            hint="--data is a scenario file of your own; data sets are found by --data-folder",
        )
    return (*named, *([str(own)] if own is not None else []))
