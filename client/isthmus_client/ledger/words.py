"""A ledger in words: tables for a terminal, values for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from isthmus_client.ledger.rows import (
    Changed,
    Committed,
    Finished,
    Mechanism,
    Opened,
    Registered,
    Resent,
    Reserved,
    Row,
)
from isthmus_client.ledger.values import Budget, Standing

_SHORT = 12  # letters of a hash or a data set's name that a table shows
Composed = Mapping[int, float]
"""Epsilon for a person on so many platforms."""


def shown(
    standings: Sequence[Standing], composed: Sequence[Composed], budget: Budget
) -> RenderableType:
    """How every data set stands, and what its spending means for a person on several platforms."""
    head = Text(
        f"Budget: epsilon {budget.epsilon:g} at delta {budget.delta:.3g} for each data set, one "
        "user added or removed, over all time.",
        style="bold",
    )
    if not standings:
        return Group(head, Text("Nothing was charged yet."))
    several = Text(
        "Epsilon of a person on so many platforms, each of which spent as much by itself:"
    )
    return Group(
        head, _standings(standings), several, _composed(standings, composed), Text(_MEANING)
    )


_MEANING = (
    "Spent, held and left: epsilon by privacy loss distributions, for rounds fixed before the "
    "first of them. Filter: the bound by which rounds outside of the plan are judged, however they "
    "were chosen; it starts well above 0. Open: rounds charged of which nothing was committed; "
    "they run now, or crashed. Where platforms share one noise (pooled), a person on several of "
    "them loses more than the second table says: see the run's report."
)


def _standings(standings: Sequence[Standing]) -> Table:
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column("Data set")
    made.add_column("Unit")
    for heading in ("Spent", "Held", "Left", "Filter", "Runs", "Rounds", "Open"):
        made.add_column(heading, justify="right", no_wrap=True)
    for each in standings:
        figures = (each.spent, each.held - each.spent, each.left, each.filter_bound)
        counts = (each.runs, each.rounds, each.rounds - each.committed)
        cells = [
            each.key.data[:_SHORT],
            each.key.unit,
            *(f"{value:.4g}" for value in figures),
            *(f"{value:,}" for value in counts),
        ]
        made.add_row(*map(Text, cells))
    return made


def _composed(standings: Sequence[Standing], composed: Sequence[Composed]) -> Table:
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column("Data set")
    for platforms in composed[0]:
        made.add_column(f"{platforms}", justify="right")
    for standing, values in zip(standings, composed, strict=True):
        cells = [standing.key.data[:_SHORT], *(f"{value:.4g}" for value in values.values())]
        made.add_row(*map(Text, cells))
    return made


def standing_value(standing: Standing, composed: Composed) -> dict[str, Any]:
    """A standing for JSON."""
    return {
        "data": standing.key.data,
        "unit": standing.key.unit,
        "spent": standing.spent,
        "filter_bound": standing.filter_bound,
        "held": standing.held,
        "left": standing.left,
        "runs": standing.runs,
        "rounds": standing.rounds,
        "committed": standing.committed,
        "resent": standing.resent,
        "composed": {str(platforms): value for platforms, value in composed.items()},
    }


def listed(rows: Sequence[Row]) -> Table:
    """Rows, one a line."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column("Row", justify="right")
    for heading in ("Time (UTC)", "What", "Data set", "Run", "Said"):
        made.add_column(heading)
    for row in rows:
        when = datetime.fromtimestamp(row.time, UTC).strftime("%Y-%m-%d %H:%M:%S")
        whose = getattr(row, "data", "")[:_SHORT]
        cells = (f"{row.number}", when, row.kind, whose, getattr(row, "run", ""), said(row))
        made.add_row(*map(Text, cells))
    return made


def said(row: Row) -> str:
    """What a row says, beyond whose and when."""
    match row:
        case Opened() | Changed():
            words = f"budget epsilon {row.epsilon:g}, delta {row.delta:.3g}"
            words += f": {row.reason}" if isinstance(row, Changed) else ""
        case Registered():
            words = f"{row.rounds} rounds of {_mechanism(row.mechanism)}"
        case Finished():
            words = "what its schedules held is free"
        case Reserved():
            words = f"round {row.round}: {_mechanism(row.mechanism)}"
        case Committed():
            words = f"row {row.reservation} gave out {row.fingerprint[:_SHORT]}"
        case Resent():
            words = f"the bytes of row {row.commit} again"
    return words


def _mechanism(found: Mechanism) -> str:
    times = f" x {found.count}" if found.count > 1 else ""
    return f"noise {found.noise_multiplier:g} at rate {found.sampling_rate:g}{times}"
