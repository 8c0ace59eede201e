"""The steps that `isthmus benchmark dp` compares: one gradient over a logical batch of users.

All are given the same users with the same windows, targets and number of negatives, and the same
encoder. Opacus takes less of the work: in its steps the item side and the prior's sharpness are
constant, because it would leave their gradients out of a user's norm (a weight that is used outside
of its module).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from isthmus.encoder import EncoderConfig, SharedEncoder, Table, initial_encoder
from isthmus.privacy.grid import GridNoise, noised, restored
from isthmus.privacy.randomness import SecureSource
from isthmus_client.content_loss import content_loss
from isthmus_client.dp import clipped_sum, micro_batches
from isthmus_client.model import content_logits, content_of, prior_queries, queries
from isthmus_client.sequences import Batch, Ints
from isthmus_client.training import generator

Side = Literal["ours", "twin", "autograd", "opacus_hooks", "opacus_ghost"]
SIDES: tuple[Side, ...] = ("ours", "twin", "autograd", "opacus_hooks", "opacus_ghost")
Step = Callable[[], None]

EVENTS = 50  # of a window, at most
SHORTEST = 5
CLIPPING_NORM = 1.0
NOISE_MULTIPLIER = 1.0
PHYSICAL = 64  # users that Opacus and its memory manager take at once


@dataclass(frozen=True)
class Work:
    """What every side is given.

    Attributes:
        users: of the logical batch.
        negatives: shared by the batch.
        items: of the catalogue; bought in proportion to 1 / rank, as people share favourites.
    """

    users: int
    negatives: int = 512
    items: int = 10_000
    seed: int = 7

    @property
    def config(self) -> EncoderConfig:
        """The default encoder's shapes."""
        return EncoderConfig(max_events=EVENTS)

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
    if side == "opacus_hooks":
        return _hooks(work)
    if side == "opacus_ghost":
        return _ghost(work)
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
        losses = _cross_entropy(right, wrong, targets, work.negative_rows)
        weights = (at / at.sum(dim=1, keepdim=True).clamp_min(1))[at]
        (losses @ weights / work.users).backward()  # type: ignore[no-untyped-call]  # torch ships it untyped

    return step


def _cross_entropy(right: Tensor, wrong: Tensor, targets: Tensor, negatives: Tensor) -> Tensor:
    """Of every position; a negative that is the target is left out. (positions,)."""
    wrong = wrong.masked_fill(targets.unsqueeze(1) == negatives, -torch.inf)
    logits = torch.cat([right.unsqueeze(1), wrong], dim=1)
    labels = torch.zeros(len(logits), dtype=torch.long)
    return functional.cross_entropy(logits, labels, reduction="none")


class _ForOpacus(nn.Module):
    """The encoder's user side over constant items; embeddings of a class that Opacus knows."""

    def __init__(self, encoder: SharedEncoder) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder)
        for name, module in list(self.encoder.named_children()):
            if isinstance(module, Table):
                plain = nn.Embedding(module.num_embeddings, module.embedding_dim)
                plain.register_forward_pre_hook(_contiguous)
                setattr(self.encoder, name, plain)
        self.encoder.item.requires_grad_(requires_grad=False)
        self.encoder.log_scale.requires_grad = False

    def forward(self, events: Tensor, behaviours: Tensor, gaps: Tensor) -> Tensor:
        """(users, seq, dim)."""
        return self.encoder.users(events, behaviours, gaps)


def _contiguous(_: nn.Module, given: tuple[Tensor]) -> tuple[Tensor]:
    """Ids that Opacus's norms of embeddings can view: ours repeat one row of positions."""
    return (given[0].contiguous(),)


def _opacus_losses(model: nn.Module, encoder: SharedEncoder, work: Work, part: Batch) -> Tensor:
    """Each user's loss. (users,)."""
    events = content_of(part, work.content)
    hidden = model(events, torch.from_numpy(part.behaviours), torch.from_numpy(part.gaps))
    prior = encoder.scale * prior_queries(events)
    targets = torch.from_numpy(part.targets)
    rows = [work.content[work.negative_rows], work.content[targets.clamp_min(0)]]
    negative, target = rows
    wrong = prior @ negative.T + hidden @ encoder.items(negative).T
    right = (prior * target).sum(-1) + (hidden * encoder.items(target)).sum(-1)
    flat = _cross_entropy(
        right.flatten(), wrong.flatten(0, 1), targets.flatten(), work.negative_rows
    )
    counted = targets >= 0
    losses = flat.view_as(targets).masked_fill(~counted, 0.0).sum(dim=1)
    return losses / counted.sum(dim=1).clamp_min(1)


def _physical(work: Work) -> list[Batch]:
    """Users as Opacus's memory manager cuts them: in their order, padded alike."""
    cuts = np.arange(PHYSICAL, work.users, PHYSICAL)
    return [rows_of(work.batch, part) for part in np.split(np.arange(work.users), cuts)]


def _hooks(work: Work) -> Step:
    """Opacus with per-sample gradients from hooks, added up by its optimiser."""
    from opacus.grad_sample import GradSampleModule  # noqa: PLC0415 - seconds of import
    from opacus.optimizers import DPOptimizer  # noqa: PLC0415 - the same

    model = GradSampleModule(_ForOpacus(work.encoder()), loss_reduction="sum")
    encoder, parts = model._module.encoder, _physical(work)  # noqa: SLF001 - Opacus's own way
    optimiser = DPOptimizer(
        torch.optim.SGD(_trained(model), lr=0.0),
        noise_multiplier=0.0,
        max_grad_norm=CLIPPING_NORM,
        expected_batch_size=work.users,
        loss_reduction="sum",
    )

    def backward(part: Batch) -> None:
        _opacus_losses(model, encoder, work, part).sum().backward()  # type: ignore[no-untyped-call]  # torch ships it untyped

    return _virtual_step(optimiser, parts, backward)


def _ghost(work: Work) -> Step:
    """Opacus with ghost clipping: two backward passes."""
    from opacus.grad_sample import GradSampleModuleFastGradientClipping  # noqa: PLC0415 - above
    from opacus.optimizers import DPOptimizerFastGradientClipping  # noqa: PLC0415 - above
    from opacus.utils.fast_gradient_clipping_utils import (  # noqa: PLC0415 - above
        DPTensorFastGradientClipping,
    )

    model = GradSampleModuleFastGradientClipping(
        _ForOpacus(work.encoder()),
        loss_reduction="sum",
        max_grad_norm=CLIPPING_NORM,
        use_ghost_clipping=True,
    )
    encoder, parts = model._module.encoder, _physical(work)  # noqa: SLF001 - above
    optimiser = DPOptimizerFastGradientClipping(
        torch.optim.SGD(_trained(model), lr=0.0),
        noise_multiplier=0.0,
        max_grad_norm=CLIPPING_NORM,
        expected_batch_size=work.users,
        loss_reduction="sum",
    )

    def backward(part: Batch) -> None:
        losses = _opacus_losses(model, encoder, work, part)
        DPTensorFastGradientClipping(model, optimiser, losses, "sum").backward()

    return _virtual_step(optimiser, parts, backward)


def _virtual_step(
    optimiser: Any, parts: Sequence[Batch], backward: Callable[[Batch], None]
) -> Step:
    """One step of Opacus's optimiser over micro-batches, as its memory manager takes it."""

    def step() -> None:
        for place, part in enumerate(parts):
            optimiser.signal_skip_step(do_skip=place < len(parts) - 1)
            backward(part)
            optimiser.step()
            optimiser.zero_grad()

    return step


def _trained(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]
