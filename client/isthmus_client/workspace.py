"""A platform's data in the form that training and evaluation read, made once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse
from torch import Tensor

from isthmus_client.baselines import interactions, item_similarity, most_alike
from isthmus_client.content import whiten
from isthmus_client.histories import Split
from isthmus_client.memo import Memo
from isthmus_client.model import as_tensor
from isthmus_client.platform import Platform
from isthmus_client.ranking import Window, window_bounds
from isthmus_client.sequences import Ints, Sequences

KNN_SHRINKAGE = 10.0  # of item-kNN's cosine; damps items that few users met
TEXT_NEIGHBOURS = 50  # items with similar texts that are kept for an item
CUTS = 10  # moments whose statistics are kept: two windows, three before, five of few users
HORIZON = 5  # coming new items among which a position's target is drawn


@dataclass(frozen=True)
class Workspace:
    """One platform, ready to train on.

    Attributes:
        max_events: events of a history that the encoder reads.
        training_users: who trains; None = everyone (a newcomer starts with few).
    """

    platform: Platform
    max_events: int
    training_users: Ints | None = None

    @cached_property
    def content(self) -> Tensor:
        """Whitened content vectors. (items, content)."""
        return as_tensor(whiten(self.platform.vectors))

    @cached_property
    def alike(self) -> sparse.csr_matrix:
        """Cosines of items with the most similar texts, without the item itself. (items, items)."""
        return most_alike(self.content.numpy(), TEXT_NEIGHBOURS)

    @cached_property
    def facts(self) -> Memo[object]:
        """What is counted and fitted at a cut, by the cut's key; `clear()` frees its memory."""
        return Memo(CUTS)

    @cached_property
    def sequences(self) -> Sequences:
        """Training windows: nothing at or after the validation window is in them."""
        return Sequences(
            self.platform.histories,
            self.training_stop,
            max_events=self.max_events,
            horizon=HORIZON,
        )

    @cached_property
    def training_stop(self) -> Ints:
        """Where each user's training ends; at once for users who do not train. (users,)."""
        stop = self.split.train_stop
        if self.training_users is None:
            return stop
        start = self.platform.histories.offsets[:-1].copy()
        start[self.training_users] = stop[self.training_users]
        return start

    @cached_property
    def counts(self) -> sparse.csr_matrix:
        """How often each training user met each item. (users, items)."""
        return interactions(self.platform.histories, self.training_stop, self.items)

    def counted_before(self, window: Window) -> Ints:
        """Where each training user's events before a window end; others have none. (users,).

        What is merely counted is as fresh at the test window as it would be in serving; what is
        trained has seen the training window alone.
        """
        stop = window_bounds(self.platform.histories, self.split, window)[0]
        if self.training_users is None:
            return stop
        counted = self.platform.histories.offsets[:-1].copy()
        counted[self.training_users] = stop[self.training_users]
        return counted

    def counts_before(self, window: Window) -> sparse.csr_matrix:
        """How often each training user met each item before a window. (users, items)."""
        stop = self.counted_before(window)
        return interactions(self.platform.histories, stop, self.items)

    def similarity(self, neighbours: int, window: Window = "validation") -> sparse.csr_matrix:
        """Item-kNN's similarities before a window, computed once for each. (items, items)."""
        key = (neighbours, window)
        if key not in self._similarities:
            self._similarities[key] = item_similarity(
                self.counts_before(window), neighbours=neighbours, shrinkage=KNN_SHRINKAGE
            )
        return self._similarities[key]

    @cached_property
    def _similarities(self) -> dict[tuple[int, Window], sparse.csr_matrix]:
        return {}

    @property
    def split(self) -> Split:
        """Where training, validation and test meet."""
        return self.platform.split

    @property
    def items(self) -> int:
        """Size of the catalogue."""
        return len(self.platform.catalogue)

    def histories_before(self, window: Window) -> Sequences:
        """Each user's history up to a window, to rank from."""
        start, _ = window_bounds(self.platform.histories, self.split, window)
        return Sequences(self.platform.histories, start, max_events=self.max_events, horizon=1)


def stable_order(count: int, seed: int) -> Ints:
    """A permutation that depends on the count and the seed alone. (count,)."""
    return np.random.default_rng([seed, count]).permutation(count)
