"""A platform's whole model: the shared encoder, the private head, and how they score items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from isthmus.encoder import PrivateModule, SharedEncoder
from isthmus_client.sequences import Batch

PRIOR_DECAY = 0.8  # weight of an event in the prior's query, per event that came after it


class PrivateHead(PrivateModule):
    """What a platform fits at home: item residuals, item biases and mixing weights.

    All start at values that leave the shared model's scores as they are.
    """

    def __init__(self, items: int, dim: int) -> None:
        super().__init__()
        self.residual = nn.Parameter(torch.zeros(items, dim))
        self.bias = nn.Parameter(torch.zeros(items))
        self.prior_weight = nn.Parameter(torch.ones(()))
        self.content_weight = nn.Parameter(torch.ones(()))


class PlatformModel(nn.Module):
    """Shared encoder and private head, side by side."""

    def __init__(self, shared: SharedEncoder, head: PrivateHead) -> None:
        super().__init__()
        self.shared = shared
        self.private = head


@dataclass(frozen=True)
class Queries:
    """What a user is compared to items with, at the positions asked for.

    Attributes:
        prior: unit recency-decayed mean of the history's content. (positions, content)
        user: `f` of the shared encoder. (positions, dim)
    """

    prior: Tensor
    user: Tensor


def content_of(batch: Batch, content: Tensor) -> Tensor:
    """Content vectors of a batch's events, zero where padded. (users, seq, content)."""
    items = torch.from_numpy(batch.items).to(content.device)
    return content[items.clamp_min(0)] * (items >= 0).unsqueeze(-1)


def prior_queries(events: Tensor, decay: float = PRIOR_DECAY) -> Tensor:
    """Recency-decayed sums of the content so far, scaled to length one.

    Args:
        events: content vectors, zero where padded. (users, seq, content)

    Returns:
        (users, seq, content)
    """
    return nn.functional.normalize(decayed_sums(events, decay), dim=-1)


def decayed_sums(events: Tensor, decay: float = PRIOR_DECAY) -> Tensor:
    """Sums over the events so far, each `decay` times less for every event after it.

    A running sum, unless a gradient has to pass: then one product, which autograd can follow.

    Args:
        events: (users, seq, content)

    Returns:
        (users, seq, content)
    """
    if not events.requires_grad:
        return decay_in_place(events.clone(), decay)
    order = torch.arange(events.shape[1], device=events.device)
    age = order.unsqueeze(1) - order  # (seq, seq), position minus event
    weights = torch.where(age >= 0, decay ** age.clamp_min(0), 0.0)
    return weights.to(events) @ events


def decay_in_place(events: Tensor, decay: float = PRIOR_DECAY) -> Tensor:
    """As `decayed_sums`, written over the events; no gradient passes. (users, seq, content)."""
    for place in range(1, events.shape[1]):
        events[:, place].add_(events[:, place - 1], alpha=decay)
    return events


def queries(shared: SharedEncoder, batch: Batch, content: Tensor, at: Tensor) -> Queries:
    """Queries at chosen positions.

    Args:
        content: whitened content vectors of the catalogue. (items, content)
        at: True where a query is wanted. (users, seq)
    """
    events = content_of(batch, content)
    behaviours = torch.from_numpy(batch.behaviours).to(content.device)
    gaps = torch.from_numpy(batch.gaps).to(content.device)
    user = shared.users(events, behaviours, gaps)
    return Queries(prior_queries(events)[at], user[at])


def content_logits(shared: SharedEncoder, query: Queries, content: Tensor) -> Tensor:
    """The federated part of the score: prior and shared encoder alone. (positions, items)."""
    prior = query.prior @ content.T
    return shared.scale * prior + query.user @ shared.items(content).T


def logits(model: PlatformModel, query: Queries, content: Tensor, items: Tensor) -> Tensor:
    """The full score with the private head.

    Args:
        content: content vectors of the candidates. (candidates, content)
        items: their catalogue rows. (candidates,)

    Returns:
        (positions, candidates)
    """
    shared, head = model.shared, model.private
    prior = shared.scale * head.prior_weight * (query.prior @ content.T)
    table = head.content_weight * shared.items(content) + head.residual[items]
    return prior + query.user @ table.T + head.bias[items]


def last_positions(batch: Batch) -> Tensor:
    """True at each history's last event. (users, seq)."""
    at = np.zeros(batch.items.shape, dtype=bool)
    at[np.arange(len(at)), np.maximum(batch.lengths - 1, 0)] = True
    return torch.from_numpy(at)


def as_tensor(matrix: npt.NDArray[np.float32]) -> Tensor:
    """A NumPy matrix as a tensor on the CPU."""
    return torch.from_numpy(np.ascontiguousarray(matrix))
