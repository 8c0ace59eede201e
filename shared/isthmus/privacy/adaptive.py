"""Adaptive clipping: the clipping norm follows a quantile of the users' gradient norms.

After each round the norm becomes `C exp(-RATE (b - quantile))`, b being the noised share of users
whose gradient was within it (Andrew, Thakkar, McMahan and Ramaswamy 2021, Differentially Private
Learning with Adaptive Clipping).

How it is paid for. Each user adds one vector: the clipped gradient, and one coordinate more that
holds `BIT C (1[within] - 1/2)`. That coordinate is `BIT C / 2` long, so gradients are clipped to
`C sqrt(1 - BIT² / 4)`, and the vector is never longer than C. Sensitivity, noise and event are
those of a fixed norm, with d + 1 coordinates on the grid; the price is a gradient that is 0.13 %
shorter, and nothing is added to epsilon.

Why schedules stay valid. A round's noise is a multiple of the round's own C, so that what it costs
does not depend on C: rounds may be registered before the first one, and whoever sends a platform
another C, a lying server too, learns no more. The norm moves once in a round, on the server, from
what was released; within a round it is one constant, whatever the number of micro-batches.
"""

from __future__ import annotations

import math
from typing import Final

WITHIN: Final = ".within"  # tensor of the coordinate; no parameter's name begins with a dot
BIT: Final = 0.1  # clipping norms between the two values of the coordinate
RATE: Final = 0.2  # of the norm's logarithm, in a round; as in the paper
LOWEST: Final = 1e-9  # a norm; below, sums in float32 lose more than the grid allows for
HIGHEST: Final = 1e9  # a norm; the same above


def gradient_norm(clipping_norm: float) -> float:
    """What gradients are clipped to where the coordinate takes its share of the norm."""
    return clipping_norm * math.sqrt(1.0 - BIT**2 / 4.0)


def encoded(within: float, users: int, clipping_norm: float) -> float:
    """The coordinate's sum over the users of a sample.

    Args:
        within: users whose gradient was no longer than `gradient_norm`.
        users: of the sample.
        clipping_norm: C, the round's.

    Guarantees:
        One user more or less moves it by `BIT C / 2` at most. It is private until it is noised.
    """
    return BIT * clipping_norm * (within - users / 2.0)


def decoded(mean: float, clipping_norm: float) -> float:
    """The share of users within the norm.

    Args:
        mean: the coordinate's noised sum over the expected users, a constant.
        clipping_norm: C of the round that it is from.

    Returns:
        A share that noise may carry below 0 or above 1. Where samples are `a` times as large as
        expected, it is `a` times as far from one half as the true share.
    """
    return mean / (BIT * clipping_norm) + 0.5


def moved(clipping_norm: float, share: float, quantile: float) -> float:
    """The next round's norm.

    One round moves it by a factor of exp(0.2) at most, however loud the noise; the limits are
    symmetrical, so that they do not pull it to one side.

    Args:
        clipping_norm: C of the round.
        share: of users within it, with noise.
        quantile: of users who should be within it.
    """
    gap = min(max(share - quantile, -1.0), 1.0)
    return min(max(clipping_norm * math.exp(-RATE * gap), LOWEST), HIGHEST)
