"""What each side of `isthmus benchmark dp` is given: windows of users, a catalogue, an encoder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from isthmus.encoder import EncoderConfig, SharedEncoder, initial_encoder
from isthmus.encoder_config import PRIVATE_ADAPTER_WIDTH, default_encoder
from isthmus_client.dp import micro_batches
from isthmus_client.sequences import Batch, Ints
from isthmus_client.training import generator

EVENTS = 50  # of a window, at most
SHORTEST = 5
CLIPPING_NORM = 1.0


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


def cross_entropy(right: Tensor, wrong: Tensor, targets: Tensor, negatives: Tensor) -> Tensor:
    """Of every position; a negative that is the target is left out. (positions,)."""
    wrong = wrong.masked_fill(targets.unsqueeze(1) == negatives, -torch.inf)
    logits = torch.cat([right.unsqueeze(1), wrong], dim=1)
    labels = torch.zeros(len(logits), dtype=torch.long)
    return functional.cross_entropy(logits, labels, reduction="none")
