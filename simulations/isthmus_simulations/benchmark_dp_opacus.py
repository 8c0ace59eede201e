"""Opacus's steps for `isthmus benchmark dp`, over the very model and loss of ours.

Opacus leaves the gradient of a weight that is used outside of its module out of a user's norm. Here
each is used inside: the item adapter is turned, a linear layer over the user's representation
whose output meets the items' content, and the prior's sharpness is a module with a rule of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from opacus.grad_sample import (
    GradSampleModule,
    GradSampleModuleFastGradientClipping,
    register_grad_sampler,
    register_norm_sampler,
)
from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping
from torch import Tensor, nn

from isthmus.encoder import SharedEncoder, Table
from isthmus_client.model import content_of, prior_queries
from isthmus_client.sequences import Batch
from isthmus_simulations.benchmark_dp_work import CLIPPING_NORM, Work, cross_entropy, rows_of

PHYSICAL = 64  # users that Opacus and its memory manager take at once


class Sharpness(nn.Module):
    """The prior's sharpness times its cosines."""

    def __init__(self, log_scale: Tensor) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(log_scale.detach().clone())

    def forward(self, cosines: Tensor) -> Tensor:
        """(users, seq, candidates), both ways."""
        return self.log_scale.exp() * cosines


class ForOpacus(nn.Module):
    """The encoder as modules that Opacus has rules for."""

    def __init__(self, encoder: SharedEncoder) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder)
        for name, module in list(self.encoder.named_children()):
            if isinstance(module, Table):
                setattr(self.encoder, name, _embedding(module))
        self.turned = nn.Linear(encoder.config.dim, encoder.config.read, bias=False)
        self.turned.weight.data.copy_(encoder.item.weight.detach().T)
        self.sharpness = Sharpness(encoder.log_scale)
        del self.encoder.item, self.encoder.log_scale

    def forward(
        self, events: Tensor, behaviours: Tensor, gaps: Tensor, cosines: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What the user side and the prior give.

        Args:
            events: content of the items. (users, seq, content)
            behaviours: codes. (users, seq)
            gaps: gap buckets. (users, seq)
            cosines: of the prior's query with the candidates. (users, seq, candidates)

        Returns:
            What meets the content's leading numbers, and the prior's logits.
            (users, seq, read) and (users, seq, candidates).
        """
        user = self.encoder.users(events, behaviours, gaps)
        return self.turned(user), self.sharpness(cosines)


def _embedding(table: Table) -> nn.Embedding:
    """Of a class that Opacus knows."""
    plain = nn.Embedding(table.num_embeddings, table.embedding_dim)
    plain.weight.data.copy_(table.weight.detach())
    plain.register_forward_pre_hook(_contiguous)
    return plain


def _contiguous(_: nn.Module, given: tuple[Tensor]) -> tuple[Tensor]:
    """Ids that Opacus's norms of embeddings can view: ours repeat one row of positions."""
    return (given[0].contiguous(),)


@register_grad_sampler(Sharpness)  # type: ignore[untyped-decorator]  # Opacus ships it untyped
def _gradients(
    layer: Sharpness, activations: Sequence[Tensor], signals: Tensor
) -> dict[nn.Parameter, Tensor]:
    """Of each user. (users,)."""
    return {layer.log_scale: layer.log_scale.exp() * (activations[0] * signals).sum(dim=(1, 2))}


@register_norm_sampler(Sharpness)  # type: ignore[untyped-decorator]  # the same
def _norms(
    layer: Sharpness, activations: Sequence[Tensor], signals: Tensor
) -> dict[nn.Parameter, Tensor]:
    """Of each user's gradient. (users,)."""
    return {layer.log_scale: _gradients(layer, activations, signals)[layer.log_scale].abs()}


def opacus_losses(model: nn.Module, work: Work, part: Batch) -> Tensor:
    """Each user's loss. (users,)."""
    events, targets = content_of(part, work.content), torch.from_numpy(part.targets)
    negative, target = work.content[work.negative_rows], work.content[targets.clamp_min(0)]
    prior = prior_queries(events)
    cosines = torch.cat([(prior * target).sum(-1, keepdim=True), prior @ negative.T], dim=-1)
    behaviours, gaps = torch.from_numpy(part.behaviours), torch.from_numpy(part.gaps)
    user, logits = model(events, behaviours, gaps, cosines)
    read = work.config.read
    right = logits[..., 0] + (user * target[..., :read]).sum(-1)
    wrong = logits[..., 1:] + user @ negative[:, :read].T
    flat = cross_entropy(
        right.flatten(), wrong.flatten(0, 1), targets.flatten(), work.negative_rows
    )
    counted = targets >= 0
    losses = flat.view_as(targets).masked_fill(~counted, 0.0).sum(dim=1)
    return losses / counted.sum(dim=1).clamp_min(1)


def opacus_step(work: Work, *, ghost: bool) -> Callable[[], None]:
    """One step of Opacus's optimiser over micro-batches, as its memory manager takes it.

    Args:
        ghost: ghost clipping, with two backward passes; else per-user gradients from hooks.
    """
    model, optimiser = wrapped(work, ghost=ghost)
    parts = _physical(work)

    def step() -> None:
        for place, part in enumerate(parts):
            optimiser.signal_skip_step(do_skip=place < len(parts) - 1)
            backward(model, optimiser, opacus_losses(model, work, part))
            optimiser.step()
            optimiser.zero_grad()

    return step


def wrapped(work: Work, *, ghost: bool) -> tuple[nn.Module, DPOptimizer]:
    """The model under Opacus, and an optimiser that clips and adds up but moves nothing.

    Its sum has no noise: what ours costs is only ours to pay.
    """
    model, norm = ForOpacus(work.encoder()), CLIPPING_NORM
    given: dict[str, Any] = {"noise_multiplier": 0.0, "loss_reduction": "sum"}
    given |= {"max_grad_norm": norm, "expected_batch_size": work.users}
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    if ghost:
        hooked = GradSampleModuleFastGradientClipping(
            model, loss_reduction="sum", max_grad_norm=norm, use_ghost_clipping=True
        )
        return hooked, DPOptimizerFastGradientClipping(still, **given)
    return GradSampleModule(model, loss_reduction="sum"), DPOptimizer(still, **given)


def backward(model: nn.Module, optimiser: DPOptimizer, losses: Tensor) -> None:
    """As each of the two wants it.

    Args:
        losses: of the users. (users,)
    """
    if isinstance(model, GradSampleModuleFastGradientClipping):
        DPTensorFastGradientClipping(model, optimiser, losses, "sum").backward()
    else:
        losses.sum().backward()  # type: ignore[no-untyped-call]  # torch ships it untyped


def _physical(work: Work) -> list[Batch]:
    """Users as Opacus's memory manager cuts them: in their order, padded alike."""
    cuts = np.arange(PHYSICAL, work.users, PHYSICAL)
    return [rows_of(work.batch, part) for part in np.split(np.arange(work.users), cuts)]
