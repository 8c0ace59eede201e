"""What a release costs: one noised sum of a Poisson sample of users, or many of a kind."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

MOST_ROUNDS: Final = 10_000_000  # more would push double precision; no run comes near


@dataclass(frozen=True)
class Event:
    """The Poisson-subsampled Gaussian mechanism, `count` times: one entry of a ledger.

    Every user takes part with probability `sampling_rate`, independently of all others; the sum
    of the contributions of those who do, each of norm at most C, gets Gaussian noise of standard
    deviation `noise_multiplier * C`.

    Guarantees:
        None by itself: it says what a mechanism costs that was run as described. Neighbouring
        data sets differ in one whole user, added or removed (Mironov, Talwar and Zhang,
        arXiv 1908.10530). Both numbers are published constants of a schedule, never live counts.

    Attributes:
        noise_multiplier: standard deviation of the total noise that an outsider faces, over the
            L2 sensitivity C; finite and above 0. There is no event without noise.
        sampling_rate: probability with which a user takes part; in (0, 1], 1 is everybody.
        count: how many times in a row; 1 to 10 million.

    Raises:
        ValueError: a number is out of its range.
    """

    noise_multiplier: float
    sampling_rate: float
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.noise_multiplier < math.inf:
            raise ValueError(
                f"noise_multiplier is {self.noise_multiplier}, expected a finite number above 0"
            )
        if not 0 < self.sampling_rate <= 1:
            raise ValueError(
                f"sampling_rate is {self.sampling_rate}, expected above 0 and at most 1"
            )
        if not 1 <= self.count <= MOST_ROUNDS:
            raise ValueError(f"count is {self.count}, expected 1 to {MOST_ROUNDS}")
