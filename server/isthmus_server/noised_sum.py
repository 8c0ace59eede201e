"""The aggregation of pooled noise: an exact sum over all planned platforms, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar

from isthmus.errors import FederationError, MessageRefusedError, ScenarioError
from isthmus.messages import Update
from isthmus.parameters import GridSum, Shared, Steps
from isthmus.privacy.grid import GridNoise, restored, summed
from isthmus_server.aggregate import Combined, Sees


@dataclass(frozen=True)
class NoisedSum:
    """The sum of the platforms' noised sums over the expected number of users.

    Attributes:
        platforms: planned, each with a share of the noise.
        expected_users: behind a sum over all of them: sampling rate times published users.

    Guarantees:
        Only the sum over all planned platforms becomes numbers, so that no round is released with
        less noise than planned; the divisor is a published constant, no count of users.
    """

    name: ClassVar[str] = "noised_sum"
    sees: ClassVar[Sees] = "sum"
    clipping_norm: float
    noise_multiplier: float
    shares: int
    platforms: int
    expected_users: float

    def __post_init__(self) -> None:
        """Refuse a sum over nobody.

        Raises:
            ScenarioError: names the value.
        """
        if not self.expected_users > 0:
            raise ScenarioError(
                f"{self.name}: {self.expected_users} expected users, must be above 0"
            )
        if not 1 <= self.shares <= self.platforms:
            raise ScenarioError(f"{self.name}: {self.shares} shares of {self.platforms} platforms")

    def combine(self, updates: Sequence[Update]) -> Combined:
        """The mean gradient step of the round; the order of arrival cannot change a bit of it.

        Raises:
            FederationError: a planned platform's share is missing; the round must be discarded.
            MessageRefusedError: an update is no sum on the grid, or two differ in shapes.
        """
        self._require_all(len(updates))
        total = summed([_grid(update).tensors for update in updates])
        users = sum(update.users for update in updates)
        shares = {u.platform: u.users / users if users else 0.0 for u in updates}
        return Combined(self._mean(total), shares)

    def of_sum(self, total: GridSum, platforms: int) -> Shared:
        """The mean gradient step of a round whose sum was made unseen.

        Args:
            total: over platforms.
            platforms: whose shares of noise are in it.

        Raises:
            FederationError: a planned platform's share is missing; the round must be discarded.
        """
        self._require_all(platforms)
        return self._mean(total.tensors)

    def _mean(self, total: Mapping[str, Steps]) -> Shared:
        coordinates = sum(values.size for values in total.values())
        how = GridNoise(self.clipping_norm, self.noise_multiplier, coordinates, self.shares)
        return Shared(restored(total, how, self.expected_users))

    def _require_all(self, came: int) -> None:
        if came != self.platforms:
            raise FederationError(
                f"{came} of {self.platforms} noise shares came: the round is discarded, "
                "as its sum would hold less noise than planned",
                hint="resume when all can answer: bytes that are sent again are not charged again",
            )

    def settings(self) -> dict[str, str | float]:
        """The name and every knob."""
        return {"name": self.name, **asdict(self)}


def _grid(update: Update) -> GridSum:
    if not isinstance(update.delta, GridSum):
        raise MessageRefusedError(f"{update.platform!r} sent no sum on the grid")
    return update.delta
