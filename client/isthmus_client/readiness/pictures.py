"""The geometry of a report's pictures; the page draws them as inline SVG.

All are 640 x 200 of their own units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from isthmus_client.readiness.results import Day, Distribution, Readiness
from isthmus_client.readiness.words import number

LEFT, RIGHT, TOP, BOTTOM = 56.0, 632.0, 12.0, 168.0
MOST_BARS = 180  # of days; more become weeks or months


@dataclass(frozen=True)
class Bar:
    """A rectangle with what it stands for.

    Attributes:
        kind: a behaviour, or "" where bars are of one kind.
    """

    x: float
    y: float
    width: float
    height: float
    tip: str
    kind: str = ""


@dataclass(frozen=True)
class Picture:
    """Bars and ticks, which are (place, label)."""

    bars: tuple[Bar, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of its bars, each once."""
        return tuple(dict.fromkeys(bar.kind for bar in self.bars if bar.kind))


def days(report: Readiness) -> Picture | None:
    """Events per day, stacked by behaviour; per month where there are too many days."""
    found = report.statistics
    if not found.by_day:
        return None
    first = date.fromisoformat(found.by_day[0].day)
    if found.days <= MOST_BARS:
        places = [(date.fromisoformat(day.day) - first).days for day in found.by_day]
        return _stacked(found.by_day, places, found.days)
    months = [_month(day.day) for day in found.by_month]
    return _stacked(
        found.by_month, [each - months[0] for each in months], months[-1] - months[0] + 1
    )


def _month(name: str) -> int:
    """Months since the year 0."""
    year, month = name.split("-")
    return 12 * int(year) + int(month) - 1


def _stacked(columns: Sequence[Day], places: Sequence[int], slots: int) -> Picture:
    top = max(column.total for column in columns)
    width = (RIGHT - LEFT) / slots
    bars = []
    for column, place in zip(columns, places, strict=True):
        level = BOTTOM
        for kind, count in column.events.items():
            height = (BOTTOM - TOP) * count / top
            level -= height
            tip = f"{column.day}: {count:,} {kind}"
            bars.append(Bar(LEFT + width * place, level, width * 0.86, height, tip, kind))
    ends = [(LEFT, columns[0].day), (RIGHT, columns[-1].day)]
    return Picture(tuple(bars), tuple(ends), _levels(top))


def behaviours(report: Readiness) -> Picture | None:
    """Events per behaviour."""
    found = report.statistics.behaviours
    if not found:
        return None
    return _bars(list(found), list(found.values()), kinds=list(found))


def histogram(found: Distribution, unit: str) -> Picture | None:
    """A distribution's bins.

    Args:
        found: of anything.
        unit: what the values are, for tips: "events".
    """
    if not found.bins:
        return None
    edges = [number(edge) for edge in found.edges]
    ranges = [f"{low} to {high} {unit}" for low, high in pairwise(edges)]
    made = _bars(ranges, list(found.bins), kinds=[""] * len(ranges))
    step = (RIGHT - LEFT) / len(found.bins)
    every = -(-len(edges) // 12)
    ticks = [(LEFT + step * place, edge) for place, edge in enumerate(edges)][::every]
    return Picture(made.bars, tuple(ticks), made.y_ticks)


def _bars(names: Sequence[str], counts: Sequence[int], *, kinds: Sequence[str]) -> Picture:
    top, step = max(*counts, 1), (RIGHT - LEFT) / len(names)
    bars, ticks = [], []
    for place, (name, count) in enumerate(zip(names, counts, strict=True)):
        height = (BOTTOM - TOP) * count / top
        x = LEFT + step * place
        bars.append(
            Bar(x + step * 0.07, BOTTOM - height, step * 0.86, height, f"{name}: {count:,}",
                kinds[place])
        )  # fmt: skip
        ticks.append((x + step / 2, name))
    return Picture(tuple(bars), tuple(ticks), _levels(top))


def _levels(top: int) -> tuple[tuple[float, str], ...]:
    """The zero line, the half and the top."""
    values = sorted({0, top // 2, top})
    return tuple((BOTTOM - (BOTTOM - TOP) * value / top, f"{value:,}") for value in values)
