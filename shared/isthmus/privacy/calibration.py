"""The search for the least noise whose epsilon stays within a target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

PRECISION: Final = 5e-4  # relative width at which a search stops
COARSE: Final = 20.0  # the first search's grid is this much wider, and that much cheaper

Loss = Callable[[float, float], float]
"""Epsilon of a noise multiplier, on the grid that suits an epsilon of the second argument."""


def least_noise(loss: Loss, target: float, start: float) -> float:
    """The least noise multiplier whose epsilon is at most `target`, to 0.1 %, and rather above.

    Args:
        loss: falls with the noise. A grid for a larger epsilon overstates it and costs less.
        target: epsilon; above 0.
        start: a first guess; the nearer above the answer, the fewer calls.
    """
    rough = _root(lambda noise: loss(noise, target * COARSE) - target, start)
    fine = _root(lambda noise: loss(noise, target) - target, rough, 1.02)
    return fine * (1 + PRECISION)


def _root(excess: Callable[[float], float], start: float, factor: float = 2.0) -> float:
    """Where a falling function crosses 0, by Brent's method between two signs around `start`."""
    from scipy.optimize import brentq  # noqa: PLC0415 - slow

    high = start
    while excess(high) > 0:
        high *= factor
    low = high / factor
    while excess(low) <= 0:
        low /= factor
    return float(brentq(excess, low, low * factor, rtol=PRECISION, xtol=1e-12))
