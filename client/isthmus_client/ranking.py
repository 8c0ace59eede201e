"""Full-ranking evaluation: every item of the catalogue is ranked, never a sample.

Ties get their expected rank, so that the order of a file earns nothing: a constant score puts every
item on the middle rank. Metrics follow
Järvelin and Kekäläinen 2002 (NDCG with binary gains); hit rate and reciprocal rank use a user's
best-ranked target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from isthmus.behaviours import behaviour_code
from isthmus_client.histories import Histories, Split

Window = Literal["validation", "test"]
Scores = npt.NDArray[np.float32]
Scorer = Callable[[npt.NDArray[np.int64]], Scores]
"""From users to a score for every item: (users,) -> (users, items)."""

CUTOFF = 10  # ranks that NDCG, hit rate and coverage look at
CHUNK = 256  # users scored at once; bounds memory at CHUNK * items * 4 bytes


@dataclass(frozen=True)
class Task:
    """Who is ranked for in a window, and what counts as a hit.

    Attributes:
        users: those with at least one target. (tasks,)
        history: 1 where a user met an item before the window. (tasks, items)
        targets: 1 where a user meets an item in the window. (tasks, items)
        masked: whether items of the history are left out of the ranking.
    """

    users: npt.NDArray[np.int64]
    history: sparse.csr_matrix
    targets: sparse.csr_matrix
    masked: bool


@dataclass(frozen=True)
class Ranking:
    """Metrics per user, in the order of the task's users, and where every target was ranked.

    Attributes:
        coverage: share of the catalogue that is in at least one user's top list.
        target_ranks: expected rank of every target. (targets,)
        target_rows: place of its user in `users`. (targets,)
        target_items: its catalogue row. (targets,)
    """

    users: npt.NDArray[np.int64]
    ndcg: npt.NDArray[np.float64]
    hit: npt.NDArray[np.float64]
    reciprocal: npt.NDArray[np.float64]
    coverage: float
    target_ranks: npt.NDArray[np.float64]
    target_rows: npt.NDArray[np.int64]
    target_items: npt.NDArray[np.int64]

    @property
    def mean_ndcg(self) -> float | None:
        """NDCG@10 over users; None without users."""
        return float(self.ndcg.mean()) if self.users.size else None

    def summary(self) -> dict[str, float]:
        """Means over users under the names of results.json; NaN without users."""
        if not self.users.size:
            return dict.fromkeys(("ndcg@10", "hr@10", "mrr"), float("nan")) | {"users": 0.0}
        return {
            "ndcg@10": float(self.ndcg.mean()),
            "hr@10": float(self.hit.mean()),
            "mrr": float(self.reciprocal.mean()),
            "coverage@10": self.coverage,
            "users": float(self.users.size),
        }


def build_task(
    histories: Histories,
    split: Split,
    window: Window,
    items: int,
    *,
    masked: bool = True,
    users: npt.NDArray[np.int64] | None = None,
) -> Task:
    """The users and targets of a window.

    Args:
        items: size of the catalogue.
        masked: True asks for items new to the user (primary); False for all, repeats included.
        users: who may take part; None = everyone.
    """
    start, stop = window_bounds(histories, split, window)
    history = _incidence(histories, histories.offsets[:-1], start, items)
    targets = _incidence(histories, start, stop, items, skip=behaviour_code("return"))
    if masked:
        targets = targets - targets.multiply(history)
        targets.eliminate_zeros()
    eligible = np.diff(targets.indptr) > 0
    eligible &= start > histories.offsets[:-1]  # without a history there is nothing to rank from
    chosen = np.flatnonzero(eligible)
    if users is not None:
        chosen = np.intersect1d(chosen, users)
    return Task(chosen, history[chosen], targets[chosen].tocsr(), masked)


def window_bounds(
    histories: Histories, split: Split, window: Window
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First and one-past-last event position of each user's window. (users,), (users,)."""
    if window == "validation":
        return split.train_stop, split.validation_stop
    return split.validation_stop, histories.offsets[1:]


def _incidence(
    histories: Histories,
    start: npt.NDArray[np.int64],
    stop: npt.NDArray[np.int64],
    items: int,
    skip: int | None = None,
) -> sparse.csr_matrix:
    """1 where a user has an event on an item at positions start..stop. (users, items)."""
    lengths = np.diff(histories.offsets)
    user = np.repeat(np.arange(histories.users), lengths)
    position = np.arange(histories.events)
    inside = (position >= start[user]) & (position < stop[user])
    if skip is not None:
        inside &= histories.behaviours != skip
    rows, columns = user[inside], histories.items[inside]
    ones = np.ones(rows.size, dtype=np.float32)
    matrix = sparse.csr_matrix((ones, (rows, columns)), shape=(histories.users, items))
    matrix.data[:] = 1.0  # duplicates were summed
    return matrix


def rank(task: Task, scorer: Scorer) -> Ranking:
    """Rank the catalogue for every user of the task and measure the lists."""
    return rank_all(task, ("",), lambda users: (scorer(users),))[""]


def rank_all(
    task: Task,
    names: Sequence[str],
    score: Callable[[npt.NDArray[np.int64]], Sequence[Scores]],
    *,
    chunk: int = CHUNK,
) -> dict[str, Ranking]:
    """Rankings of several models that share the work of scoring.

    Args:
        names: of the models.
        score: from users to each model's scores, in the order of `names`. (users, items) each
        chunk: users scored at once.
    """
    ranks: dict[str, list[npt.NDArray[np.float64]]] = {name: [np.zeros(0)] for name in names}
    seen = {name: np.zeros(task.history.shape[1], dtype=bool) for name in names}
    for rows in _chunks(task.users.size, chunk):
        known = task.history[rows].nonzero()
        for name, given in zip(names, score(task.users[rows]), strict=True):
            scores = given.astype(np.float32, copy=True)  # (rows, items)
            if task.masked:
                scores[known] = -np.inf
            ranks[name].append(expected_ranks(scores, task.targets[rows])[0])
            seen[name][_top(scores)] = True
    row, item = (axis.astype(np.int64) for axis in task.targets.nonzero())
    return {n: _ranking(task, np.concatenate(ranks[n]), row, item, seen[n]) for n in names}


def _chunks(total: int, chunk: int) -> Iterator[slice]:
    return (slice(start, min(start + chunk, total)) for start in range(0, total, chunk))


def _ranking(
    task: Task,
    ranks: npt.NDArray[np.float64],
    row: npt.NDArray[np.int64],
    item: npt.NDArray[np.int64],
    seen: npt.NDArray[np.bool_],
) -> Ranking:
    ndcg, hit, reciprocal = user_metrics(ranks, row, task.users.size).T
    coverage = float(seen.mean()) if seen.size else 0.0
    return Ranking(task.users, ndcg, hit, reciprocal, coverage, ranks, row, item)


def expected_ranks(
    scores: Scores, targets: sparse.csr_matrix
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Rank of every target (1 = best, ties at their mean rank) and its row, both (targets,).

    What is better is counted for each target, or looked up in sorted rows where targets are many.
    """
    row, column = targets.nonzero()
    if row.size > COUNTED * scores.shape[0]:
        return _sorted_ranks(scores, row, column), row.astype(np.int64)
    ranks = np.empty(row.size)
    for place, (one, item) in enumerate(zip(row.tolist(), column.tolist(), strict=True)):
        mine = scores[one]
        better = np.count_nonzero(mine > mine[item])
        ranks[place] = (1.0 + better + np.count_nonzero(mine >= mine[item])) / 2.0
    return ranks, row.astype(np.int64)


COUNTED = 16  # targets of a user, in the mean, up to which counting is quicker than sorting


def _sorted_ranks(
    scores: Scores, row: npt.NDArray[np.int32], column: npt.NDArray[np.int32]
) -> npt.NDArray[np.float64]:
    """The same by sorting every row; `row` ascends. (targets,)."""
    ordered = torch.from_numpy(np.sort(scores, axis=1))
    counts = np.bincount(row, minlength=scores.shape[0])
    slot = np.arange(row.size) - np.repeat(np.cumsum(counts) - counts, counts)
    values = torch.full((scores.shape[0], max(int(counts.max(initial=0)), 1)), torch.inf)
    values[row, slot] = torch.from_numpy(scores[row, column])  # (rows, most targets)
    below = torch.searchsorted(ordered, values, side="left").numpy()[row, slot]
    up_to = torch.searchsorted(ordered, values, side="right").numpy()[row, slot]
    better, equal = scores.shape[1] - up_to, up_to - below - 1
    return np.asarray(1.0 + better + equal / 2.0)


def user_metrics(
    ranks: npt.NDArray[np.float64], row: npt.NDArray[np.int64], rows: int
) -> npt.NDArray[np.float64]:
    """NDCG@10, hit@10 and reciprocal rank per row from its targets' ranks. (rows, 3)."""
    gains = np.where(ranks <= CUTOFF, 1.0 / np.log2(1.0 + ranks), 0.0)
    dcg = np.bincount(row, weights=gains, minlength=rows)
    best = np.full(rows, np.inf)
    np.minimum.at(best, row, ranks)
    ideal = np.cumsum(1.0 / np.log2(np.arange(2, CUTOFF + 2)))
    counts = np.clip(np.bincount(row, minlength=rows), 1, CUTOFF)
    ndcg = np.minimum(dcg / ideal[counts - 1], 1.0)  # more than ten targets may tie at rank ten
    return np.stack([ndcg, (best <= CUTOFF).astype(float), 1.0 / best], axis=1)


def _top(scores: Scores) -> npt.NDArray[np.int64]:
    """Items in any row's top list; a masked item is in none. (listed,)."""
    width = min(CUTOFF, scores.shape[1])
    best = torch.topk(torch.from_numpy(scores), width, dim=1, sorted=False)
    return np.asarray(best.indices.numpy()[best.values.numpy() > -np.inf])
