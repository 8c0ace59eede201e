"""From the platforms' updates to one: the plain mean, and what every rule is made of.

A rule is a frozen value: `combine` turns the updates of a round into one update and says how much
each platform counted. The robust rules are in `robust`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from isthmus.errors import FederationError, ScenarioError
from isthmus.messages import Update
from isthmus.parameters import Shared, Tensor

Weights = npt.NDArray[np.float64]

Weighting = Literal["users", "equal", "sqrt_users"]
"""How much an update counts before a rule looks at it: by its training users (McMahan et al.
2017), the same for all, or by the square root of its users: in between. Users are what a platform
says of itself, so only `equal` cannot be inflated by a lie. No users, no weight, in all three."""

Sees = Literal["sum", "norms", "updates"]
"""What the server must be able to see of a single platform. `sum`: nothing, so the rule works
under secure aggregation; `norms`: its update's length; `updates`: the update itself."""


@dataclass(frozen=True)
class Combined:
    """One update made of many.

    Attributes:
        shares: how much each platform counted, by name; sums to 1, or all 0 if nobody had users.
            A rule that decides value by value gives the weights it started from.
    """

    mean: Shared
    shares: Mapping[str, float]


class Aggregation(Protocol):
    """Turns the updates of a round into one."""

    name: ClassVar[str]
    sees: ClassVar[Sees]

    def combine(self, updates: Sequence[Update]) -> Combined:
        """One update; the order of arrival cannot change a bit of it."""
        ...

    def settings(self) -> dict[str, str | float]:
        """The name and every knob: what a checkpoint remembers."""
        ...


@dataclass(frozen=True)
class Rule(ABC):
    """What all rules have in common: weights, and platforms without users, who count nothing.

    Such a platform has trained nothing. It is left out before a rule looks at the others, so that
    it moves neither a mean nor a median nor the cohort's median norm.
    """

    name: ClassVar[str]
    sees: ClassVar[Sees]
    weights: Weighting = "users"

    def __post_init__(self) -> None:
        require_weighting(self.name, self.weights)

    def combine(self, updates: Sequence[Update]) -> Combined:
        """One update of those with users; zero where nobody has any.

        Raises:
            FederationError: there is no update.
            MessageRefusedError: two updates differ in names or shapes.
        """
        ordered = in_order(updates)
        counted = [update for update in ordered if update.users]
        if not counted:
            return _nothing(ordered)
        found = self.of_counted(counted, weights_of(counted, self.weights))
        shares = {u.platform: found.shares.get(u.platform, 0.0) for u in ordered}
        return Combined(found.mean, shares)

    @abstractmethod
    def of_counted(self, updates: Sequence[Update], weights: Weights) -> Combined:
        """One update of many.

        Args:
            updates: by platform name, all of one shape, each of one user or more.
            weights: above 0. (platforms,)
        """

    def settings(self) -> dict[str, str | float]:
        """The name and every knob."""
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True)
class Mean(Rule):
    """The weighted mean of the updates (McMahan et al. 2017, FedAvg).

    Works under secure aggregation: a platform scales its own update before it is masked.
    """

    name: ClassVar[str] = "mean"
    sees: ClassVar[Sees] = "sum"

    def of_counted(self, updates: Sequence[Update], weights: Weights) -> Combined:
        """The mean."""
        return scaled_mean(updates, weights)


def weighted_mean(updates: Sequence[Update]) -> Shared:
    """The mean of the deltas, weighted by users (McMahan et al. 2017, FedAvg).

    Raises:
        FederationError: there is no update.
        MessageRefusedError: two updates differ in names or shapes.
    """
    return Mean().combine(updates).mean


def in_order(updates: Sequence[Update]) -> list[Update]:
    """The updates by platform name, all of one shape.

    Raises:
        FederationError: there is no update.
        MessageRefusedError: two updates differ in names or shapes.
    """
    if not updates:
        raise FederationError("there is no update to average")
    ordered = sorted(updates, key=lambda update: update.platform)
    for update in ordered[1:]:
        update.shared.require_shapes(ordered[0].shared)
    return ordered


def weights_of(updates: Sequence[Update], weighting: Weighting) -> Weights:
    """What each update counts, above 0, not yet divided by the sum. (platforms,)."""
    users = np.array([update.users for update in updates], np.float64)
    by: dict[Weighting, Weights] = {
        "users": users,
        "equal": np.ones_like(users),
        "sqrt_users": np.sqrt(users),
    }
    return by[weighting]


def _nothing(updates: Sequence[Update]) -> Combined:
    """An update of zeros, in which nobody has a share."""
    tensors = updates[0].shared.tensors
    mean = Shared({name: np.zeros_like(tensor) for name, tensor in tensors.items()})
    return Combined(mean, {update.platform: 0.0 for update in updates})


def scaled_mean(
    updates: Sequence[Update], weights: Weights, scales: Weights | None = None
) -> Combined:
    """The weighted mean of updates that were first shortened.

    Summed in float64 in the order given.

    Args:
        updates: in order.
        weights: at least 0, at least one above. (platforms,)
        scales: factor on each update; None = 1. It changes no other update's weight. (platforms,)
    """
    factors = weights if scales is None else weights * scales
    total = weights.sum()
    names = updates[0].shared.tensors
    mean = Shared({name: _sum(name, updates, factors, total) for name in names})
    shares = {u.platform: float(w / total) for u, w in zip(updates, weights, strict=True)}
    return Combined(mean, shares)


def _sum(name: str, updates: Sequence[Update], factors: Weights, total: float) -> Tensor:
    """One tensor's weighted sum over the total weight."""
    found = np.zeros(updates[0].shared.tensors[name].shape, np.float64)
    for update, factor in zip(updates, factors, strict=True):
        found += update.shared.tensors[name].astype(np.float64) * factor
    found /= total
    return found.astype(np.float32)


def require_weighting(rule: str, weighting: str) -> None:
    """Refuse weights that do not exist.

    Raises:
        ScenarioError: names the rule and the value.
    """
    if weighting not in get_args(Weighting):
        known = ", ".join(get_args(Weighting))
        raise ScenarioError(
            f"{rule}: weights {weighting!r} are unknown", hint=f"use one of: {known}"
        )
