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
KEPT_SIZE = 2**14
KEPT_COST = 12.0  # multiply-adds that writing and reading one kept number costs


@dataclass(frozen=True)
class Norms:
    """Squared norms of users' gradients, and how far rounding may have moved them.

    Attributes:
        squared: float64. (users,)
        slack: what the true square may lie above; None = nothing. float64. (users,)
    """

    squared: Tensor
    slack: Tensor | None = None


@dataclass(frozen=True)
class Weights:
    """What each user's gradient is multiplied with.

    Attributes:
        coefficients: 0 for those left out. (users,)
        left_out: who contributes nothing, whatever the factors hold. (users left out,)
    """

    coefficients: Tensor
    left_out: Tensor

    def of(self, signal: Tensor) -> Tensor:
        """Weighted signals of every position. (users * seq, out)."""
        found = signal * self.coefficients.to(signal).view(-1, 1, 1)
        return self.kept(found).flatten(0, 1)

    def kept(self, rows: Tensor) -> Tensor:
        """Zeros for the users left out: 0 times infinity is no zero. (users, ...)."""
        return rows.index_fill(0, self.left_out, 0.0) if self.left_out.numel() else rows


class Contribution(Protocol):
    """Every user's gradient of one layer's parameters in one micro-batch."""

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters'."""
        ...

    def norms(self) -> Norms:
        """Of every user's gradient."""
        ...

    def add_to(self, sums: Sums, weights: Weights) -> None:
        """Add the weighted sum over users."""
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

    @property
    def names(self) -> tuple[str, ...]:
        """The parameter's."""
        return (self.name,)

    def norms(self) -> Norms:
        """Of every user's gradient."""
        norm = torch.linalg.vector_norm(self.gradient.flatten(1), dim=1)
        return Norms(norm.double().square())

    def add_to(self, sums: Sums, weights: Weights) -> None:
        """Add the weighted sum over users."""
        flat = weights.kept(self.gradient.flatten(1))
        sums[self.name].view(-1).addmv_(flat.T, weights.coefficients.to(flat))


@dataclass
class Outer:
    """Gradients of a linear layer: sums over positions of outer products, and of signals.

    Attributes:
        names: of the weight and, where it is trained, of the bias.
        signal: gradient of the loss by the layer's output. (users, seq, out)
        activation: the layer's input. (users, seq, in)
    """

    names: tuple[str, ...]
    signal: Tensor
    activation: Tensor

    def norms(self) -> Norms:
        """Of every user's gradient; a bias is one more input that is always 1."""
        products = inner(self.activation)
        return paired_norms(inner(self.signal), products.add_(1.0) if self.names[1:] else products)

    def add_to(self, sums: Sums, weights: Weights) -> None:
        """Add the weighted sum over users: one matrix product."""
        signal = weights.of(self.signal)
        sums[self.names[0]].addmm_(signal.T, weights.kept(self.activation).flatten(0, 1))
        if self.names[1:]:
            sums[self.names[1]].add_(signal.sum(dim=0))


@dataclass
class SharedRows:
    """As `Outer`, for inputs that are rows of a table which users share.

    Attributes:
        names: of the weight and, where it is trained, of the bias.
        signal: (users, seq, out)
        products: inner products of each user's inputs. (users, seq, seq)
        rows: the different inputs. (rows, in)
        place: of each position's input in `rows`. (users, seq)
    """

    names: tuple[str, ...]
    signal: Tensor
    products: Tensor
    rows: Tensor
    place: Tensor

    def norms(self) -> Norms:
        """Of every user's gradient: users share the rows, never their products with a signal."""
        products = self.products + 1.0 if self.names[1:] else self.products
        return paired_norms(inner(self.signal), products)

    def add_to(self, sums: Sums, weights: Weights) -> None:
        """Add the weighted sum over users: signals are summed for each row first."""
        signal = weights.of(self.signal)
        table = signal.new_zeros(len(self.rows), signal.shape[1])
        table.index_add_(0, self.place.flatten(), signal)
        rows = self.rows
        if weights.left_out.numel():  # 0 times a row that is not finite would reach everybody
            rows = rows.masked_fill(~rows.isfinite(), 0.0)
        sums[self.names[0]].addmm_(table.T, rows)
        if self.names[1:]:
            sums[self.names[1]].add_(signal.sum(dim=0))


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

    @property
    def names(self) -> tuple[str, ...]:
        """The parameter's."""
        return (self.name,)

    def norms(self) -> Norms:
        """Of every user's gradient: inner products of signals that met."""
        same = self.ids.unsqueeze(2) == self.ids.unsqueeze(1)  # (users, seq, seq)
        return paired_norms(inner(self.signal), same.to(self.signal))

    def add_to(self, sums: Sums, weights: Weights) -> None:
        """Add the weighted sum over users."""
        sums[self.name].index_add_(0, self.ids.flatten(), weights.of(self.signal))


def linear(names: tuple[str, ...], signal: Tensor, activation: Tensor) -> list[Contribution]:
    """A linear layer's gradients in the cheaper form.

    Tables of inner products cost `seq² * (out + in)` multiply-adds a user, and the clipped product
    comes on top. A kept gradient costs that product alone, but its memory is written and read, and
    stands beside the activations: where a layer is wide it is not kept.

    Args:
        names: of the weight and, where it is trained, of the bias.
        signal: (users, seq, out)
        activation: (users, seq, in)
    """
    (_, seq, out), given = signal.shape, activation.shape[2]
    if not keeps(seq, out, given):
        return [Outer(names, signal, activation)]
    kept = torch.bmm(signal.transpose(1, 2), activation)
    bias = [Kept(name, signal.sum(dim=1)) for name in names[1:]]
    return [Kept(names[0], kept), *bias]


def keeps(seq: int, out: int, given: int) -> bool:
    """Whether users' gradients of a linear layer are kept."""
    return out * given <= KEPT_SIZE and seq * seq * (out + given) > KEPT_COST * out * given


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
