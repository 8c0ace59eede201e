"""`isthmus benchmark training`: how fast a platform trains on its own machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Console
from rich.table import Table

from isthmus.cli_options import count, file, names, switch
from isthmus.cli_options import seed as seed_option
from isthmus.console import progress_for, publish_json
from isthmus.errors import ScenarioError

if TYPE_CHECKING:
    from isthmus_simulations.benchmark_training import Speed

PLATFORMS = ("grocery", "fresh", "drugstore", "deli", "nutrition")
QUICK_USERS, QUICK_PAIRS = 256, 2

PlatformsOption = Annotated[str, names("Platforms of the scenario journey to train on.")]
UsersOption = Annotated[int, count("Users of a platform, at most.")]
PairsOption = Annotated[int, count("Pairs that count; one more warms up.")]
SeedOption = Annotated[int, seed_option("Draws users and batches.")]
QuickOption = Annotated[bool, switch("--quick", f"{QUICK_USERS} users and {QUICK_PAIRS} pairs.")]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of a table.")]
OutOption = Annotated[Path | None, file("Also write the JSON to this file.")]


def training(
    *,
    platforms: PlatformsOption = "grocery,drugstore,nutrition",
    users: UsersOption = 1024,
    pairs: PairsOption = 3,
    seed: SeedOption = 7,
    quick: QuickOption = False,
    as_json: JsonOption = False,
    out: OutOption = None,
) -> None:
    """Compare local training with a plain PyTorch loop of the same model on the same users.

    The plain loop pads every history to 50 events, uses `nn.TransformerEncoder` and writes out the
    logits of every position. Passes of both run in turn on one thread; a ratio of 2 means twice
    the events per second.

    Example: isthmus benchmark training --quick
    """
    from isthmus_simulations.benchmark_training import (  # noqa: PLC0415 - imports PyTorch
        compare_training,
    )

    found = compare_training(
        _names(platforms),
        users=min(users, QUICK_USERS) if quick else users,
        pairs=min(pairs, QUICK_PAIRS) if quick else pairs,
        seed=seed,
        progress=progress_for(as_json=as_json),
    )
    publish_json({"speeds": [_plain(speed) for speed in found]}, out, as_json=as_json)
    if not as_json:
        _show(found)


def _names(text: str) -> list[str]:
    found = [name.strip() for name in text.split(",")]
    if odd := [name for name in found if name not in PLATFORMS]:
        raise ScenarioError(f"--platforms has {odd}", hint=f"choose from {', '.join(PLATFORMS)}")
    return found


def _plain(speed: Speed) -> dict[str, Any]:
    """As plain values: seconds, speeds and ratios of every pair."""
    return {
        **asdict(speed),
        "ratios": speed.ratios,
        "ratio": speed.ratio,
        "events_per_second": speed.events_per_second(speed.ours),
        "plain_events_per_second": speed.events_per_second(speed.plain),
    }


def _show(found: list[Speed]) -> None:
    from isthmus_simulations.benchmark_training import GOAL  # noqa: PLC0415 - above

    table = Table(title="Events per second of local training over a plain PyTorch loop, 1 thread")
    for heading in ("model", "platform", "users", "events each", "ours", "plain", "ratio"):
        table.add_column(heading, justify="left" if heading in {"model", "platform"} else "right")
    for one in found:
        table.add_row(
            one.model,
            one.platform,
            f"{one.users:,}",
            f"{one.mean_events:.1f}",
            f"{one.events_per_second(one.ours):,.0f}",
            f"{one.events_per_second(one.plain):,.0f}",
            f"{one.ratio:.2f} ({min(one.ratios):.2f} to {max(one.ratios):.2f})",
        )
    console = Console()
    console.print(table)
    missed = [f"{one.model} on {one.platform}" for one in found if one.ratio < GOAL]
    verdict = f"missed by {', '.join(missed)}" if missed else "met everywhere"
    console.print(f"Goal of at least {GOAL:g} times the plain loop: {verdict}")
