"""`isthmus benchmark transfer`: does the federation help, whom, and does it harm anybody."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from isthmus.cli_options import CORES, DEFAULT_CACHE, count, file, folder, switch, text
from isthmus.cli_options import workers as workers_option
from isthmus.console import progress_for, show_result
from isthmus.errors import ScenarioError

OUT = Path("isthmus-runs") / "benchmark-transfer"
QUICK_OUT = Path("isthmus-runs") / "benchmark-transfer-quick"

ScenarioOption = Annotated[
    list[str] | None,
    text(
        "A built-in scenario or a TOML file; may be given several times.",
        default="journey, trio, markets",
        metavar="NAME",
    ),
]
DataOption = Annotated[
    Path | None, file("A scenario file of your own data, besides any --scenario.")
]
SeedsOption = Annotated[
    int | None, text("Seeds, from 1 on.", default="5; 3 with --quick", min=1, max=1000)
]
QuickOption = Annotated[bool, switch("--quick", "The scenarios' small versions.")]
RoundsOption = Annotated[int | None, count("Rounds of the federation, at most.")]
UsersOption = Annotated[
    int, count("Users of a platform at most, drawn at random; 0 is all.", least=0)
]
TestUsersOption = Annotated[int, count("Test users of a platform and seed at most.")]
WindowsOption = Annotated[
    int,
    text(
        "Windows that the gates look at; 2 takes twice the work where events have times.",
        min=1,
        max=2,
    ),
]
FolderOption = Annotated[Path | None, folder("Folder of the data sets that trio and markets read.")]
WorkersOption = Annotated[int, workers_option("Cells at work at the same time.")]
OutOption = Annotated[
    Path | None,
    folder(
        "The benchmark's own folder; finished cells in it are kept.",
        default="isthmus-runs/benchmark-transfer",
    ),
]
CacheOption = Annotated[Path, folder("Folder of the item embeddings.")]
ResumeOption = Annotated[
    bool, switch("--resume/--restart", "Keep the finished cells, or compute all anew.")
]
JsonOption = Annotated[bool, switch("--json", "Print transfer.json and nothing else.")]


def transfer(
    *,
    scenario: ScenarioOption = None,
    data: DataOption = None,
    seeds: SeedsOption = None,
    quick: QuickOption = False,
    rounds: RoundsOption = None,
    max_users: UsersOption = 10_000,
    max_test_users: TestUsersOption = 2_500,
    windows: WindowsOption = 1,
    data_folder: FolderOption = None,
    workers: WorkersOption = CORES,
    out: OutOption = None,
    cache: CacheOption = DEFAULT_CACHE,
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

    place = out or (QUICK_OUT if quick else OUT)
    options = known.checked(
        scenarios=_scenarios(scenario or [], data),
        seeds=seeds or (known.QUICK_SEEDS if quick else known.DEFAULT_SEEDS),
        quick=quick,
        rounds=rounds,
        max_users=max_users,
        max_test_users=max_test_users,
        windows=windows,
        data_folder=data_folder,
        cache=cache,
        out=place,
        workers=workers,
        restart=not resume,
    )
    results = benchmark_transfer(options, progress_for(as_json=as_json))
    if as_json:
        print(results.to_json(), end="")
        return
    show_result(render(results), place / "transfer.html")


def _scenarios(named: list[str], own: Path | None) -> tuple[str, ...]:
    """All that were asked for; none means the defaults."""
    if own is not None and own.is_dir():
        raise ScenarioError(
            f"--data {own} is a folder",
            hint="--data is a scenario file of your own; data sets are found by --data-folder",
        )
    return (*named, *([str(own)] if own is not None else []))
