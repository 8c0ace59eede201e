"""Trees of a platform's own that give a ranker's best items a new order; see `boosting`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import lightgbm
import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from isthmus_client.ranker_training import listing
from isthmus_client.ranking import Scores
from isthmus_client.signals.level import level
from isthmus_client.signals.table import CONTENT

Signals = npt.NDArray[np.float32] | npt.NDArray[np.float16]
Said = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trees:
    """Trees that give a ranker's best items a new order.

    Attributes:
        text: all that were grown, in LightGBM's own form.
        listed: how many of a user's items they order: those that a fixed mixture (`LISTING`) puts
            first, as in the examples from which they grew.
        count: how many of them are used, from the first.
        share: how much of what they say counts.
        stacked: they read the ranker's score and say all; otherwise they add to it.
        on_top: listed items stand above all others, or are dealt out anew in the places that they
            had. The mixture is a poor list where few users stand behind its signals; where many do
            it keeps out what the ranker is wrong about.

    Guarantees:
        A function of the platform's events without any noise: it is no parameter of a shared
        module and has no way into an update.
    """

    text: str
    listed: int
    count: int
    share: float
    stacked: bool = False
    on_top: bool = True

    def reorder(
        self, scores: Scores, signals: Signals, content: Scores, known: sparse.csr_matrix
    ) -> Scores:
        """Scores with each user's listed items in a new order, as `reorder_each`."""
        return reorder_each((self,), scores, signals, content, known)[0]

    def placed(
        self, scores: Scores, start: Scores, said: Said, new: npt.NDArray[np.bool_]
    ) -> Scores:
        """New scores of listed items, above all others or in their old places. (users, listed).

        Args:
            scores: of the ranker. (users, items)
            start: of the ranker for the listed. (users, listed)
            said: by the trees. (users, listed)
            new: False where an item stays as it is, if places are dealt. (users, listed)
        """
        best = self.mixed(start, said)
        if not self.on_top:
            return np.where(new, dealt(start, best, new), start)
        best += scores.max(axis=1, keepdims=True) - best.min(axis=1, keepdims=True) + 1.0
        return best

    def mixed(self, start: Scores, said: Said) -> Scores:
        """What the ranker and the trees say, together. (users, listed).

        Args:
            start: of the ranker. (users, listed)
            said: by the trees. (users, listed)
        """
        own = np.asarray(said, dtype=np.float32)
        if not self.stacked:
            return np.asarray(start + np.float32(self.share) * own)
        both = (1.0 - self.share) * level(start) + self.share * level(own)
        return np.asarray(both, dtype=np.float32)


def reorder_each(
    ways: Sequence[Trees],
    scores: Scores,
    signals: Signals,
    content: Scores,
    known: sparse.csr_matrix,
) -> list[Scores]:
    """Scores with each user's listed items in a new order; one array for each way.

    Ways that use the same trees share what these say: a longer row of trees goes on from a shorter.

    Args:
        scores: of the ranker. (users, items)
        signals: what the ranker read; what stands for the encoder's is not looked at.
            (users, signals, items)
        content: the encoder's signal. (users, items)
        known: items that are not new to the user and are not listed. (users, items)

    Returns:
        (users, items) each
    """
    rows = np.arange(len(scores))[:, None]
    made: dict[int, Scores] = {}
    for most in sorted({trees.listed for trees in ways}):
        listed, new = _listed(signals, known, most)
        start = scores[rows, listed]  # (users, listed)
        read = signals[rows, :, listed].astype(np.float32)  # (users, listed, signals)
        read[..., CONTENT] = np.take_along_axis(content, listed, axis=1)
        alike = [place for place, trees in enumerate(ways) if trees.listed == most]
        said = _said([ways[place] for place in alike], start, read)
        for place in alike:
            made[place] = scores.copy()
            made[place][rows, listed] = ways[place].placed(scores, start, said(ways[place]), new)
    return [made[place] for place in range(len(ways))]


def dealt(scores: Scores, wanted: Scores, new: npt.NDArray[np.bool_]) -> Scores:
    """The same scores, dealt out anew in the order of `wanted`; equals share their mean.

    So that the order of a file earns nothing. (users, listed) each.

    Args:
        new: False where an item takes no part and comes out as minus infinity.
    """
    scores, wanted = (np.where(new, values, -np.inf) for values in (scores, wanted))
    order = np.argsort(-wanted, axis=1)
    ordered = np.take_along_axis(wanted, order, axis=1)
    begins = np.ones(ordered.shape, dtype=bool)  # of runs of equals; none goes over a row's end
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=begins[:, 1:])
    run = np.cumsum(begins.ravel()) - 1
    falling = -np.sort(-scores, axis=1)
    mean = np.bincount(run, weights=falling.ravel()) / np.bincount(run)
    made = np.empty(scores.shape, dtype=np.float32)
    np.put_along_axis(made, order, mean[run].reshape(scores.shape), axis=1)
    return made


def _listed(
    signals: Signals, known: sparse.csr_matrix, most: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Catalogue rows of the items that the fixed mixture puts first, and whether each is new.

    Known ones are there only where a catalogue has too few others. (users, listed) each.
    """
    scores = listing(signals)
    scores[known.nonzero()] = -np.inf
    count = min(most, scores.shape[1])
    best = torch.topk(torch.from_numpy(scores), count, dim=1, sorted=False)
    return best.indices.numpy(), np.isfinite(best.values.numpy())


def _said(
    ways: Iterable[Trees], start: Scores, read: npt.NDArray[np.float32]
) -> Callable[[Trees], Said]:
    """What any of the ways' trees say of listed items, each tree asked once. (users, listed).

    Args:
        start: of the ranker. (users, listed)
        read: signals. (users, listed, signals)
    """
    counts: dict[tuple[str, bool], set[int]] = {}
    for trees in ways:
        counts.setdefault((trees.text, trees.stacked), set()).add(trees.count)
    sums: dict[tuple[str, bool, int], Said] = {}
    for (text, stacked), wanted in counts.items():
        seen = np.concatenate([read, start[..., None]], axis=2) if stacked else read
        flat = seen.reshape(-1, seen.shape[2])
        total, done = np.zeros(len(flat)), 0
        for count in sorted(wanted):
            total = total + _booster(text).predict(
                flat, start_iteration=done, num_iteration=count - done, num_threads=1
            )
            sums[text, stacked, count], done = total.reshape(start.shape), count
    return lambda trees: sums[trees.text, trees.stacked, trees.count]


@lru_cache(maxsize=8)  # reading the text takes longer than a block of users
def _booster(text: str) -> lightgbm.Booster:
    return lightgbm.Booster(model_str=text)
