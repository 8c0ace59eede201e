"""Rules that protect a federation from members whose updates harm the rest.

A member need not be an attacker: a feed with shuffled ids, texts in a language that the encoder
cannot read, or one shop enrolled twice do harm enough. All these rules look at single updates or
at their norms, so none of them works on a sum that secure aggregation has already formed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from isthmus.errors import ScenarioError
from isthmus.messages import Update
from isthmus.parameters import Shared, Tensor
from isthmus_server.aggregate import (
    Aggregation,
    Combined,
    Mean,
    Rule,
    Sees,
    Weighting,
    Weights,
    scaled_mean,
)

Matrix = npt.NDArray[np.float64]

_COLUMNS = 1 << 16  # values of all platforms that are sorted at once; bounds memory


@dataclass(frozen=True)
class NormBounded(Rule):
    """The mean of updates that are cut to a multiple of the cohort's median norm.

    Norm thresholding of Sun et al. 2019 ("Can You Really Backdoor Federated Learning?"), with the
    threshold taken from the cohort itself. No single platform can then move the federation further
    than its weight times the bound, whatever it sends. Sees every update's norm.
    """

    name: ClassVar[str] = "norm_bounded"
    sees: ClassVar[Sees] = "norms"
    factor: float = 1.0  # of the median norm; > 0. Larger cuts less

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self, "factor", 0 < self.factor < math.inf, "above 0")

    def of_counted(self, updates: Sequence[Update], weights: Weights) -> Combined:
        """The mean of the cut updates; whoever was cut keeps its weight."""
        norms = np.array([update.shared.norm() for update in updates])
        return scaled_mean(updates, weights, cuts(norms, self.factor))


@dataclass(frozen=True)
class TrimmedMean(Rule):
    """Each value's mean without its largest and smallest ones (Yin et al. 2018, definition 2).

    Withstands up to `share` of the platforms whatever they send, if honest ones are alike. Where
    honest platforms differ, as shops do, it also trims what only one of them has to say. Sees
    every update.
    """

    name: ClassVar[str] = "trimmed_mean"
    sees: ClassVar[Sees] = "updates"
    share: float = 0.2  # of the platforms, cut at each end; at least one of three or more

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self, "share", 0 <= self.share < 0.5, "0 (off) up to 0.5")  # noqa: PLR2004

    def of_counted(self, updates: Sequence[Update], weights: Weights) -> Combined:
        """The trimmed mean of every value."""
        cut = self._cut(len(updates))

        def rule(values: Matrix) -> Matrix:
            order = np.argsort(values, axis=0, kind="stable")[cut : len(values) - cut]
            kept, weight = np.take_along_axis(values, order, axis=0), weights[order]
            return np.asarray((kept * weight).sum(axis=0) / weight.sum(axis=0))

        return _by_value(updates, weights, rule)

    def _cut(self, platforms: int) -> int:
        """Platforms cut at each end; fewer than three leave nothing to cut."""
        if not self.share or platforms < 3:  # noqa: PLR2004 - two ends and a middle
            return 0
        return max(1, int(self.share * platforms))


@dataclass(frozen=True)
class Median(Rule):
    """Each value's weighted median (Yin et al. 2018, definition 1).

    Withstands any platforms that hold less than half of the weight. Sees every update.
    """

    name: ClassVar[str] = "median"
    sees: ClassVar[Sees] = "updates"
    weights: Weighting = "equal"

    def of_counted(self, updates: Sequence[Update], weights: Weights) -> Combined:
        """The median of every value; the middle of two where the weight splits evenly."""
        half = weights.sum() / 2

        def rule(values: Matrix) -> Matrix:
            order = np.argsort(values, axis=0, kind="stable")
            below = np.cumsum(weights[order], axis=0)
            ranked = np.take_along_axis(values, order, axis=0)
            ends = [(below < half).sum(axis=0), (below <= half).sum(axis=0)]
            middle = [np.take_along_axis(ranked, end[None], axis=0)[0] for end in ends]
            return np.asarray((middle[0] + middle[1]) / 2)

        return _by_value(updates, weights, rule)


@dataclass(frozen=True)
class Cosine(Rule):
    """The mean of norm-bounded updates, each trusted as far as it points where the rest points.

    Trust is the clipped cosine of FLTrust (Cao et al. 2021), against the other members instead of
    a server's own data, which our server does not have. Updates that nearly coincide count once
    together, after FoolsGold (Fung et al. 2020): a shop enrolled twice gains nothing by it, and
    twins are not asked about each other. Sees every update.
    """

    name: ClassVar[str] = "cosine"
    sees: ClassVar[Sees] = "updates"
    factor: float = 1.0  # of the median norm, above which an update is cut
    floor: float = 0.0  # cosine to the rest at and below which an update counts nothing
    twin: float = 0.5  # cosine above which two updates are one; 1 = off

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self, "factor", 0 < self.factor < math.inf, "above 0")
        _require(self, "floor", -1 <= self.floor < 1, "-1 up to 1")
        _require(self, "twin", 0 < self.twin <= 1, "above 0, at most 1 (off)")

    def of_counted(self, updates: Sequence[Update], weights: Weights) -> Combined:
        """The trusted mean; where nobody agrees with the rest, no rule can tell who is right."""
        norms, cosines = geometry(updates)
        groups = twins(cosines, self.twin)
        weights = shared_weights(weights, groups)
        trusted = weights * np.maximum(agreement(cosines, groups) - self.floor, 0.0)
        chosen = trusted if trusted.any() else weights
        return scaled_mean(updates, chosen, cuts(norms, self.factor))


AGGREGATIONS: Final[Mapping[str, Callable[..., Aggregation]]] = {
    rule.name: rule for rule in (Mean, NormBounded, TrimmedMean, Median, Cosine)
}


def aggregation(name: str, **knobs: float | str) -> Aggregation:
    """The rule of that name with the knobs given, its defaults otherwise.

    Raises:
        ScenarioError: no rule has this name, or it has no such knob.
    """
    if name not in AGGREGATIONS:
        known = ", ".join(AGGREGATIONS)
        raise ScenarioError(f"aggregation {name!r} is unknown", hint=f"use one of: {known}")
    try:
        return AGGREGATIONS[name](**knobs)
    except TypeError as error:
        raise ScenarioError(f"aggregation {name!r} has not all of: {sorted(knobs)}") from error


def cuts(norms: Weights, factor: float) -> Weights:
    """Factor on each update that brings it within `factor` times the median norm. (platforms,)."""
    bound = factor * np.median(norms)
    return np.minimum(1.0, np.divide(bound, norms, out=np.ones_like(norms), where=norms > 0))


def geometry(updates: Sequence[Update]) -> tuple[Weights, Matrix]:
    """Norms and pairwise cosines of the updates, over all tensors; a zero update is at 0 to all.

    Returns:
        (platforms,) and (platforms, platforms).
    """
    gram = np.zeros((len(updates), len(updates)))
    for name in updates[0].shared.tensors:
        rows = np.stack([u.shared.tensors[name].ravel().astype(np.float64) for u in updates])
        gram += rows @ rows.T
    norms = np.sqrt(np.diag(gram))
    scale = np.outer(norms, norms)
    cosines = np.divide(gram, scale, out=np.zeros_like(gram), where=scale > 0)
    return norms, np.clip(cosines, -1.0, 1.0)


def twins(cosines: Matrix, threshold: float) -> npt.NDArray[np.bool_]:
    """Who is one with whom: linked by cosines above the threshold, and by links of links.

    Returns:
        Symmetric; everyone is one with itself. (platforms, platforms)
    """
    linked = (cosines > threshold) | np.eye(len(cosines), dtype=np.bool_)
    for _ in range(len(cosines).bit_length()):  # each step doubles the length of chains
        linked = linked @ linked
    return linked


def shared_weights(weights: Weights, groups: npt.NDArray[np.bool_]) -> Weights:
    """Each group of twins counts as much as its heaviest member. (platforms,)."""
    largest = np.where(groups, weights, 0.0).max(axis=1)
    together = groups @ weights
    return np.asarray(weights * largest / together)


def agreement(cosines: Matrix, groups: npt.NDArray[np.bool_]) -> Weights:
    """Cosine of each update with the sum of the others' directions, its twins left out.

    Every group of twins has one voice whatever its users: users are what a platform says of
    itself, and the largest member must not be the judge of all others.

    Returns:
        1 for whoever has no others. (platforms,)
    """
    others = np.where(groups, 0.0, 1.0 / groups.sum(axis=1))  # (platforms, others)
    along = (others * cosines).sum(axis=1)
    lengths = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", others, cosines, others), 0.0))
    found = np.divide(along, lengths, out=np.zeros_like(along), where=lengths > 0)
    return np.where(others.any(axis=1), found, 1.0)


def _by_value(
    updates: Sequence[Update], weights: Weights, rule: Callable[[Matrix], Matrix]
) -> Combined:
    """A rule on every value by itself. `rule`: (platforms, values) -> (values,)."""

    def tensor(name: str) -> Tensor:
        parts = [update.shared.tensors[name].ravel() for update in updates]
        found = np.empty(parts[0].size, np.float32)
        for start in range(0, found.size, _COLUMNS):
            block = np.stack([part[start : start + _COLUMNS] for part in parts])
            found[start : start + _COLUMNS] = rule(block.astype(np.float64))
        return found.reshape(updates[0].shared.tensors[name].shape)

    shares = {u.platform: float(w / weights.sum()) for u, w in zip(updates, weights, strict=True)}
    return Combined(Shared({name: tensor(name) for name in updates[0].shared.tensors}), shares)


def _require(rule: Aggregation, name: str, good: bool, expected: str) -> None:
    if not good:
        value = getattr(rule, name)
        raise ScenarioError(f"{rule.name}: {name} is {value}, must be {expected}")
