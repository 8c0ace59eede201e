"""`isthmus benchmark dp`: what differential privacy costs a training step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Console
from rich.table import Table

from isthmus.cli_options import count, file, switch, text
from isthmus.cli_options import seed as seed_option
from isthmus.console import progress_for, publish_json
from isthmus.encoder_config import PRIVATE_ADAPTER_WIDTH, EncoderConfig
from isthmus.errors import ScenarioError

if TYPE_CHECKING:
    from isthmus_simulations.benchmark_dp import Cost

QUICK_ROUNDS, QUICK_USERS = 2, 64

BatchesOption = Annotated[str, text("Users of the logical batches.", metavar="N,N,...")]
NegativesOption = Annotated[int, count("Negatives that a step shares.")]
WidthOption = Annotated[
    int, count("Leading numbers of a content vector that the adapters read; all are 384.")
]
RoundsOption = Annotated[int, count("Rounds of steps that count; one more warms up.")]
MemoryOption = Annotated[
    bool, text("Measure peak memory too, each in a process of its own.", default=True)
]
SeedOption = Annotated[int, seed_option("Draws users, items and content.")]
QuickOption = Annotated[
    bool, switch("--quick", f"{QUICK_USERS} users, {QUICK_ROUNDS} rounds, no memory.")
]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of a table.")]
OutOption = Annotated[Path | None, file("Also write the JSON to this file.")]


def dp(
    *,
    batches: BatchesOption = "64,256,1024",
    negatives: NegativesOption = 512,
    adapter_width: WidthOption = PRIVATE_ADAPTER_WIDTH,
    rounds: RoundsOption = 5,
    memory: MemoryOption = True,
    seed: SeedOption = 7,
    quick: QuickOption = False,
    as_json: JsonOption = False,
    out: OutOption = None,
) -> None:
    """Compare a private training step with steps without privacy, and with Opacus.

    Private is: every user's gradient clipped, summed, noised. Its twin is our own training without
    privacy over the same micro-batches; autograd is the same loss as one writes it first. Steps of
    all run in turn on one thread.

    Example: isthmus benchmark dp --quick
    """
    from isthmus_simulations.benchmark_dp import compare_dp  # noqa: PLC0415 - imports PyTorch

    found = compare_dp(
        [QUICK_USERS] if quick else _sizes(batches),
        negatives=negatives,
        adapter_width=_width(adapter_width),
        rounds=min(rounds, QUICK_ROUNDS) if quick else rounds,
        seed=seed,
        memory=memory and not quick,
        progress=progress_for(as_json=as_json),
    )
    report = {"adapter_width": adapter_width, "batches": [_plain(cost) for cost in found]}
    publish_json(report, out, as_json=as_json)
    if not as_json:
        _show(found)


def _sizes(given: str) -> list[int]:
    parts = given.split(",")
    if not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise ScenarioError(
            f"--batches is {given!r}", hint="give numbers of users, such as 64,256,1024"
        )
    return [int(part) for part in parts]


def _width(given: int) -> int:
    most = EncoderConfig().content
    if given > most:
        raise ScenarioError(
            f"--adapter-width is {given}", hint=f"a content vector has {most} numbers"
        )
    return given


def _plain(cost: Cost) -> dict[str, Any]:
    """As plain values: the ratios, and all that they are made of."""
    from isthmus_simulations.benchmark_dp import GOALS  # noqa: PLC0415 - above

    return {
        "users": cost.users,
        **cost.figures,
        "missed": [n for n, f in cost.figures.items() if not GOALS[n].met(f, cost.users)],
        "seconds": dict(cost.seconds),
        "noise_seconds": cost.noise,
        "ledger_seconds": cost.ledger,
        "megabytes": dict(cost.megabytes),
    }


def _show(found: list[Cost]) -> None:
    from isthmus_simulations.benchmark_dp import GOALS  # noqa: PLC0415 - above

    table = Table(title="A private training step, 1 thread; * where the goal is missed")
    table.add_column("figure")
    table.add_column("goal")
    for cost in found:
        table.add_column(f"{cost.users:,} users", justify="right")
    for name, goal in GOALS.items():
        table.add_row(name.replace("_", " "), str(goal), *(_cell(cost, name) for cost in found))
    Console().print(table)


def _cell(cost: Cost, name: str) -> str:
    from isthmus_simulations.benchmark_dp import GOALS  # noqa: PLC0415 - above

    if name not in cost.figures:
        return "-"
    figure = cost.figures[name]
    return f"{figure:.3f}{'' if GOALS[name].met(figure, cost.users) else ' *'}"
