"""The search for the least noise whose epsilon stays within a target."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

PRECISION: Final = 1e-3  # relative width within which the least noise is found
LEAST_NOISE: Final = 0.1  # with less, a guarantee would rest on not being sampled alone
_TRIES: Final = 12

Loss = Callable[[float], float]
"""Epsilon of a noise multiplier; falls with it."""


def least_noise(exact: Loss, rough: Loss, target: float, start: float) -> float:
    """The least noise multiplier whose exact epsilon is at most `target`, to 0.1 %; 0.1 or more.

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
        if 1 - PRECISION <= factor <= 1 or (factor <= 1 and noise == LEAST_NOISE):
            return noise
        noise = max(noise * factor * (1 + PRECISION / 4), LEAST_NOISE)  # aims a little above
    step = PRECISION
    while exact(noise) > target:
        noise, step = noise * (1 + step), 2 * step
    return noise


def _steepness(loss: Loss, noise: float) -> float:
    """By what power of the noise epsilon falls."""
    step = 1.05
    here, there = loss(noise), loss(noise * step)
    return math.log(here / there) / math.log(step) if here > there > 0 else 1.0


def _root(excess: Loss, start: float) -> float:
    """Where a falling function crosses 0: by halves from above, then by Brent's method.

    The least noise that is considered, if it does not get there.
    """
    from scipy.optimize import brentq  # noqa: PLC0415 - slow

    high = max(start, LEAST_NOISE)
    while excess(high) > 0:
        high *= 2
    low = high / 2
    while low > LEAST_NOISE and excess(low) <= 0:
        low, high = low / 2, low
    if low <= LEAST_NOISE and excess(LEAST_NOISE) <= 0:
        return LEAST_NOISE
    return float(brentq(excess, low, high, rtol=PRECISION, xtol=1e-12))
