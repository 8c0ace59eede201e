"""SASRec (Kang and McAuley 2018): self-attention over item ids, no content and nothing shared."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

ITEM_SPREAD = 0.01  # of the initial item embeddings; small, so that training decides about ranks


class Dropout:
    """Dropout that draws from a generator of its own.

    PyTorch's draws from one global generator, which platforms that train in parallel would share:
    then the same seed would not give the same model.

    Args:
        rate: share of the entries that become zero, in steps of 1/256; 0 = off.
    """

    def __init__(self, rate: float, random: np.random.Generator) -> None:
        self._dropped = round(rate * 256)
        self._random = random

    def __call__(self, hidden: Tensor) -> Tensor:
        """Drop entries and scale up the rest, so that the mean stays."""
        if not self._dropped:
            return hidden
        drawn = np.frombuffer(self._random.bytes(hidden.numel()), dtype=np.uint8)
        factor = np.float32(256 / (256 - self._dropped))
        kept = torch.from_numpy((drawn >= self._dropped) * factor).view(hidden.shape)
        return hidden * kept.to(hidden.device)


class AttentionBlock(nn.Module):
    """A pre-norm causal block; the feed-forward part is as wide as the model, as published."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_forward = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.output = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.widen, self.narrow = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, hidden: Tensor, drop: Dropout | None) -> Tensor:
        """One block. (batch, seq, dim) -> (batch, seq, dim)."""
        batch, seq, dim = hidden.shape
        qkv = self.qkv(self.norm_attention(hidden)).view(batch, seq, 3, self.heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (batch, heads, seq, dim / heads)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        mixed = self.output(mixed.transpose(1, 2).reshape(batch, seq, dim))
        hidden = hidden + (drop(mixed) if drop else mixed)
        widened = functional.relu(self.widen(self.norm_forward(hidden)))
        narrow: Tensor = self.narrow(drop(widened) if drop else widened)
        return hidden + (drop(narrow) if drop else narrow)


class SasRecModel(nn.Module):
    """One table of items, read on the way in and compared with on the way out."""

    def __init__(self, items: int, *, dim: int, blocks: int, heads: int, max_events: int) -> None:
        super().__init__()
        self.item = nn.Embedding(items, dim)
        self.position = nn.Embedding(max_events, dim)
        self.blocks = nn.ModuleList(AttentionBlock(dim, heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(dim)

    def forward(self, rows: Tensor, drop: Dropout | None = None) -> Tensor:
        """User representations at every position.

        Args:
            rows: embeddings of left-aligned histories; padding lies behind, unseen by attention
                that looks back. (batch, seq, dim)
            drop: in training; None = off.

        Returns:
            (batch, seq, dim)
        """
        hidden = rows + self.position.weight[: rows.shape[1]]
        hidden = drop(hidden) if drop else hidden
        for block in self.blocks:
            hidden = block(hidden, drop)
        normed: Tensor = self.norm(hidden)
        return normed


def initial_sasrec(
    items: int, *, dim: int, blocks: int, heads: int, max_events: int, seed: int
) -> SasRecModel:
    """A fresh model; the same seed gives the same bytes, whatever else is drawn meanwhile."""
    with torch.device("meta"):
        model = SasRecModel(items, dim=dim, blocks=blocks, heads=heads, max_events=max_events)
    model.to_empty(device="cpu")
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            _initialise(module, random)
    return model


def _initialise(module: nn.Module, random: torch.Generator) -> None:
    """Values of one module's own parameters."""
    if isinstance(module, nn.LayerNorm):
        module.weight.fill_(1.0)
        module.bias.zero_()
    elif isinstance(module, nn.Embedding):
        module.weight.normal_(std=ITEM_SPREAD, generator=random)
    elif isinstance(module, nn.Linear):
        nn.init.xavier_normal_(module.weight, generator=random)
        module.bias.zero_()
