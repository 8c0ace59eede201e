"""All signals of users and items at a cut, made comparable from user to user and shop to shop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from isthmus.encoder import SharedEncoder
from isthmus.ranker import SIGNALS
from isthmus_client.sequences import Ints
from isthmus_client.signals.content import ContentSignals
from isthmus_client.signals.cut import Cut
from isthmus_client.signals.facts import Facts, facts_at
from isthmus_client.signals.items import ITEM_SIGNALS
from isthmus_client.signals.level import Signals, level, level_groups
from isthmus_client.signals.recent import last_moment_rows, recent_rows
from isthmus_client.workspace import Workspace

CONTENT = SIGNALS.index("content")  # the one signal that depends on an encoder
LIKE_MINDED = 100  # users whose items a user is shown
BLOCK = 32  # users whose signals are made at once; bounds memory at BLOCK * signals * items * 4

Write = Callable[[Signals], object]
"""Fills an array of (users, items)."""


@dataclass(frozen=True)
class SignalTable:
    """Signals of one platform at one cut. What is fitted for them belongs to the workspace.

    Attributes:
        encoder: the shared encoder whose score is a signal; None = without that signal.
    """

    workspace: Workspace
    cut: Cut
    encoder: SharedEncoder | None = None

    @property
    def facts(self) -> Facts:
        """What is counted and fitted at the cut; not held by the table."""
        return facts_at(self.workspace, self.cut)

    def known(self, users: Ints) -> sparse.csr_matrix:
        """1 where a user met an item before the cut. (users, items)."""
        return self.facts.known[users]

    def blocks(self, users: Ints) -> Iterator[tuple[slice, Signals]]:
        """Signals of some users, a block of them at a time: (block, signals, items)."""
        for start in range(0, users.size, BLOCK):
            rows = slice(start, min(start + BLOCK, users.size))
            yield rows, self.of(users[rows])

    def of(self, users: Ints) -> Signals:
        """Signals of every item for some users, in the order of SIGNALS.

        Each signal has mean 0 and deviation 1 over the catalogue for each user, so that a ranker
        reads any platform's; one that does not vary, or that a platform lacks, is 0. The length
        of the user's history and the number of users behind the statistics are the same for all
        items and stay levels of their own: they say how far the other signals can be trusted.

        Returns:
            (users, signals, items)
        """
        shape = (len(SIGNALS), users.size, self.workspace.items)
        signals = np.empty(shape, dtype=np.float32)  # a signal lies together while it is made
        writers = self._writers(users)
        for place, name in enumerate(SIGNALS):
            writers[name](signals[place])
        return signals.transpose(1, 0, 2)

    def _writers(self, users: Ints) -> dict[str, Write]:
        """How each signal is written."""
        facts, content = self.facts, self.workspace.content.numpy()
        place = (self.workspace.platform.histories, self.cut.stop, users, self.workspace.items)
        known = facts.known[users]
        recent, basket = recent_rows(*place, decay=0.9), last_moment_rows(*place)
        model = facts.collaborative
        length = np.log1p(np.diff(known.indptr))[:, None] / 3.0 - 1.0
        return {
            **{name: _same(facts.item_columns[name]) for name in ITEM_SIGNALS},
            "knn": _logs(lambda: model.knn(known), 10),
            "knn_recent": _logs(lambda: model.knn(recent), 10),
            "knn_last": _logs(lambda: model.knn(basket), 10),
            "ease": lambda out: level(model.ease(known, out), out),
            "ease_recent": lambda out: level(model.ease(recent, out), out),
            "svd": lambda out: level(model.svd(known, out), out),
            "transition": _logs(lambda: model.follow(recent), 50),
            "user_knn": _dense(lambda: like_minded(known, facts)),
            "prior_fast": lambda out: _prior(recent_rows(*place, decay=0.8), content, out),
            "prior_slow": lambda out: _prior(recent_rows(*place, decay=0.97), content, out),
            "text_knn": _dense(lambda: recent @ self.workspace.alike),
            "category": lambda out: _category(known, facts, out),
            "category_last": lambda out: _category(basket, facts, out),
            "category_popularity": _same(facts.category_popularity),
            "price_gap": lambda out: level(price_gaps(known, facts.log_prices), out),
            "content": lambda out: np.copyto(out, self._content(users)),
            "history_length": _same(length.astype(np.float32)),
            "users": _same(facts.users),
        }

    def _content(self, users: Ints) -> Signals | float:
        """The encoder's score, made level; without an encoder nothing. (users, items)."""
        return 0.0 if self._encoded is None else self._encoded(users)[0]

    @cached_property
    def _encoded(self) -> ContentSignals | None:
        return None if self.encoder is None else self.contents([self.encoder])

    def contents(self, encoders: list[SharedEncoder]) -> ContentSignals:
        """The content signal of other encoders than the table's own."""
        return ContentSignals(self.workspace, self.cut, encoders)


def _same(values: Signals) -> Write:
    """What is level already and the same for all users, or all items."""
    return lambda out: np.copyto(out, values)


def _dense(make: Callable[[], sparse.csr_matrix]) -> Write:
    """A sparse product, made level."""
    return lambda out: level(make().toarray(out=out), out)


def _logs(make: Callable[[], sparse.csr_matrix], times: float) -> Write:
    """The logarithm of 1 + `times` a sparse product, made level."""

    def write(out: Signals) -> None:
        product = make()
        product.data *= np.float32(times)
        np.log1p(product.data, out=product.data)  # what is 0 stays 0
        level(product.toarray(out=out), out)

    return write


def _prior(rows: sparse.csr_matrix, content: Signals, out: Signals) -> None:
    """Cosine of items and the decayed mean of the history's content, made level."""
    query = rows @ content
    query /= np.maximum(np.linalg.norm(query, axis=1, keepdims=True), 1e-12)
    level(np.matmul(query, content.T, out=out), out)


def _category(rows: sparse.csr_matrix, facts: Facts, out: Signals) -> None:
    """Log share of the rows' items that are in each item's category, made level."""
    shares = np.asarray((rows @ facts.categories).toarray(), dtype=np.float64)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1.0)
    of = facts.categories.indices
    np.copyto(out, level_groups(np.log(shares + 0.01), facts.category_sizes, of))


def like_minded(known: sparse.csr_matrix, facts: Facts) -> sparse.csr_matrix:
    """What the most similar users met, by their similarity. (users, items)."""
    similar = (known @ facts.met_by).tocsr()
    for begin, end in zip(similar.indptr[:-1], similar.indptr[1:], strict=True):
        row = similar.data[begin:end]
        if row.size > LIKE_MINDED:
            row[row < np.partition(row, -LIKE_MINDED)[-LIKE_MINDED]] = 0.0
    similar.eliminate_zeros()
    return similar @ facts.met


def price_gaps(known: sparse.csr_matrix, log_prices: npt.NDArray[np.float32]) -> Signals:
    """How far an item's log price is from the user's mean; 0 where either is unknown.

    Args:
        known: 1 where a user met an item. (users, items)
        log_prices: NaN where unknown. (items,)

    Returns:
        (users, items)
    """
    there = np.isfinite(log_prices)
    count = np.asarray(known @ there.astype(np.float32))
    prices = np.nan_to_num(log_prices)
    mean = np.asarray(known @ prices) / np.maximum(count, 1.0)
    gaps: Signals = np.subtract(prices[None, :], mean[:, None], dtype=np.float32)
    np.abs(gaps, out=gaps)
    gaps *= there
    gaps *= (count > 0)[:, None]
    return gaps
