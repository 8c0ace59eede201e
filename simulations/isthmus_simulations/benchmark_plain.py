"""Plain PyTorch training loops: what the speed of our training is measured against.

The same models on the same windows, written as one writes them first: histories padded to full
length in shuffled batches, `nn.TransformerEncoder`, logits of every position against every
negative as tensors of their own, PyTorch's cross-entropy and AdamW as they come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from isthmus.behaviours import BEHAVIOURS
from isthmus.encoder import GAP_BUCKETS, EncoderConfig
from isthmus_client.model import PRIOR_DECAY
from isthmus_client.sequences import Batch, Ints, Targets
from isthmus_client.training import SCALE_SPEED, Settings, batches
from isthmus_client.workspace import Workspace

IGNORED = -100  # what cross_entropy leaves out


def _transformer(
    config: EncoderConfig, activation: Callable[[Tensor], Tensor], dropout: float
) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(
        config.dim,
        config.heads,
        config.expansion * config.dim,
        dropout,
        activation,
        batch_first=True,
        norm_first=True,
    )
    norm = nn.LayerNorm(config.dim)
    return nn.TransformerEncoder(layer, config.layers, norm, enable_nested_tensor=False)


def _attended(encoder: nn.TransformerEncoder, hidden: Tensor) -> Tensor:
    """Causal attention over padded histories. (users, seq, dim)."""
    mask = nn.Transformer.generate_square_subsequent_mask(hidden.shape[1])
    attended: Tensor = encoder(hidden, mask=mask, is_causal=True)
    return attended


class PlainContent(nn.Module):
    """The shared encoder and the prior over content vectors.

    Args:
        content: of the catalogue. (items, content)
    """

    def __init__(self, config: EncoderConfig, content: Tensor) -> None:
        super().__init__()
        self._content = content
        self.event = nn.Linear(config.content, config.dim)
        self.behaviour = nn.Embedding(len(BEHAVIOURS) + 1, config.dim)
        self.gap = nn.Embedding(GAP_BUCKETS, config.dim)
        self.position = nn.Embedding(config.max_events, config.dim)
        self.encoder = _transformer(config, functional.gelu, 0.0)
        self.item = nn.Linear(config.content, config.dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(config.prior_scale).log())

    def forward(self, batch: Batch, negatives: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the targets (users, seq) and of the negatives (users, seq, negatives)."""
        items = torch.from_numpy(batch.items)
        events = self._content[items.clamp_min(0)] * (items >= 0).unsqueeze(-1)
        behaviours, gaps = torch.from_numpy(batch.behaviours), torch.from_numpy(batch.gaps)
        hidden = self.event(events) + self.behaviour(behaviours) + self.gap(gaps)
        hidden = _attended(self.encoder, hidden + self.position.weight[: items.shape[1]])
        prior = functional.normalize(_decay(items.shape[1]) @ events, dim=-1)
        target = self._content[torch.from_numpy(batch.targets).clamp_min(0)]
        scale, negative = self.log_scale.exp(), self._content[negatives]
        right = scale * (prior * target).sum(-1) + (hidden * self.item(target)).sum(-1)
        return right, scale * (prior @ negative.T) + hidden @ self.item(negative).T

    def optimiser(self, settings: Settings) -> torch.optim.AdamW:
        """AdamW with the prior's sharpness as fast as ours."""
        groups: list[dict[str, Any]] = [
            {"params": [p for p in self.parameters() if p is not self.log_scale]},
            {"params": [self.log_scale], "lr": SCALE_SPEED * settings.learning_rate},
        ]
        return torch.optim.AdamW(groups, lr=settings.learning_rate)


def _decay(seq: int) -> Tensor:
    """Weight of each event in the prior's query at each position. (seq, seq)."""
    age = torch.arange(seq).unsqueeze(1) - torch.arange(seq)
    return torch.where(age >= 0, PRIOR_DECAY ** age.clamp_min(0), 0.0)


class PlainIds(nn.Module):
    """SASRec."""

    def __init__(self, config: EncoderConfig, items: int, dropout: float) -> None:
        super().__init__()
        self.item = nn.Embedding(items, config.dim)
        self.position = nn.Embedding(config.max_events, config.dim)
        self.drop = nn.Dropout(dropout)
        self.encoder = _transformer(config, functional.relu, dropout)

    def forward(self, batch: Batch, negatives: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the targets (users, seq) and of the negatives (users, seq, negatives)."""
        items = torch.from_numpy(batch.items).clamp_min(0)
        hidden = self.drop(self.item(items) + self.position.weight[: items.shape[1]])
        hidden = _attended(self.encoder, hidden)
        target = self.item(torch.from_numpy(batch.targets).clamp_min(0))
        return (hidden * target).sum(-1), hidden @ self.item(negatives).T

    def optimiser(self, settings: Settings) -> torch.optim.AdamW:
        """AdamW over all tables."""
        return torch.optim.AdamW(self.parameters(), lr=settings.learning_rate)


def plain_losses(model: PlainContent | PlainIds, batch: Batch, negatives: Tensor) -> Tensor:
    """Cross-entropy of every position, 0 where there is no target. (users, seq)."""
    right, wrong = model(batch, negatives)
    targets = torch.from_numpy(batch.targets)
    wrong = wrong.masked_fill(targets.unsqueeze(-1) == negatives, -torch.inf)
    logits = torch.cat([right.unsqueeze(-1), wrong], dim=-1)  # (users, seq, 1 + negatives)
    labels = torch.where(targets >= 0, 0, IGNORED)
    return functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="none"
    ).view_as(targets)


@dataclass
class PlainLoop:
    """Trains a plain model pass by pass.

    Attributes:
        per_user: the loss is the mean over users of each user's mean; else over all positions.
        clipped: the gradient is, to norm 1.
    """

    model: PlainContent | PlainIds
    workspace: Workspace
    settings: Settings
    targets: Targets
    per_user: bool
    clipped: bool
    random: np.random.Generator

    def __post_init__(self) -> None:
        """An optimiser that lives through all passes."""
        self._optimiser = self.model.optimiser(self.settings)

    def one_pass(self, users: Ints) -> None:
        """Every user once."""
        for part in batches(users, self.settings, 1.0, self.random):
            batch = self.workspace.sequences.training_batch(part, self.random, targets=self.targets)
            drawn = self.random.integers(0, self.workspace.items, size=self.settings.negatives)
            loss = self.loss(padded(batch, self.workspace.max_events), torch.from_numpy(drawn))
            self._optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch ships it untyped
            if self.clipped:
                nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self._optimiser.step()

    def loss(self, batch: Batch, negatives: Tensor) -> Tensor:
        """A scalar."""
        losses = plain_losses(self.model, batch, negatives)
        counted = torch.from_numpy(batch.targets >= 0)
        if self.per_user:
            return (losses.sum(dim=1) / counted.sum(dim=1).clamp_min(1)).mean()
        return losses.sum() / counted.sum().clamp_min(1)


def padded(batch: Batch, seq: int) -> Batch:
    """The batch with columns of padding up to `seq`."""
    more = ((0, 0), (0, seq - batch.items.shape[1]))

    def widen(column: Ints, value: int) -> Ints:
        return np.pad(column, more, constant_values=value)

    return Batch(
        widen(batch.items, -1),
        widen(batch.behaviours, 0),
        widen(batch.gaps, 0),
        widen(batch.targets, -1),
    )
