"""Sampled softmax as one operation: the loss and its gradients in one sweep over the positions.

The negatives are shared by the batch (Bengio and Senécal 2008, with uniform proposals), so the
logits are one matrix product. What autograd would keep - logits, masked logits, log-softmax, each
of (positions, negatives) - is never held: a block of positions is scored, turned into its loss and
its gradient, and its buffer is used again, as fused cross-entropies do (Liger kernel, Hsu et al.
2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

BUFFER = 2**20  # logits scored at once; bounds the memory, and 4 MB stay in a core's reach


@dataclass(frozen=True)
class Candidates:
    """What each position's target is compared with.

    Attributes:
        target: catalogue row of each position's target. (positions,)
        negative: catalogue rows that all positions share. (negatives,)
    """

    target: Tensor
    negative: Tensor


@dataclass(frozen=True)
class Offset:
    """A part of the logits that takes no gradient but its scale, such as the prior.

    Attributes:
        query: (positions, width)
        negative: of the negatives. (negatives, width)
        right: the product for each position's own target. (positions,)
    """

    query: Tensor
    negative: Tensor
    right: Tensor


def fused_softmax(
    query: Tensor,
    target: Tensor,
    negative: Tensor,
    candidates: Candidates,
    weight: Tensor,
    *,
    offset: Offset | None = None,
    scale: Tensor | None = None,
) -> Tensor:
    """Weighted cross-entropy of each position's target against the shared negatives.

    A negative that is the position's own target is left out (an accidental hit). The logits are
    `query @ rows.T + scale * offset.query @ offset.negative.T`.

    Args:
        query: (positions, dim)
        target: rows of the positions' targets. (positions, dim)
        negative: rows of the negatives. (negatives, dim)
        candidates: which catalogue rows they are.
        weight: of each position's loss; a constant. (positions,)
        offset: constant part of the logits; takes no gradient. None = zero.
        scale: factor of the offset, a scalar; None = 1.

    Returns:
        The weighted sum of the losses, a scalar; differentiable once in `query`, `target`,
        `negative` and `scale`.
    """
    if scale is None:
        scale = query.new_ones(())
    loss: Tensor = _FusedSoftmax.apply(  # type: ignore[no-untyped-call]  # torch ships it untyped
        query, target, negative, scale, candidates, weight, offset
    )
    return loss


class _FusedSoftmax(torch.autograd.Function):
    """The gradients are computed with the loss; backward only scales them."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        target: Tensor,
        negative: Tensor,
        scale: Tensor,
        candidates: Candidates,
        weight: Tensor,
        offset: Offset | None,
    ) -> Tensor:
        sweep = _Sweep(query, target, negative, scale, candidates, weight, offset)
        ctx.save_for_backward(
            sweep.query_gradient,
            sweep.target_gradient,
            sweep.negative_gradient,
            sweep.scale_gradient,
        )
        return sweep.loss

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        (upstream,) = gradients
        scaled = [
            saved * upstream if needed else None
            for saved, needed in zip(ctx.saved_tensors, ctx.needs_input_grad, strict=False)
        ]
        return (*scaled, None, None, None)


class _Sweep:
    """One pass over the positions, block by block."""

    def __init__(
        self,
        query: Tensor,
        target: Tensor,
        negative: Tensor,
        scale: Tensor,
        candidates: Candidates,
        weight: Tensor,
        offset: Offset | None,
    ) -> None:
        self._given = query, target, negative, scale, weight
        self._candidates, self._offset = candidates, offset
        self.loss = query.new_zeros(())
        self.scale_gradient = torch.zeros_like(scale)
        self.query_gradient = torch.empty_like(query)
        self.target_gradient = torch.empty_like(target)
        self.negative_gradient = torch.zeros_like(negative)
        block = max(BUFFER // max(len(negative), 1), 1)  # positions
        for start in range(0, len(query), block):
            self._block(slice(start, start + block))

    def _block(self, rows: slice) -> None:
        """Loss and gradients of some positions."""
        query, target, negative, scale, weight = self._given
        wrong, right = query[rows] @ negative.T, (query[rows] * target[rows]).sum(dim=1)
        fixed = None if self._offset is None else self._offset.query[rows] @ self._offset.negative.T
        if fixed is not None and self._offset is not None:
            wrong.addcmul_(fixed, scale)
            right += scale * self._offset.right[rows]
        self._leave_out_hits(wrong, self._candidates.target[rows])
        highest = torch.maximum(wrong.amax(dim=1), right)
        shares = wrong.sub_(highest.unsqueeze(1)).exp_()  # (block, negatives), not yet normalised
        own = (right - highest).exp()
        total = shares.sum(dim=1) + own
        self.loss += weight[rows] @ (total.log() + highest - right)
        pull = shares.mul_((weight[rows] / total).unsqueeze(1))  # d loss / d wrong logits
        push = weight[rows] * (own / total - 1.0)  # d loss / d right logit, (block,)
        pushed = push.unsqueeze(1)
        torch.addmm(pushed * target[rows], pull, negative, out=self.query_gradient[rows])
        torch.mul(pushed, query[rows], out=self.target_gradient[rows])
        self.negative_gradient.addmm_(pull.T, query[rows])
        if fixed is not None and self._offset is not None:
            self.scale_gradient += fixed.flatten() @ pull.flatten()
            self.scale_gradient += push @ self._offset.right[rows]

    def _leave_out_hits(self, wrong: Tensor, target: Tensor) -> None:
        """Minus infinity where a negative is the position's target; most positions have none."""
        negative = self._candidates.negative
        struck = torch.isin(target, negative).nonzero().squeeze(1)
        hits = target[struck].unsqueeze(1) == negative  # (struck, negatives)
        row, column = hits.nonzero(as_tuple=True)
        wrong[struck[row], column] = -torch.inf
