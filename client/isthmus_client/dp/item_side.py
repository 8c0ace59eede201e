"""The sampled softmax with its gradients, one for each position, in one sweep over the positions.

The logits of a position are products of `v = W'h + s q` with the candidates' content (`h` the
user's representation, `W` the item adapter, `q` the prior's query, `s` its sharpness). The
gradient by `v` is `a = sum_j (p_j - y_j) x_j`, from which all else follows: `W a` is the gradient
by `h`, the outer product of `h` and `a` that by `W`, and `<q, a>` that by `s`. No table of
(positions, candidates) outlives its block.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 512  # positions scored at once


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
        pull: `a`, zero where there is no loss. (users * seq, content)
    """

    query: Tensor
    scale: Tensor
    pull: Tensor


class Sweep:
    """Scores blocks of positions.

    Args:
        weight: the item adapter `W`. (dim, content)
        scale: the prior's sharpness, a scalar.
        content: of the catalogue. (items, content)
    """

    def __init__(
        self, weight: Tensor, scale: Tensor, content: Tensor, negatives: Negatives
    ) -> None:
        self._weight, self._scale = weight, scale
        self._content, self._negatives = content, negatives
        self._logits = content.new_empty(BLOCK, len(negatives.rows))
        self._wide = [content.new_empty(BLOCK, content.shape[1]) for _ in range(4)]

    def __call__(self, users: Tensor, history: Tensor, positions: Positions) -> ItemSide:
        """Gradients of the weighted losses.

        Args:
            users: representations. (positions, dim)
            history: decayed sums of content; `pull` is written over it. (users * seq, content)
        """
        query, scale = torch.empty_like(users), users.new_empty(len(users))
        for start in range(0, len(users), BLOCK):
            part = slice(start, start + BLOCK)
            place, target = positions.place[part], positions.target[part]
            prior, *wide = (buffer[: len(place)] for buffer in self._wide)
            torch.index_select(history, 0, place, out=prior)
            prior.div_(torch.linalg.vector_norm(prior, dim=1, keepdim=True).clamp_min_(1e-12))
            pull = self._pull(users[part], prior, target, positions.weight[part], *wide)
            torch.mm(pull, self._weight.T, out=query[part])
            history.index_copy_(0, place, pull)
            scale[part] = self._scale * prior.mul_(pull).sum(dim=1)
        if len(users) < len(history):
            idle = torch.ones(len(history), dtype=torch.bool, device=history.device)
            idle[positions.place] = False
            history.index_fill_(0, idle.nonzero().squeeze(1), 0.0)
        return ItemSide(query, scale, history)

    def _pull(
        self,
        users: Tensor,
        prior: Tensor,
        target: Tensor,
        weight: Tensor,
        query: Tensor,
        wanted: Tensor,
        pull: Tensor,
    ) -> Tensor:
        """`a` of a block, in `pull`; the last three are buffers. (block, content)."""
        torch.addmm(prior, users, self._weight, beta=float(self._scale), out=query)
        torch.index_select(self._content, 0, target, out=wanted)
        right = torch.mul(query, wanted, out=pull).sum(dim=1)
        wrong = torch.mm(query, self._negatives.content.T, out=self._logits[: len(query)])
        self._leave_out_hits(wrong, target)
        highest = wrong.amax(dim=1)
        torch.softmax(wrong, dim=1, out=wrong)  # among the negatives
        log_sum = highest - wrong.amax(dim=1).log()  # of the negatives' exponentials
        missed = torch.sigmoid(log_sum - right)  # the negatives' share among all candidates
        torch.mm(wrong, self._negatives.content, out=pull)
        pull.sub_(wanted).mul_((weight * missed).unsqueeze(1))
        if self._negatives.one:  # then it may be the target, which leaves nothing to tell apart
            pull.masked_fill_((highest == -torch.inf).unsqueeze(1), 0.0)
        return pull

    def _leave_out_hits(self, wrong: Tensor, target: Tensor) -> None:
        """Minus infinity where a negative is the position's target; most positions have none."""
        struck = self._negatives.struck.index_select(0, target).nonzero().squeeze(1)
        hits = target[struck].unsqueeze(1) == self._negatives.rows  # (struck, negatives)
        row, column = hits.nonzero(as_tuple=True)
        wrong[struck[row], column] = -torch.inf
