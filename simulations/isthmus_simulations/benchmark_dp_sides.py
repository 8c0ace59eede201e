"""The steps that `isthmus benchmark dp` compares: one gradient over a logical batch of users.

All are given the same users with the same windows, targets and number of negatives, and the same
encoder; all take the gradient of all its parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch

from isthmus.privacy.grid import GridNoise, noised, restored
from isthmus.privacy.randomness import SecureSource
from isthmus_client.content_loss import content_loss
from isthmus_client.dp import clipped_sum
from isthmus_client.model import content_logits, queries
from isthmus_simulations.benchmark_dp_work import CLIPPING_NORM, Work, cross_entropy

Side = Literal["ours", "twin", "autograd", "opacus_hooks", "opacus_ghost"]
SIDES: tuple[Side, ...] = ("ours", "twin", "autograd", "opacus_hooks", "opacus_ghost")
Step = Callable[[], None]

NOISE_MULTIPLIER = 1.0


def step_of(side: Side, work: Work) -> Step:
    """A function that takes one step, ready to be called again and again."""
    if side in {"opacus_hooks", "opacus_ghost"}:
        from isthmus_simulations.benchmark_dp_opacus import opacus_step  # noqa: PLC0415 - seconds

        return opacus_step(work, ghost=side == "opacus_ghost")
    return {"ours": _ours, "twin": _twin, "autograd": _autograd}[side](work)


def noise_of(
    work: Work,
) -> tuple[GridNoise, dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]]:
    """The noise of a step, and zeros to add it to."""
    tensors = {n: p.detach().numpy() * 0 for n, p in work.encoder().named_parameters()}
    size = sum(values.size for values in tensors.values())
    return GridNoise(CLIPPING_NORM, NOISE_MULTIPLIER, size), tensors


def _ours(work: Work) -> Step:
    """Clipped sum, noise on the grid, division by the expected batch."""
    encoder, parts = work.encoder(), work.parts()
    how, source = noise_of(work)[0], SecureSource()

    def step() -> None:
        total = clipped_sum(encoder, parts, work.content, work.negative_rows, CLIPPING_NORM)
        sums = {name: tensor.numpy() for name, tensor in total.tensors.items()}
        restored(noised(sums, how, source), how, work.users)

    return step


def _twin(work: Work) -> Step:
    """Our non-private training's gradient: the fused loss over the same micro-batches."""
    encoder, parts = work.encoder(), work.parts()

    def step() -> None:
        encoder.zero_grad(set_to_none=True)
        for part in parts:
            random = work.same_negatives()
            loss = content_loss(encoder, part, work.content, random, work.negatives)
            (loss * (len(part.items) / work.users)).backward()  # type: ignore[no-untyped-call]  # torch ships it untyped

    return step


def _autograd(work: Work) -> Step:
    """As one writes it first: one padded batch, all logits as a tensor, autograd."""
    encoder = work.encoder()

    def step() -> None:
        encoder.zero_grad(set_to_none=True)
        at = torch.from_numpy(work.batch.targets >= 0)
        query = queries(encoder, work.batch, work.content, at)
        negative = work.content[work.negative_rows]
        wrong = content_logits(encoder, query, negative)
        targets = torch.from_numpy(work.batch.targets)[at]
        target = work.content[targets]
        right = encoder.scale * (query.prior * target).sum(1)
        right = right + (query.user * encoder.items(target)).sum(1)
        losses = cross_entropy(right, wrong, targets, work.negative_rows)
        weights = (at / at.sum(dim=1, keepdim=True).clamp_min(1))[at]
        (losses @ weights / work.users).backward()  # type: ignore[no-untyped-call]  # torch ships it untyped

    return step
