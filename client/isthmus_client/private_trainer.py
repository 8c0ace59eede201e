"""A platform's side of a private round: one clipped sum of gradients, charged before it is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from isthmus.encoder import EncoderConfig, SharedEncoder
from isthmus.errors import MessageRefusedError, PrivacyError
from isthmus.messages import RoundPlan
from isthmus.parameters import Shared
from isthmus.privacy import adaptive
from isthmus.privacy.events import Event
from isthmus.privacy.randomness import SecureSource
from isthmus_client.dp import (
    ClippedSum,
    PoissonSample,
    clipped_sum,
    micro_batches,
    poisson_sample,
)
from isthmus_client.dp.canaries import Canaries, add_canaries, parted, with_canaries
from isthmus_client.federated_trainer import FederatedTrainer
from isthmus_client.sequences import Batch, Ints
from isthmus_client.trainer import LocalResult
from isthmus_client.workspace import Workspace


class Reserve(Protocol):
    """Charges a round to the platform's ledger."""

    def reserve(self, plan: RoundPlan, received: Shared) -> Event:
        """Charge a round; what it may cost."""
        ...


@dataclass(frozen=True)
class PrivateTrainer:
    """Makes the sum of a round's clipped gradients; `noise.GaussianNoise` makes it private.

    Attributes:
        charge: the platform's account.
        published_users: of the platform, a constant of the schedule.
        source: of the sample and of the windows.
        canaries: made-up users by whom an audit attacks the run; None = no audit.

    Guarantees:
        The round is charged before its sample is drawn. The sum is over a Poisson sample at the
        plan's rate, each user's gradient clipped to the plan's norm; windows are drawn from a
        secret stream, negatives uniformly over the public catalogue. Nothing else of the users is
        in the result: its users are the published number, and there are no metrics.
        Where the norm adapts, a user's gradient and the coordinate that says whether it was within
        the norm are together no longer than the plan's norm, which is one constant for all
        micro-batches. Who shares a micro-batch may change the last digit of a norm; being within is
        counted along a ramp, so that this moves the count by as little.
    """

    workspace: Workspace
    config: EncoderConfig
    charge: Reserve
    published_users: int
    source: SecureSource = field(default_factory=SecureSource)
    canaries: Canaries | None = None

    @property
    def platform(self) -> str:
        """The platform's name."""
        return self.workspace.platform.name

    @cached_property
    def _plain(self) -> FederatedTrainer:
        """What reads this platform with this encoder, and refuses where they do not fit."""
        return FederatedTrainer(self.workspace, self.config)

    def train(self, parameters: Shared, plan: RoundPlan) -> LocalResult:
        """The negative clipped sum: the direction that lowers the loss.

        Raises:
            MessageRefusedError: the plan asks for a round without privacy.
            BudgetError: the ledger refuses; nothing was computed.
            PrivacyError: the sample is not what was charged.
        """
        if not plan.private:
            raise MessageRefusedError(
                f"platform {self.platform} keeps a privacy budget; the plan asks for none",
                hint="run with a trust mode, or without a budget on every platform",
            )
        encoder = self._plain.load(parameters)
        event = self.charge.reserve(plan, parameters)
        sample = poisson_sample(self._everybody, plan.sampling_rate, self.source)
        if sample.event(plan.noise_multiplier) != event:
            raise PrivacyError(f"the sample's cost is not the {event} that was charged")
        total = self._sum(encoder, sample, plan)
        downhill = {name: (-tensor).numpy() for name, tensor in total.tensors.items()}
        update = Shared({**downhill, **_within(total, plan)})
        return LocalResult(update, self.published_users, {})

    def evaluate(self, parameters: Shared, plan: RoundPlan) -> Mapping[str, float]:
        """Nothing: figures of users that nobody noised stay at home."""
        del parameters, plan
        return {}

    def _sum(self, encoder: SharedEncoder, sample: PoissonSample, plan: RoundPlan) -> ClippedSum:
        """The clipped sum over a sample of users and canaries."""
        users, planted = parted(sample.users)
        random = np.random.default_rng(self.source.words(4))
        total = clipped_sum(
            encoder,
            self._batches(users, random),
            self.workspace.content,
            self._negatives(plan, random),
            plan.gradient_norm,
        )
        if self.canaries is None:
            return total
        return add_canaries(total, self.canaries, planted, plan.gradient_norm)

    @cached_property
    def _everybody(self) -> Ints:
        """Training users, and the canaries that are in the data."""
        users = self.workspace.sequences.training_users
        return users if self.canaries is None else with_canaries(users, self.canaries)

    def _batches(self, users: Ints, random: np.random.Generator) -> Iterator[Batch]:
        """Micro-batches of the sampled users' windows."""
        sequences = self.workspace.sequences
        for part in micro_batches(users, sequences.window_lengths(users)):
            yield sequences.training_batch(part, random).trimmed()

    def _negatives(self, plan: RoundPlan, random: np.random.Generator) -> torch.Tensor:
        """Uniform over the catalogue, which is public."""
        items = len(self.workspace.content)
        return torch.from_numpy(random.integers(0, items, size=plan.negatives))


def _within(total: ClippedSum, plan: RoundPlan) -> dict[str, npt.NDArray[np.float32]]:
    """The scalar by which the clipping norm is adapted; nothing where it is fixed."""
    if not plan.adaptive:
        return {}
    value = adaptive.encoded(total.within, total.users, plan.clipping_norm)
    return {adaptive.WITHIN: np.asarray(value, np.float32)}
