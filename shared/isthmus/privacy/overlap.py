"""What epsilon becomes for a person on several platforms, and where platforms collude.

The unit of every guarantee here is one user's history on one platform. Nobody links accounts, so a
person who is on m platforms has m histories, and their losses add up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from isthmus.privacy.accounting import epsilon
from isthmus.privacy.events import Event
from isthmus.privacy.loss_distribution import repeated_loss


def local_epsilon(events: Iterable[Event], delta: float, platforms: int) -> float:
    """Epsilon of a person on `platforms` platforms, each of which adds its full noise.

    Args:
        events: what every one of the platforms released.
        delta: of the result, as in `accounting.epsilon`.
        platforms: that the person is on; at least 1.

    Guarantees:
        Sequential composition: every platform's releases are noised on their own. That the data
        sets are disjoint does not help who is in several of them; parallel composition is false.

    Raises:
        ScenarioError: delta is out of range.
    """
    _require(platforms >= 1, f"platforms are {platforms}, expected at least 1")
    return epsilon((replace(event, count=event.count * platforms) for event in events), delta)


def pooled_epsilon(event: Event, delta: float, platforms: int) -> float:
    """Epsilon of a person on `platforms` platforms of a cohort that shares one noise.

    The person's histories are sampled independently and meet in the same sum, where they are
    protected by the same noise: up to `platforms` times the sensitivity. That costs more than the
    same overlap in the trust mode `local`.

    Args:
        event: the cohort's rounds; its noise is the sum's, over one history's sensitivity.
        delta: of the result.
        platforms: that the person is on; at least 1.

    Guarantees:
        An upper bound. The contributions have norms 0 to `platforms` times C with binomial
        probabilities: a mixture of Gaussians, dominated by its one-dimensional form (C.
        Choquette-Choo, A. Ganesh, T. Steinke and A. Thakurta, Privacy Amplification for Matrix
        Mechanisms, ICLR 2024).

    Raises:
        ScenarioError: delta is out of range.
    """
    _require(platforms >= 1, f"platforms are {platforms}, expected at least 1")
    rate, noise = event.sampling_rate, event.noise_multiplier
    if platforms == 1 or rate == 1:
        return epsilon([replace(event, noise_multiplier=noise / platforms)], delta)
    chances = tuple(
        math.comb(platforms, k) * rate**k * (1 - rate) ** (platforms - k)
        for k in range(platforms + 1)
    )
    # Everything at once, in one sum, is at most the whole group: that bounds the grid.
    about = epsilon([replace(event, noise_multiplier=noise / platforms)], delta)
    return repeated_loss(noise, chances, event.count, delta, about)


def left_noise(noise_multiplier: float, cohort: int, planned: int, colluding: int) -> float:
    """The noise multiplier that `colluding` platforms face, who know their own shares.

    Each of `cohort` platforms adds a share of variance 1 / (cohort - planned) of the planned one.

    Args:
        noise_multiplier: that the plan promises against `planned` colluding platforms.
        cohort: platforms whose shares are in the sum.
        planned: colluding platforms that the shares were scaled for; 0 to cohort - 1.
        colluding: platforms that subtract their own shares; 0 to cohort - 1.

    Guarantees:
        At least `noise_multiplier` where `colluding` is at most `planned`. A platform that takes
        part is itself an onlooker who knows one share: `planned = 0` protects against those
        outside of the cohort alone.

    Raises:
        ValueError: a number is out of its range.
    """
    _require(0 <= planned < cohort, f"planned is {planned}, expected 0 to {cohort - 1}")
    _require(0 <= colluding < cohort, f"colluding is {colluding}, expected 0 to {cohort - 1}")
    return noise_multiplier * math.sqrt((cohort - colluding) / (cohort - planned))


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
