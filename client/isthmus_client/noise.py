"""The noise of a private round, the last step before the door."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from isthmus.errors import OutboxError
from isthmus.messages import RoundPlan
from isthmus.parameters import GridSum, Shared
from isthmus.privacy.grid import GridNoise, noised, restored
from isthmus.privacy.randomness import SecureSource

Steps = Mapping[str, npt.NDArray[np.int64]]


@dataclass(frozen=True)
class GaussianNoise:
    """Puts a clipped sum on the grid and adds the round's Gaussian noise, or a share of it.

    Attributes:
        published_users: of the platform: a constant of the schedule, never the live count.
        source: of the noise.
        shares: honest platforms, at most, on whose noise this platform agreed to rely; 1 = it adds
            all of the noise itself, whatever the server asks for.
        watch: told what leaves, by whoever audits the run; it sees no more than the server does.

    Guarantees:
        What leaves a round with privacy `local` is, as a function of the users sampled and clipped
        to the plan's norm, the Gaussian mechanism with the plan's noise multiplier; with `pooled`
        so is the sum over platforms of which `plan.shares` are honest. The divisor is the expected
        batch, a constant. A round without privacy is refused, not passed on bare; so is one that
        relies on more shares than the platform agreed to, in which its noise would be thinner than
        the ledger charges for.
    """

    published_users: int
    source: SecureSource = field(default_factory=SecureSource)
    shares: int = 1
    watch: Callable[[RoundPlan, Steps], None] = lambda _plan, _steps: None
    name: str = "gaussian-noise"
    statement: str = (
        "user-level differential privacy: each user's gradient clipped, Gaussian noise on a grid; "
        "the epsilon spent stands in the receipt, the rounds in the ledger"
    )

    def __call__(self, update: Shared, plan: RoundPlan) -> Shared | GridSum:
        """Noised sum: on the grid where pooled, else over the platform's expected users."""
        if not plan.private:
            raise OutboxError("a round without privacy came to a platform that keeps a budget")
        if plan.shares > self.shares:
            raise OutboxError(
                f"the plan relies on {plan.shares} noise shares, this platform agreed to "
                f"{self.shares}",
                hint="agree on the trust mode and the number of honest platforms before the run",
            )
        how = noise_of(plan, update.size)
        steps = noised(update.tensors, how, self.source)
        self.watch(plan, steps)
        if plan.privacy == "pooled":
            return GridSum(steps)
        return Shared(restored(steps, how, plan.sampling_rate * self.published_users))


def noise_of(plan: RoundPlan, coordinates: int) -> GridNoise:
    """How a private round is noised.

    Args:
        plan: the round's.
        coordinates: numbers in an update.
    """
    return GridNoise(plan.clipping_norm, plan.noise_multiplier, coordinates, plan.shares)
