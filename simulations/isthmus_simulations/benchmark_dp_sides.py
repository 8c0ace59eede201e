"""The steps that `isthmus benchmark dp` compares: one gradient over a logical batch of users.

All are given the same users with the same windows, targets and number of negatives, and the same
encoder; all take the gradient of all its parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from isthmus.encoder import EncoderConfig, SharedEncoder, initial_encoder
from isthmus.encoder_config import PRIVATE_ADAPTER_WIDTH, default_encoder
from isthmus.privacy.grid import GridNoise, noised, restored
from isthmus.privacy.randomness import SecureSource
from isthmus_client.content_loss import content_loss
from isthmus_client.dp import clipped_sum, micro_batches
from isthmus_client.model import content_logits, queries
from isthmus_client.sequences import Batch, Ints
from isthmus_client.training import generator

Side = Literal["ours", "twin", "autograd", "opacus_hooks", "opacus_ghost"]
SIDES: tuple[Side, ...] = ("ours", "twin", "autograd", "opacus_hooks", "opacus_ghost")
Step = Callable[[], None]

EVENTS = 50  # of a window, at most
SHORTEST = 5
CLIPPING_NORM = 1.0
NOISE_MULTIPLIER = 1.0


@dataclass(frozen=True)
class Work:
    """What every side is given.

    Attributes:
        users: of the logical batch.
        negatives: shared by the batch.
        adapter_width: leading numbers of a content vector that the adapters read.
        items: of the catalogue; bought in proportion to 1 / rank, as people share favourites.
    """

    users: int
    negatives: int = 512
    adapter_width: int = PRIVATE_ADAPTER_WIDTH
    items: int = 10_000
    seed: int = 7

    @property
    def config(self) -> EncoderConfig:
        """The shapes of a private run, whatever its adapters read."""
        shapes = default_encoder(private=True)
        return replace(shapes, max_events=EVENTS, adapter_width=self.adapter_width)

    @cached_property
    def batch(self) -> Batch:
        """Windows of 5 to 50 events, all lengths alike, with a target at every event."""
        random = generator(self.seed, "benchmark", "windows", self.users)
        lengths = random.integers(SHORTEST, EVENTS + 1, size=self.users)
        shape = (self.users, EVENTS)
        valid = np.arange(EVENTS) < lengths[:, None]
        popularity = 1.0 / np.arange(1, self.items + 1)
        popularity /= popularity.sum()
        items, targets = (random.choice(self.items, size=shape, p=popularity) for _ in range(2))
        return Batch(
            np.where(valid, items, -1),
            np.where(valid, random.integers(1, 11, size=shape), 0),
            np.where(valid, random.integers(16, size=shape), 0),
            np.where(valid, targets, -1),
        )

    @cached_property
    def content(self) -> Tensor:
        """Unit content vectors. (items, content)."""
        source = torch.Generator().manual_seed(self.seed)
        drawn = torch.randn(self.items, self.config.content, generator=source)
        return functional.normalize(drawn, dim=1)

    @cached_property
    def negative_rows(self) -> Tensor:
        """Uniform over the catalogue. (negatives,)."""
        drawn = self.same_negatives().integers(0, self.items, size=self.negatives)
        return torch.from_numpy(drawn)

    def same_negatives(self) -> np.random.Generator:
        """What draws the negatives; anew for each micro-batch, so that all have the same."""
        return generator(self.seed, "benchmark", "negatives")

    def encoder(self) -> SharedEncoder:
        """An encoder whose item side has begun to learn."""
        encoder = initial_encoder(self.config, self.seed)
        with torch.no_grad():
            source = torch.Generator().manual_seed(self.seed)
            encoder.item.weight.normal_(std=0.05, generator=source)
        return encoder

    def parts(self) -> list[Batch]:
        """The micro-batches that ours and its twin both take."""
        lengths = self.batch.lengths
        return [rows_of(self.batch, part).trimmed() for part in self._cut(lengths)]

    def _cut(self, lengths: Ints) -> list[Ints]:
        return micro_batches(np.arange(self.users), lengths)


def rows_of(batch: Batch, users: Ints) -> Batch:
    """Some users of a batch."""
    columns = (batch.items, batch.behaviours, batch.gaps, batch.targets)
    return Batch(*(column[users] for column in columns))


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


def cross_entropy(right: Tensor, wrong: Tensor, targets: Tensor, negatives: Tensor) -> Tensor:
    """Of every position; a negative that is the target is left out. (positions,)."""
    wrong = wrong.masked_fill(targets.unsqueeze(1) == negatives, -torch.inf)
    logits = torch.cat([right.unsqueeze(1), wrong], dim=1)
    labels = torch.zeros(len(logits), dtype=torch.long)
    return functional.cross_entropy(logits, labels, reduction="none")
