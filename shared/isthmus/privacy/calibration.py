"""The search for the least noise whose epsilon stays within a target."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

PRECISION: Final = 1e-3  # relative width within which the least noise is found
_TRIES: Final = 12

Loss = Callable[[float], float]
"""Epsilon of a noise multiplier; falls with it."""


def least_noise(exact: Loss, rough: Loss, target: float, start: float) -> float:
    """The least noise multiplier whose exact epsilon is at most `target`, to 0.1 %.

    Args:
        exact: what is promised; called two or three times.
        rough: near it and cheap; says where to look, and nothing more.
        target: epsilon; above 0.
        start: a first guess; the nearer above the answer, the fewer calls.
    """
    noise = _root(lambda tried: rough(tried) - target, start)
    slope = max(1.0, _steepness(rough, noise))
    for _ in range(_TRIES):
        found = exact(noise)
        factor = (found / target) ** (1 / slope)
        if 1 - PRECISION <= factor <= 1:
            return noise
        noise *= factor * (1 + PRECISION / 4)  # aims a little above the answer
    while exact(noise) > target:
        noise *= 1 + PRECISION
    return noise


def _steepness(loss: Loss, noise: float) -> float:
    """By what power of the noise epsilon falls."""
    step = 1.05
    here, there = loss(noise), loss(noise * step)
    return math.log(here / there) / math.log(step) if here > there > 0 else 1.0


def _root(excess: Loss, start: float) -> float:
    """Where a falling function crosses 0: by halves from above, then by Brent's method."""
    from scipy.optimize import brentq  # noqa: PLC0415 - slow

    high = start
    while excess(high) > 0:
        high *= 2
    low = high / 2
    while excess(low) <= 0:
        low /= 2
    return float(brentq(excess, low, 2 * low, rtol=PRECISION, xtol=1e-12))
