"""Per-user gradients in factored form: their norms, and their clipped sum, without building them.

A layer's gradient for one user is a sum of outer products over the user's positions. Its norm
follows from two small tables of inner products (Goodfellow 2015, arXiv 1510.01799; Li et al. 2022,
"ghost clipping"), and the clipped sum over users from one matrix product with weighted factors
("book-keeping", Bu et al. 2023, arXiv 2210.00038). Where a user has more positions than a table is
worth, the user's gradient itself is smaller than its factors and is kept instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Sums = Mapping[str, Tensor]
"""Sums of clipped gradients by parameter name, added to in place."""

ROUNDING = 4.0  # units of rounding that an inner product of inner products may be off by
KEPT_COST = 24.0  # multiply-adds that writing and reading one kept number costs


@dataclass(frozen=True)
class Norms:
    """Squared norms of users' gradients, and how far rounding may have moved them.

    Attributes:
        squared: float64. (users,)
        slack: what the true square may lie above. float64. (users,)
    """

    squared: Tensor
    slack: Tensor

    def __add__(self, other: Norms) -> Norms:
        return Norms(self.squared + other.squared, self.slack + other.slack)


class Contribution(Protocol):
    """Every user's gradient of one parameter in one micro-batch."""

    @property
    def name(self) -> str:
        """The parameter's."""
        ...

    def norms(self) -> Norms:
        """Of every user's gradient."""
        ...

    def add_to(self, sums: Sums, coefficients: Tensor, left_out: Tensor) -> None:
        """Add the weighted sum over users; the factors are used up.

        Args:
            coefficients: weight of each user, 0 for those left out. (users,)
            left_out: who contributes nothing, whatever the factors hold. (users left out,)
        """
        ...


@dataclass
class Kept:
    """Gradients small enough to be kept.

    What is measured is what is added, so no rounding comes between norm and sum.

    Attributes:
        gradient: (users, *shape of the parameter)
    """

    name: str
    gradient: Tensor

    def norms(self) -> Norms:
        """Of every user's gradient."""
        norm = torch.linalg.vector_norm(self.gradient.flatten(1), dim=1)
        squared = norm.double().square()
        return Norms(squared, torch.zeros_like(squared))

    def add_to(self, sums: Sums, coefficients: Tensor, left_out: Tensor) -> None:
        """Add the weighted sum over users."""
        flat = _without(self.gradient.flatten(1), left_out)
        sums[self.name].view(-1).addmv_(flat.T, coefficients.to(flat))


@dataclass
class Outer:
    """Gradients of a linear layer's weight: sums over positions of outer products.

    Attributes:
        signal: gradient of the loss by the layer's output. (users, seq, out)
        activation: the layer's input. (users, seq, in)
    """

    name: str
    signal: Tensor
    activation: Tensor

    def norms(self) -> Norms:
        """Of every user's gradient, from two tables of inner products."""
        return paired_norms(inner(self.signal), inner(self.activation))

    def add_to(self, sums: Sums, coefficients: Tensor, left_out: Tensor) -> None:
        """Add the weighted sum over users: one matrix product."""
        signal = weighted(self.signal, coefficients, left_out)
        activation = _without(self.activation, left_out).flatten(0, 1)
        sums[self.name].addmm_(signal.flatten(0, 1).T, activation)


@dataclass
class SharedRows:
    """As `Outer`, for inputs that are rows of a table which users share.

    Attributes:
        signal: (users, seq, out)
        products: inner products of each user's inputs. (users, seq, seq)
        rows: the different inputs. (rows, in)
        place: of each position's input in `rows`. (users, seq)
    """

    name: str
    signal: Tensor
    products: Tensor
    rows: Tensor
    place: Tensor

    def norms(self) -> Norms:
        """Of every user's gradient: users share the rows, never their products with a signal."""
        return paired_norms(inner(self.signal), self.products)

    def add_to(self, sums: Sums, coefficients: Tensor, left_out: Tensor) -> None:
        """Add the weighted sum over users: signals are summed for each row first."""
        signal = weighted(self.signal, coefficients, left_out).flatten(0, 1)
        table = signal.new_zeros(len(self.rows), signal.shape[1])
        table.index_add_(0, self.place.flatten(), signal)
        rows = self.rows
        if left_out.numel():  # 0 times a row that is not finite would reach everybody
            rows = rows.masked_fill(~rows.isfinite(), 0.0)
        sums[self.name].addmm_(table.T, rows)


@dataclass
class LookedUp:
    """Gradients of an embedding: signals that meet in a row of its table.

    Attributes:
        signal: (users, seq, out)
        ids: rows that were looked up. (users, seq)
    """

    name: str
    signal: Tensor
    ids: Tensor

    def norms(self) -> Norms:
        """Of every user's gradient: inner products of signals that met."""
        same = self.ids.unsqueeze(2) == self.ids.unsqueeze(1)  # (users, seq, seq)
        return paired_norms(inner(self.signal), same.to(self.signal))

    def add_to(self, sums: Sums, coefficients: Tensor, left_out: Tensor) -> None:
        """Add the weighted sum over users."""
        signal = weighted(self.signal, coefficients, left_out)
        sums[self.name].index_add_(0, self.ids.flatten(), signal.flatten(0, 1))


def linear(name: str, signal: Tensor, activation: Tensor) -> Contribution:
    """A linear layer's weight in the cheaper form.

    Tables of inner products cost `seq² * (out + in)` multiply-adds a user, and the clipped product
    comes on top. A kept gradient costs that product alone, and memory traffic.

    Args:
        signal: (users, seq, out)
        activation: (users, seq, in)
    """
    seq, wide = signal.shape[1], signal.shape[2] * activation.shape[2]
    if seq * seq * (signal.shape[2] + activation.shape[2]) <= KEPT_COST * wide:
        return Outer(name, signal, activation)
    return Kept(name, torch.bmm(signal.transpose(1, 2), activation))


def inner(rows: Tensor) -> Tensor:
    """Inner products of each user's rows. (users, seq, width) -> (users, seq, seq)."""
    return torch.bmm(rows, rows.transpose(1, 2))


def paired_norms(left: Tensor, right: Tensor) -> Norms:
    """Squared norms of sums of outer products.

    The square is a sum of `seq²` terms of either sign. Where they cancel, rounding may hide a part
    of it: `slack` bounds that by the sum that cannot cancel.

    Args:
        left: inner products of the one side's rows. (users, seq, seq)
        right: of the other side's. (users, seq, seq)
    """
    squared = torch.linalg.vecdot(left.flatten(1), right.flatten(1)).double()
    lengths = (left.diagonal(dim1=1, dim2=2) * right.diagonal(dim1=1, dim2=2)).clamp_min(0).sqrt()
    whole = lengths.sum(dim=1).double().square()
    return Norms(squared, ROUNDING * torch.finfo(left.dtype).eps * whole)


def weighted(signal: Tensor, coefficients: Tensor, left_out: Tensor) -> Tensor:
    """Each user's signals times the user's coefficient. (users, seq, out)."""
    return _without(signal * coefficients.to(signal).view(-1, 1, 1), left_out)


def _without(rows: Tensor, left_out: Tensor) -> Tensor:
    """Zeros for the users left out: 0 times infinity is no zero."""
    return rows.index_fill(0, left_out, 0.0) if left_out.numel() else rows
