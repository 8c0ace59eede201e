"""Axes: where a value stands, and which values are worth a tick."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """A linear map from `low..high` to `start..stop`; values outside are held at the ends."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """The place of a value, to a hundredth of a unit."""
        if self.high == self.low:
            return round((self.start + self.stop) / 2, 2)
        share = min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))
        return round(self.start + share * (self.stop - self.start), 2)

    def holds(self, value: float) -> bool:
        """Whether the value lies on the axis."""
        return self.low <= value <= self.high

    def ticks(self, about: int = 4) -> list[float]:
        """Round values on the axis, `about` so many."""
        return ticks(self.low, self.high, about)


def padded(values: Iterable[float], start: float, stop: float, pad: float = 0.06) -> Scale:
    """A scale that holds all values with some air; 0 to 1 where there are none."""
    held = list(values) or [0.0, 1.0]
    low, high = min(held), max(held)
    air = (high - low or abs(high) or 1.0) * pad
    return Scale(low - air, high + air, start, stop)


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten in `low..high`; at least one where it is wide."""
    rough = (high - low) / max(1, about)
    if not rough > 0:
        return [low]
    coarse, fine = _round_steps(rough)
    return _multiples(coarse, low, high) or _multiples(fine, low, high)


def _multiples(step: float, low: float, high: float) -> list[float]:
    """All in `low..high`."""
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _round_steps(rough: float) -> tuple[float, float]:
    """1, 2 or 5 times a power of ten: the next that is not below `rough`, and the one before it."""
    power = 10.0 ** math.floor(math.log10(rough))
    steps = [m * power for m in (0.5, 1, 2, 5, 10)]
    place = next(i for i, step in enumerate(steps) if i and step >= rough * (1 - 1e-9))
    return steps[place], steps[place - 1]


def spread(places: list[float], gap: float, low: float, high: float) -> list[float]:
    """Move labels apart to at least `gap` while keeping their order and staying in `low..high`.

    Returns:
        New places in the order given.
    """
    order = sorted(range(len(places)), key=places.__getitem__)
    moved = [0.0] * len(places)
    floor = low
    for index in order:
        moved[index] = max(places[index], floor)
        floor = moved[index] + gap
    ceiling = high
    for index in reversed(order):
        moved[index] = round(min(moved[index], ceiling), 2)
        ceiling = moved[index] - gap
    return moved
