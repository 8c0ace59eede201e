"""Micro-batches and models for the private engine, and the slow truth: one user at a time."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from isthmus.encoder import EncoderConfig, Table, initial_encoder
from isthmus_client.content_loss import content_loss
from isthmus_client.dp.clipping import MARGIN
from isthmus_client.sequences import Batch

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
CONFIG = EncoderConfig(content=7, dim=6, layers=2, heads=3, expansion=2, max_events=9)
COLUMNS = ("items", "behaviours", "gaps", "targets")


def drawn_batch(users, items, seed, *, longest=9, empty=()):
    """Left-aligned random windows; the users of `empty` have events but no target."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, longest + 1, size=users)
    shape = (users, int(lengths.max(initial=1)))
    valid = np.arange(shape[1]) < lengths[:, None]
    targets = np.where(valid & (random.random(shape) < 0.8), random.integers(items, size=shape), -1)
    targets[list(empty)] = -1
    return Batch(
        np.where(valid, random.integers(items, size=shape), -1),
        np.where(valid, random.integers(1, 11, size=shape), 0),
        np.where(valid, random.integers(16, size=shape), 0),
        targets,
    )


def rows_of(batch, users):
    """Some users of a batch, in the order given."""
    return Batch(*(getattr(batch, name)[users] for name in COLUMNS))


def drawn_encoder(seed, dtype=torch.float64, config=CONFIG):
    """An encoder whose item side is not zero, so that everything has a gradient."""
    encoder = initial_encoder(config, seed)
    with torch.no_grad():
        encoder.item.weight.normal_(std=0.7, generator=torch.Generator().manual_seed(seed))
    return encoder.to(dtype)


def drawn_content(items, seed, dtype=torch.float64, width=CONFIG.content):
    """Unit content vectors."""
    source = torch.Generator().manual_seed(seed)
    drawn = torch.randn(items, width, generator=source, dtype=torch.float64)
    return functional.normalize(drawn, dim=1).to(dtype)


def drawn_negatives(items, count, seed):
    return torch.randint(items, (count,), generator=torch.Generator().manual_seed(seed))


class Given:
    """Stands for a generator where `content_loss` draws its negatives."""

    def __init__(self, negatives):
        self._negatives = negatives.numpy()

    def integers(self, _low, _high, size):
        assert size == len(self._negatives)
        return self._negatives


def gradient(module, loss):
    """A copy of the gradient of one loss by each trainable parameter, zero where it has none."""
    named = {n: p for n, p in module.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    pairs = zip(named.items(), found, strict=True)
    return {n: torch.zeros_like(p) if g is None else g for (n, p), g in pairs}


def norm(tensors):
    """Euclidean length over all tensors together."""
    return math.sqrt(sum(float(t.double().square().sum()) for t in tensors.values()))


def difference(one, other):
    return {name: one[name] - other[name] for name in one}


def clipped_by_hand(module, losses, clipping_norm):
    """The sum of clipped gradients of a list of losses."""
    named = module.named_parameters()
    total = {n: torch.zeros_like(p) for n, p in named if p.requires_grad}
    for loss in losses:
        own = gradient(module, loss)
        length = norm(own)
        factor = min(1.0, clipping_norm * (1 - MARGIN) / length) if length else 1.0
        total = {name: total[name] + factor * own[name] for name in total}
    return total


def slow_sum(encoder, batch, content, negatives, clipping_norm):
    """`clipped_sum` by one backward pass of `content_loss` for each user."""
    alone = (rows_of(batch, [user]) for user in range(len(batch.items)))
    losses = (
        content_loss(encoder, one, content, Given(negatives), len(negatives))
        for one in alone
        if (one.targets >= 0).any()
    )
    return clipped_by_hand(encoder, losses, clipping_norm)


def assert_same(found, expected, dtype):
    """Relative to the whole sum, and to each tensor where that is no rounding dust."""
    whole = norm(expected)
    assert set(found) == set(expected)
    assert norm(difference(found, expected)) <= TOLERANCE[dtype] * whole


class Zoo(nn.Module):
    """Every kind of layer that the engine knows; one of them is called twice."""

    def __init__(self, ids, width, hidden, *, table=True):
        super().__init__()
        self.embedding = (Table if table else nn.Embedding)(ids, width)
        self.first = nn.Linear(width, hidden)
        self.twice = nn.Linear(hidden, hidden, bias=False)
        self.normal = nn.LayerNorm(hidden)
        self.head = nn.Linear(hidden, 2)

    def forward(self, ids):
        """(users, seq) -> losses (users,)."""
        hidden = torch.tanh(self.first(self.embedding(ids)))
        hidden = self.twice(torch.tanh(self.twice(hidden)))
        pooled = self.normal(hidden).square().mean(dim=1)  # (users, hidden): no positions any more
        return self.head(pooled).square().sum(dim=1)


def drawn_zoo(seed, dtype=torch.float64, *, ids=11, width=4, hidden=5, table=True):
    """A zoo with values of its own generator."""
    zoo = Zoo(ids, width, hidden, table=table).to(dtype)
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in zoo.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=source))
    return zoo
