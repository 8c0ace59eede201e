"""All signals of users and items at a cut, made comparable from user to user and shop to shop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch.nn import functional

from isthmus.encoder import SharedEncoder
from isthmus.ranker import SIGNALS
from isthmus_client.baselines import interactions
from isthmus_client.model import content_logits, last_positions, queries
from isthmus_client.sequences import Ints, Sequences
from isthmus_client.signals.collaborative import Collaborative, fit_collaborative
from isthmus_client.signals.cut import Cut
from isthmus_client.signals.items import ITEM_SIGNALS, item_signals
from isthmus_client.signals.recent import last_moment_rows, recent_rows
from isthmus_client.workspace import Workspace

Signals = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]

CONTENT = SIGNALS.index("content")  # the one signal that depends on an encoder
LIKE_MINDED = 100  # users whose items a user is shown
BLOCK = 32  # users whose signals are made at once; bounds memory at BLOCK * signals * items * 4


@dataclass(frozen=True)
class SignalTable:
    """Signals of one platform at one cut.

    Attributes:
        encoder: the shared encoder whose score is a signal; None = the untrained prior alone.
    """

    workspace: Workspace
    cut: Cut
    encoder: SharedEncoder | None = None

    def blocks(self, users: Ints) -> Iterator[tuple[slice, Signals]]:
        """Signals of some users, a block of them at a time: (block, signals, items)."""
        for start in range(0, users.size, BLOCK):
            rows = slice(start, min(start + BLOCK, users.size))
            yield rows, self.of(users[rows])

    def of(self, users: Ints) -> Signals:
        """Signals of every item for some users, in the order of SIGNALS.

        Each signal has mean 0 and deviation 1 over the catalogue for each user, so that a ranker
        reads any platform's; one that does not vary, or that a platform lacks, is 0. The length
        of the user's history is the same for all items and stays a level of its own.

        Returns:
            (users, signals, items)
        """
        made = self._made(users)
        signals = np.empty((users.size, len(SIGNALS), self.workspace.items), dtype=np.float32)
        for place, name in enumerate(SIGNALS):
            signals[:, place] = made[name]()
        return signals

    def _made(self, users: Ints) -> dict[str, Callable[[], Signals]]:
        """How each signal is made: (users, items) or (1, items)."""
        own = self.workspace.platform.histories
        place = (own, self.cut.stop, users, self.workspace.items)
        known = self._known[users]
        recent, basket = recent_rows(*place, decay=0.9), last_moment_rows(*place)
        model = self._collaborative
        length = np.log1p(np.diff(known.indptr))[:, None] / 3.0 - 1.0
        return {
            **{n: (lambda n=n: self._items[n][None, :]) for n in ITEM_SIGNALS},  # type: ignore[misc]
            "knn": lambda: level(np.log1p(10 * model.knn(known))),
            "knn_recent": lambda: level(np.log1p(10 * model.knn(recent))),
            "knn_last": lambda: level(np.log1p(10 * model.knn(basket))),
            "ease": lambda: level(model.ease(known)),
            "ease_recent": lambda: level(model.ease(recent)),
            "svd": lambda: level(model.svd(known)),
            "transition": lambda: level(np.log1p(50 * model.follow(recent))),
            "user_knn": lambda: level(self._like_minded(known)),
            "prior_fast": lambda: level(self._prior(recent_rows(*place, decay=0.8))),
            "prior_slow": lambda: level(self._prior(recent_rows(*place, decay=0.97))),
            "text_knn": lambda: level(np.asarray((recent @ self._alike).toarray())),
            "category": lambda: level(self._category(known)),
            "category_last": lambda: level(self._category(basket)),
            "category_popularity": lambda: level(self._category_popularity),
            "price_gap": lambda: level(self._price_gap(known)),
            "content": lambda: level(self.content(self.encoder, users)),
            "history_length": lambda: length.astype(np.float32),
        }

    @cached_property
    def _counts(self) -> sparse.csr_matrix:
        histories = self.workspace.platform.histories
        return interactions(histories, self.cut.counted, self.workspace.items)

    @cached_property
    def _known(self) -> sparse.csr_matrix:
        """1 where a user met an item before the cut. (users, items)."""
        histories = self.workspace.platform.histories
        known = interactions(histories, self.cut.stop, self.workspace.items)
        known.data[:] = 1.0
        return known

    @cached_property
    def _collaborative(self) -> Collaborative:
        return fit_collaborative(self.workspace.platform.histories, self.cut.counted, self._counts)

    @cached_property
    def _items(self) -> dict[str, Signals]:
        histories = self.workspace.platform.histories
        made = item_signals(histories, self.cut.counted, self.workspace.items)
        return {name: level(column[None, :])[0] for name, column in made.items()}

    @cached_property
    def _categories(self) -> sparse.csr_matrix:
        """1 where an item is of a category. (items, categories)."""
        names = self.workspace.platform.catalogue.categories
        codes = np.unique(np.asarray(names, dtype=object).astype(str), return_inverse=True)[1]
        ones = np.ones(codes.size, dtype=np.float32)
        return sparse.csr_matrix((ones, (np.arange(codes.size), codes)))

    @cached_property
    def _category_popularity(self) -> Signals:
        """Log of the users' items in each item's category. (1, items)."""
        users = np.bincount(self._counts.indices, minlength=self.workspace.items)
        total = self._categories @ (self._categories.T @ users)
        return np.asarray(np.log1p(total), dtype=np.float32)[None, :]

    @property
    def _alike(self) -> sparse.csr_matrix:
        """Cosines of items with the most similar texts. (items, items)."""
        return self.workspace.alike

    @cached_property
    def _met(self) -> sparse.csr_matrix:
        """1 where a user who counts met an item, rows scaled to length one. (users, items)."""
        met = self._counts.copy().astype(np.float32)
        met.data[:] = 1.0
        sizes = np.sqrt(np.maximum(np.diff(met.indptr), 1))
        return (sparse.diags_array((1.0 / sizes).astype(np.float32)) @ met).tocsr()

    def _like_minded(self, known: sparse.csr_matrix) -> Signals:
        """What the most similar users met, by their similarity. (users, items)."""
        similar = (known @ self._met.T).toarray()
        if similar.shape[1] > LIKE_MINDED:
            best = np.partition(similar, -LIKE_MINDED, axis=1)[:, -LIKE_MINDED, None]
            similar = np.where(similar >= best, similar, 0.0)
        return np.asarray((sparse.csr_matrix(similar) @ self._met).toarray())

    @cached_property
    def _log_prices(self) -> npt.NDArray[np.float32]:
        """NaN where unknown. (items,)."""
        prices = self.workspace.platform.catalogue.prices
        return np.log(np.where(prices > 0, prices, np.nan)).astype(np.float32)

    def _price_gap(self, known: sparse.csr_matrix) -> Signals:
        """How far an item's log price is from the user's mean; 0 where either is unknown."""
        there = np.isfinite(self._log_prices).astype(np.float32)
        count = np.asarray(known @ there)
        mean = np.asarray(known @ np.nan_to_num(self._log_prices)) / np.maximum(count, 1.0)
        gap = np.abs(self._log_prices[None, :] - mean[:, None])
        return np.where(np.isfinite(gap) & (count[:, None] > 0), gap, 0.0).astype(np.float32)

    @cached_property
    def _sequences(self) -> Sequences:
        workspace = self.workspace
        return Sequences(
            workspace.platform.histories,
            self.cut.stop,
            max_events=workspace.max_events,
            horizon=1,
        )

    def _prior(self, rows: sparse.csr_matrix) -> Signals:
        """Cosine of items and the decayed mean of the history's content. (users, items)."""
        content = self.workspace.content
        query = functional.normalize(torch.from_numpy(rows @ content.numpy()), dim=-1)
        return np.asarray((query @ content.T).numpy())

    def _category(self, rows: sparse.csr_matrix) -> Signals:
        """Log share of the rows' items that are in each item's category. (users, items)."""
        shares = np.asarray((rows @ self._categories).toarray())
        shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1.0)
        return np.asarray(np.log(shares + 0.01)[:, self._categories.indices], dtype=np.float32)

    def known(self, users: Ints) -> sparse.csr_matrix:
        """1 where a user met an item before the cut. (users, items)."""
        return self._known[users]

    def content(self, encoder: SharedEncoder | None, users: Ints) -> Signals:
        """The released content score; without an encoder nothing. (users, items)."""
        if encoder is None:
            return np.zeros((users.size, self.workspace.items), dtype=np.float32)
        content = self.workspace.content
        with torch.no_grad():
            batch = self._sequences.latest(users)
            query = queries(encoder, batch, content, last_positions(batch))
            return np.asarray(content_logits(encoder, query, content).numpy())


def level(values: Signals) -> Signals:
    """Mean 0 and deviation 1 over the catalogue for each user; what does not vary is 0."""
    centred = values - values.mean(axis=1, keepdims=True)
    return np.asarray(centred / (centred.std(axis=1, keepdims=True) + 1e-3), dtype=np.float32)
