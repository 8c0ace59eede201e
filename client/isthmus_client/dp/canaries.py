"""Canaries: users made up by the auditor, by whom a run's privacy claim can be attacked.

A canary is in the platform's data or not by a fair coin that only the auditor knows. One that is in
takes part as any user does: the same Poisson sample, the same clipping, the same noise. Its
gradient is the easiest to find again: all of it lies on one coordinate, in a random direction, and
is ten times as long as clipping allows, so that clipping which does not work shows. Whoever sees
what leaves the platform guesses the coins (Steinke, Nasr and Jagielski 2023, with the white-box
gradient canaries of Nasr et al. 2023, Tight Auditing of Differentially Private Machine Learning).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.errors import PrivacyError
from isthmus.privacy.randomness import SecureSource
from isthmus_client.dp.clipping import ClippedSum, add_clipped
from isthmus_client.dp.contributions import Norms, Sums, Weights
from isthmus_client.sequences import Ints

LENGTH: Final = 10.0  # clipping norms: how long a canary's gradient is before it is clipped
FIRST_ROW: Final = 2**40  # of a canary among users' rows: a stray one fits no table


@dataclass(frozen=True)
class Canaries:
    """The auditor's secret: where each canary would show, and whether it is in the data.

    Attributes:
        coordinates: a different one for each canary, into the trainable parameters laid end to end
            in the order of `named_parameters()`. (canaries,)
        signs: direction of each gradient on its coordinate, 1 or -1. (canaries,)
        included: the coins. (canaries,)
    """

    coordinates: Ints
    signs: Ints
    included: npt.NDArray[np.bool_]

    @classmethod
    def drawn(cls, count: int, parameters: int, source: SecureSource) -> Canaries:
        """Canaries at random coordinates.

        Args:
            count: of canaries, of which about half will be in the data.
            parameters: trainable numbers of the encoder.

        Guarantees:
            Coins, coordinates and signs are independent of all else and of each other.

        Raises:
            PrivacyError: there are more canaries than coordinates, or none.
        """
        if not 1 <= count <= parameters:
            raise PrivacyError(
                f"{count} canaries for {parameters} parameters", hint="each needs one of its own"
            )
        coordinates = np.argsort(source.words(parameters), kind="stable")[:count]
        coins = source.words(2 * count) & np.uint64(1)
        signs = 2 * coins[:count].astype(np.int64) - 1
        return cls(coordinates.astype(np.int64), signs, coins[count:] == 1)

    def divided(self, parts: int) -> list[Canaries]:
        """The same canaries in equal parts, for as many platforms."""
        columns = (self.coordinates, self.signs, self.included)
        return [
            Canaries(*each) for each in zip(*(np.split(c, parts) for c in columns), strict=True)
        ]


def with_canaries(users: Ints, canaries: Canaries) -> Ints:
    """Users' rows followed by those of the canaries in the data: what the sampler draws from."""
    return np.concatenate([users, FIRST_ROW + np.flatnonzero(canaries.included)])


def parted(rows: Ints) -> tuple[Ints, Ints]:
    """A sample's users and its canaries. (users,) rows, (canaries,) places in `Canaries`."""
    return rows[rows < FIRST_ROW], rows[rows >= FIRST_ROW] - FIRST_ROW


def add_canaries(
    total: ClippedSum, canaries: Canaries, sampled: Ints, clipping_norm: float
) -> ClippedSum:
    """The clipped sum with the sampled canaries' clipped gradients; added to in place.

    They are clipped by the function that clips users.

    Args:
        total: of the same step, its tensors in the order of `named_parameters()`.
        sampled: places of the canaries that take part, from `parted`. (sampled,)
        clipping_norm: the step's.

    Guarantees:
        Adds a vector of norm at most `clipping_norm` for each canary, so a sum with canaries is as
        sensitive to a user as one without.

    Raises:
        PrivacyError: a coordinate lies outside of the tensors, or a canary is not in the data.
    """
    if not canaries.included[sampled].all():
        raise PrivacyError("a canary that is not in the data was sampled")
    found, start = [], 0
    place = canaries.coordinates[sampled]
    value = LENGTH * clipping_norm * canaries.signs[sampled]
    for name, tensor in total.tensors.items():
        here = (place >= start) & (place < start + tensor.numel())
        found.append(
            Diracs(
                name,
                torch.from_numpy(np.flatnonzero(here)),
                torch.from_numpy(place[here] - start),
                torch.from_numpy(value[here]),
                len(sampled),
            )
        )
        start += tensor.numel()
    if (place >= start).any():
        raise PrivacyError(f"a canary's coordinate is beyond the {start} parameters")
    return add_clipped(total, found, len(sampled), clipping_norm)


@dataclass(frozen=True)
class Diracs:
    """Gradients of canaries in one parameter: a `Contribution`.

    Attributes:
        canary: whose; most have nothing in this parameter. (diracs,)
        place: in the parameter, laid end to end. (diracs,)
        value: float64. (diracs,)
        canaries: of the micro-batch.
    """

    name: str
    canary: Tensor
    place: Tensor
    value: Tensor
    canaries: int

    @property
    def names(self) -> tuple[str, ...]:
        """The parameter's."""
        return (self.name,)

    def norms(self) -> Norms:
        """Of every canary's gradient."""
        squared = torch.zeros(self.canaries, dtype=torch.float64)
        squared.index_add_(0, self.canary, self.value.double().square())
        return Norms(squared)

    def add_to(self, sums: Sums, weights: Weights) -> None:
        """Add the weighted sum over canaries; all norms are finite, so none is left out."""
        added = (self.value * weights.coefficients.cpu()[self.canary]).to(sums[self.name])
        sums[self.name].view(-1).index_add_(0, self.place.to(added.device), added)


@dataclass(frozen=True)
class Watch:
    """What an attacker adds up about each canary: the noised sums at its coordinate.

    Attributes:
        canaries: whose coins are to be guessed.
        scores: so far, each in its canary's direction: high means "in". float64. (canaries,)
    """

    canaries: Canaries
    scores: npt.NDArray[np.float64]

    @classmethod
    def over(cls, canaries: Canaries) -> Watch:
        """Before the first round."""
        return cls(canaries, np.zeros(canaries.coordinates.size))

    def observed(
        self,
        released: Mapping[str, npt.NDArray[np.number]],
        names: Sequence[str],
        scale: float = 1.0,
    ) -> Watch:
        """After one more round.

        Args:
            released: noised tensors that an attacker sees: with local noise a platform's own, with
                pooled noise the cohort's.
            names: of the trainable parameters, in the order of `named_parameters()`.
            scale: turns what was released into sums of gradients, or into multiples of them:
                negative where it is a step downhill. The same in every round.

        Guarantees:
            Reads nothing but what was released, so a round that is watched twice or missed after a
            crash makes the attack weaker, never the bound wrong.

        Raises:
            PrivacyError: other tensors were released than `names`.
        """
        if sorted(released) != sorted(names):
            raise PrivacyError(f"released are {sorted(released)}, watched {sorted(names)}")
        flat = np.concatenate([np.ravel(released[name]) for name in names])
        seen = flat[self.canaries.coordinates].astype(np.float64)
        return replace(self, scores=self.scores + scale * self.canaries.signs * seen)
