"""`isthmus benchmark training`: how fast a platform trains on its own machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from isthmus.console import RichProgress
from isthmus.errors import ScenarioError
from isthmus.files import write_text
from isthmus.progress import Silent

if TYPE_CHECKING:
    from isthmus_simulations.benchmark_training import Speed

PLATFORMS = ("grocery", "fresh", "drugstore", "deli", "nutrition")
QUICK_USERS, QUICK_PAIRS = 256, 2

PlatformsOption = Annotated[
    str, typer.Option(metavar="NAME,...", help="Platforms of the scenario journey to train on.")
]
UsersOption = Annotated[int, typer.Option(min=1, help="Users of a platform, at most.")]
PairsOption = Annotated[int, typer.Option(min=1, help="Pairs that count; one more warms up.")]
SeedOption = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Draws users and batches.")]
QuickOption = Annotated[
    bool, typer.Option("--quick", help=f"{QUICK_USERS} users and {QUICK_PAIRS} pairs.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
OutOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Also write the JSON to this file.")
]


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
        progress=Silent() if as_json else RichProgress(),
    )
    document = json.dumps({"speeds": [_plain(speed) for speed in found]}, indent=2)
    if out is not None:
        write_text(out, document + "\n")
    if as_json:
        print(document)
    else:
        _show(found)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if odd := [name for name in names if name not in PLATFORMS]:
        raise ScenarioError(f"--platforms has {odd}", hint=f"choose from {', '.join(PLATFORMS)}")
    return names


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
