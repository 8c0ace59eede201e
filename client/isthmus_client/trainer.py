"""The seam between a round's messages (Flower) and a platform's training (PyTorch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from isthmus.messages import RoundPlan
from isthmus.parameters import Shared


@dataclass(frozen=True)
class LocalResult:
    """What one round of local work produced.

    Attributes:
        update: what the platform would add to the parameters that it received.
        users: training users that took part; the aggregation weight. 0 moves nobody.
        metrics: finite scalars by name, e.g. "loss" and, of the parameters as received,
            "validation/ndcg@10" and "validation/users".
    """

    update: Shared
    users: int
    metrics: Mapping[str, float]


class LocalTrainer(Protocol):
    """A platform's side of a round. Deterministic in its data, the parameters and the plan."""

    @property
    def platform(self) -> str:
        """The platform's name."""
        ...

    def train(self, parameters: Shared, plan: RoundPlan) -> LocalResult:
        """Validate the received parameters (if the plan says so), then train from them."""
        ...

    def evaluate(self, parameters: Shared, plan: RoundPlan) -> Mapping[str, float]:
        """Validation metrics of the parameters as received; nothing is trained."""
        ...
