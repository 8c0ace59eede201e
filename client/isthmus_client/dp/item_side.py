"""The sampled softmax with its gradients, one for each position, in one sweep over the positions.

The logits of a position are products of `v = W'h + s q` with the candidates' content (`h` the
user's representation, `W` the item adapter, `q` the prior's query, `s` its sharpness). The
gradient by `v` is `a = sum_j (p_j - y_j) x_j`, from which all else follows: `W a` is the gradient
by `h`, the outer product of `h` and `a` that by `W`, and `<q, a>` that by `s`. Only what `W` reads
of `a` is computed: `s <q, a>` is what remains of `sum_j (p_j - y_j) logit_j = <v, a>` without
`<h, W a>`. No table of (positions, candidates) outlives its block.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 512  # positions scored at once
LOWEST = -1e30  # a logit whose product with a share of zero is zero


@dataclass(frozen=True)
class Negatives:
    """What every position's target is compared with, shared by all users of a step.

    Attributes:
        rows: of the catalogue. (negatives,)
        content: their content vectors. (negatives, content)
        struck: whether a row of the catalogue is among them. (items,)
        one: whether all are the same item.
    """

    rows: Tensor
    content: Tensor
    struck: Tensor
    one: bool

    @classmethod
    def of(cls, rows: Tensor, content: Tensor) -> Negatives:
        """Negatives of a catalogue with these content vectors. (items, content)."""
        rows = rows.to(content.device)
        struck = torch.zeros(len(content), dtype=torch.bool, device=content.device)
        struck[rows] = True
        return cls(rows, content.index_select(0, rows), struck, bool((rows == rows[0]).all()))


@dataclass(frozen=True)
class Positions:
    """Where a loss is taken.

    Attributes:
        place: in the flattened (users, seq). (positions,)
        target: catalogue rows of the targets. (positions,)
        weight: of each position's loss: one over the user's number of positions. (positions,)
    """

    place: Tensor
    target: Tensor
    weight: Tensor


@dataclass(frozen=True)
class ItemSide:
    """Gradients of every position.

    Attributes:
        query: by the user's representation. (positions, dim)
        scale: by the logarithm of the prior's sharpness. (positions,)
        pull: what `W` reads of `a`, zero where there is no loss. (users * seq, read)
    """

    query: Tensor
    scale: Tensor
    pull: Tensor


class Sweep:
    """Scores blocks of positions.

    Args:
        weight: the item adapter `W`; it may read leading numbers alone. (dim, read)
        scale: the prior's sharpness, a scalar.
        content: of the catalogue. (items, content)
    """

    def __init__(
        self, weight: Tensor, scale: Tensor, content: Tensor, negatives: Negatives
    ) -> None:
        self._weight, self._scale = weight, scale
        self._content, self._negatives = content, negatives
        self._read = weight.shape[1]

    def __call__(self, users: Tensor, history: Tensor, positions: Positions) -> ItemSide:
        """Gradients of the weighted losses.

        Args:
            users: representations. (positions, dim)
            history: decayed sums of content. (users * seq, content)
        """
        query, scale = torch.empty_like(users), users.new_empty(len(users))
        pulls = history.new_zeros(len(history), self._read)
        for start in range(0, len(users), BLOCK):
            part = slice(start, start + BLOCK)
            place, target = positions.place[part], positions.target[part]
            at = self._at(users[part], history, place)
            slope, pull = self._pull(at, target, positions.weight[part])
            torch.mm(pull, self._weight.T, out=query[part])
            pulls.index_copy_(0, place, pull)
            scale[part] = slope - torch.linalg.vecdot(users[part], query[part])
        return ItemSide(query, scale, pulls)

    def _at(self, users: Tensor, history: Tensor, place: Tensor) -> Tensor:
        """`v` of a block. (block, content)."""
        found = history.index_select(0, place)
        length = torch.linalg.vector_norm(found, dim=1, keepdim=True).clamp_min_(1e-12)
        found.mul_(self._scale / length)
        found[:, : self._read].addmm_(users, self._weight)
        return found

    def _pull(self, at: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """`<v, a>`, and what `W` reads of `a`, of a block. (block,) and (block, read).

        Args:
            at: `v`. (block, content)
        """
        wanted = self._content.index_select(0, target)
        right = torch.linalg.vecdot(at, wanted)
        wrong = at @ self._negatives.content.T
        self._leave_out_hits(wrong, target)
        highest = wrong.amax(dim=1)
        share = torch.softmax(wrong, dim=1)  # among the negatives
        log_sum = highest - share.amax(dim=1).log()  # of the negatives' exponentials
        missed = weight * torch.sigmoid(log_sum - right)  # by the negatives' share among all
        pull = share @ self._negatives.content[:, : self._read]
        pull.sub_(wanted[:, : self._read]).mul_(missed.unsqueeze(1))
        # A left-out logit of minus infinity has a share of zero.
        expected = share.mul_(wrong.clamp_min_(LOWEST)).sum(dim=1)
        slope = missed * (expected - right)
        if self._negatives.one:  # then it may be the target, which leaves nothing to tell apart
            nothing = highest == -torch.inf
            pull.masked_fill_(nothing.unsqueeze(1), 0.0)
            slope.masked_fill_(nothing, 0.0)
        return slope, pull

    def _leave_out_hits(self, wrong: Tensor, target: Tensor) -> None:
        """Minus infinity where a negative is the position's target; most positions have none."""
        struck = self._negatives.struck.index_select(0, target).nonzero().squeeze(1)
        hits = target[struck].unsqueeze(1) == self._negatives.rows  # (struck, negatives)
        row, column = hits.nonzero(as_tuple=True)
        wrong[struck[row], column] = -torch.inf
