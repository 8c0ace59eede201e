"""The shared encoder's score as a signal, for one encoder or for several at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from isthmus.encoder import SharedEncoder
from isthmus_client.model import last_positions, queries
from isthmus_client.sequences import Ints, Sequences
from isthmus_client.signals.cut import Cut
from isthmus_client.signals.level import Signals, level
from isthmus_client.workspace import Workspace


@dataclass(frozen=True)
class ContentSignals:
    """What encoders say at one cut; item vectors and the prior's part are computed once.

    Attributes:
        encoders: fixed from now on: a training step on one would go unseen.
    """

    workspace: Workspace
    cut: Cut
    encoders: Sequence[SharedEncoder]

    def __call__(self, users: Ints) -> list[Signals]:
        """The released content score of each encoder, made level. (users, items) each."""
        if not users.size or not self.encoders:
            return [np.zeros((users.size, self.workspace.items), np.float32) for _ in self.encoders]
        content = self.workspace.content
        batch, made = self._sequences.latest(users), []
        at, prior = last_positions(batch), None
        with torch.no_grad():
            for encoder, table in zip(self.encoders, self._tables, strict=True):
                query = queries(encoder, batch, content, at)
                if prior is None:  # no encoder has a say in it
                    prior = query.prior.numpy() @ content.numpy().T  # (users, items)
                learned = query.user.numpy() @ table
                learned += float(encoder.scale) * prior
                made.append(level(learned, out=learned))
        return made

    @cached_property
    def _tables(self) -> list[Signals]:
        """Every encoder's item vectors. (dim, items) each."""
        with torch.no_grad():
            return [_items(encoder, self.workspace.content) for encoder in self.encoders]

    @cached_property
    def _sequences(self) -> Sequences:
        workspace = self.workspace
        return Sequences(
            workspace.platform.histories,
            self.cut.stop,
            max_events=workspace.max_events,
            horizon=1,
        )


def _items(encoder: SharedEncoder, content: Tensor) -> Signals:
    return np.ascontiguousarray(encoder.items(content).numpy().T)
