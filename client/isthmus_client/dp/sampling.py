"""Poisson sampling of users, and the only proof of it that an accountant takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from isthmus.errors import PrivacyError
from isthmus.privacy.events import Event
from isthmus.privacy.randomness import SecureSource
from isthmus_client.sequences import Ints

MICRO_BATCH: Final = 64  # users; on a CPU faster than larger ones, and bounds the memory
POSITIONS: Final = 2048  # of a micro-batch, padding included; bounds the memory too
_WORDS: Final = 2**64  # values of a random word
_ISSUED: Final = object()


@dataclass(frozen=True)
class PoissonSample:
    """Users of one step, each taken with the same probability, independently of all others.

    Only `poisson_sample` makes one, so that no shuffled or fixed-size batch is accounted as a
    Poisson sample (Chua et al. 2024, arXiv 2403.17673: the difference is real).

    Guarantees:
        Private: who and how many were taken may not leave. `event` is what the step costs, a
        function of published numbers alone.

    Attributes:
        users: ascending; often more or fewer than expected, sometimes none. (sampled users,)
        rate: published probability.

    Raises:
        PrivacyError: made by anything but the sampler.
    """

    users: Ints = field(repr=False)
    rate: float
    issued_by: object = field(repr=False)

    def __post_init__(self) -> None:
        if self.issued_by is not _ISSUED:
            raise PrivacyError(
                "a sample was not drawn by the Poisson sampler",
                hint="draw users with poisson_sample; batches of a fixed size cost more privacy",
            )

    def event(self, noise_multiplier: float) -> Event:
        """What one noised sum over this sample costs."""
        return Event(noise_multiplier, self.rate)


def poisson_sample(users: Ints, rate: float, source: SecureSource) -> PoissonSample:
    """Take each user with probability `rate`.

    Args:
        users: every training user once; a user is one example.
        rate: published; never made from the number of users. In (0, 1].
        source: of randomness that nobody can foretell.

    Guarantees:
        Each user's draw is a word of their own below `floor(rate * 2^64)`: the probability is
        never above `rate`, and less by at most 2^-64.

    Raises:
        PrivacyError: the rate is out of range, or a user is listed twice.
    """
    if not 0 < rate <= 1:
        raise PrivacyError(f"the sampling rate is {rate}, must be above 0 and at most 1")
    listed = np.unique(users)
    if listed.size != users.size:
        raise PrivacyError(
            f"{users.size - listed.size} users are listed twice",
            hint="one user is one example: join the histories of a user's devices and windows",
        )
    words = source.words(listed.size)
    below = int(rate * _WORDS)
    taken = words < np.uint64(below) if below < _WORDS else np.ones(listed.size, bool)
    return PoissonSample(listed[taken], rate, _ISSUED)


def micro_batches(users: Ints, lengths: Ints, size: int = MICRO_BATCH) -> list[Ints]:
    """Users in small batches, those of similar length together, the longest first; none of nobody.

    Padding carries no gradient, so the sum over the batches does not depend on how they are cut.
    The longest come first so that later batches fit into the memory of earlier ones.

    Args:
        lengths: events in each user's window. (users,)
        size: users of a batch, at most; fewer where they would have over `POSITIONS` events.
    """
    order = np.argsort(-lengths, kind="stable")
    made, start = [], 0
    while start < order.size:
        fitting = max(POSITIONS // max(int(lengths[order[start]]), 1), 1)
        stop = start + min(size, fitting)
        made.append(users[order[start:stop]])
        start = stop
    return made
