"""`isthmus benchmark privacy`: what differential privacy costs, and what it buys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from isthmus.cli_options import CORES, DEFAULT_CACHE, count, folder, names, switch, text
from isthmus.cli_options import workers as workers_option
from isthmus.console import progress_for, show_result
from isthmus.errors import ScenarioError

if TYPE_CHECKING:
    from isthmus_simulations.price.options import PrivateTrust

OUT = Path("isthmus-runs") / "benchmark-privacy"
QUICK_OUT = Path("isthmus-runs") / "benchmark-privacy-quick"

ScenarioOption = Annotated[
    list[str] | None,
    text(
        "A built-in scenario or a TOML file; may be given several times.",
        default="trio",
        metavar="NAME",
    ),
]
EpsilonsOption = Annotated[
    str | None,
    text(
        "Epsilons of the private runs; training without noise is always beside them.",
        default="8,4,2,1; 8,2 with --quick",
        metavar="E,E,...",
    ),
]
TrustOption = Annotated[str, names("Trust modes of the private federations: pooled, local.")]
SeedsOption = Annotated[int, count("Seeds, from 1 on.")]
QuickOption = Annotated[
    bool, switch("--quick", "Short training plans, two epsilons, 3 000 users of a platform.")
]
RoundsOption = Annotated[
    int | None, count("Rounds of the federation without privacy.", default="the plan's own")
]
PrivateRoundsOption = Annotated[
    int | None, count("Rounds of the private runs.", default="the private plan's own")
]
BatchOption = Annotated[
    int | None,
    count("Users that a private round samples in expectation.", default="the private plan's own"),
]
UsersOption = Annotated[
    int | None,
    count(
        "Users of a platform at most, drawn at random; 0 is all.",
        least=0,
        default="0; 3000 with --quick",
    ),
]
TestUsersOption = Annotated[int, count("Test users of a platform at most.")]
FolderOption = Annotated[Path | None, folder("Folder of the data sets that scenarios read.")]
WorkersOption = Annotated[int, workers_option("Trainings at work at the same time.")]
OutOption = Annotated[
    Path | None,
    folder(
        "The benchmark's own folder; finished trainings in it are kept.",
        default="isthmus-runs/benchmark-privacy",
    ),
]
CacheOption = Annotated[Path, folder("Folder of the item embeddings.")]
ResumeOption = Annotated[
    bool, switch("--resume/--restart", "Keep the finished trainings, or compute all anew.")
]
JsonOption = Annotated[bool, switch("--json", "Print price.json and nothing else.")]


def privacy(
    *,
    scenario: ScenarioOption = None,
    epsilons: EpsilonsOption = None,
    trust: TrustOption = "pooled,local",
    seeds: SeedsOption = 1,
    quick: QuickOption = False,
    rounds: RoundsOption = None,
    private_rounds: PrivateRoundsOption = None,
    private_batch: BatchOption = None,
    max_users: UsersOption = None,
    max_test_users: TestUsersOption = 2_500,
    data_folder: FolderOption = None,
    workers: WorkersOption = CORES,
    out: OutOption = None,
    cache: CacheOption = DEFAULT_CACHE,
    resume: ResumeOption = True,
    as_json: JsonOption = False,
) -> None:
    """Measure what differential privacy costs in quality, and what it buys.

    The federation without privacy, its private twins at every epsilon in both trust modes, each
    platform's own private training, the rounds without noise, the untrained prior; a membership
    attack on all; epsilon for persons on several platforms and against colluders; goals. An
    interrupted benchmark goes on where it stopped.

    Example: isthmus benchmark privacy --scenario trio --epsilons 8,2 --quick
    """
    from isthmus_simulations.price import options as known  # noqa: PLC0415 - keeps --help fast
    from isthmus_simulations.price.run import PAGE, benchmark_privacy  # noqa: PLC0415 - PyTorch
    from isthmus_simulations.price.terminal import render  # noqa: PLC0415 - the same

    place = out or (QUICK_OUT if quick else OUT)
    usual = known.QUICK_EPSILONS if quick else known.EPSILONS
    options = known.PriceOptions(
        out=place,
        scenarios=tuple(scenario or known.DEFAULT_SCENARIOS),
        seeds=seeds,
        trusts=_trusts(trust),
        epsilons=usual if epsilons is None else _epsilons(epsilons),
        quick=quick,
        rounds=rounds,
        private_rounds=private_rounds,
        private_batch=private_batch,
        max_users=(known.QUICK_USERS if quick else 0) if max_users is None else max_users,
        max_test_users=max_test_users,
        data_folder=data_folder,
        cache=cache,
        workers=workers,
        restart=not resume,
    )
    results = benchmark_privacy(options, progress_for(as_json=as_json))
    if as_json:
        print(results.to_json(), end="")
        return
    show_result(render(results), place / PAGE)


def _epsilons(listed: str) -> tuple[float, ...]:
    """Different epsilons, largest first."""
    try:
        return tuple(sorted({float(part) for part in listed.split(",")}, reverse=True))
    except ValueError:
        raise ScenarioError(
            f"--epsilons is {listed!r}", hint="give numbers with commas between them: 8,4,2,1"
        ) from None


def _trusts(listed: str) -> tuple[PrivateTrust, ...]:
    """Different trust modes in the order given."""
    known: dict[str, PrivateTrust] = {"pooled": "pooled", "local": "local"}
    wanted = list(dict.fromkeys(part.strip() for part in listed.split(",")))
    if odd := [name for name in wanted if name not in known]:
        raise ScenarioError(f"--trust has {odd}", hint="use pooled, local or both: pooled,local")
    return tuple(known[name] for name in wanted)
