"""A two-stage ranker: candidates of single signals, ordered by gradient-boosted trees.

LambdaRank (Burges 2010) and XE-NDCG (Bruch 2021) in LightGBM (Ke et al. 2017), on the signals that
the shared ranker reads, without a shared encoder's score. The trees learn at the inner cuts of the
training window, where signals are counted before the cut and purchases lie behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property

import lightgbm
import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from isthmus.progress import Advance
from isthmus.ranker import SIGNALS
from isthmus_client.classical import fit_popularity
from isthmus_client.computing import stopwatch
from isthmus_client.contender import Contender, Trial, best_trial
from isthmus_client.evaluate import Evaluator
from isthmus_client.ranking import Scorer, Scores, Window
from isthmus_client.sequences import Ints
from isthmus_client.signals.cut import inner_cuts, task_of, window_cut
from isthmus_client.signals.table import CONTENT, SignalTable
from isthmus_client.training import generator
from isthmus_client.workspace import Workspace

NAME = "lightgbm"
USERS = 1000  # of an inner cut at most, drawn
CANDIDATES = 100  # of each source for each user
NEGATIVES = 60  # of a user at an inner cut: candidates that were not bought
TREES = (50, 100, 200)  # tried with every shape
SOURCES = (
    "popularity",
    "popularity_7d",
    "adoption_7d",
    "knn",
    "knn_recent",
    "ease",
    "svd",
    "prior_slow",
)
FLOOR = -1e6  # below the score of every tree; counts added to it stay exact in float32
MEANT = tuple(place for place in range(len(SIGNALS)) if place != CONTENT)  # what the trees read


@dataclass(frozen=True)
class Shape:
    """One configuration of the trees, tried with every number of them."""

    objective: str
    leaves: int
    learning_rate: float = 0.05
    rows_in_leaf: int = 500  # at least
    signals: float = 0.8  # share of the signals that a tree may use
    ridge: float = 10.0  # L2 on leaf values

    def parameters(self, seed: int) -> dict[str, float | str | bool]:
        """For LightGBM."""
        return {
            "objective": self.objective,
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.rows_in_leaf,
            "feature_fraction": self.signals,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "lambda_l2": self.ridge,
            "max_bin": 63,
            "lambdarank_truncation_level": 20,  # twice the ranks that NDCG@10 looks at
            "seed": seed,
            "deterministic": True,
            "num_threads": 1,
            "verbose": -1,
        }


SHAPES = (
    Shape("rank_xendcg", 7),
    Shape("lambdarank", 7),
    Shape("rank_xendcg", 15, rows_in_leaf=200),
    Shape("lambdarank", 4, signals=0.5),
)


@dataclass(frozen=True)
class Rows:
    """Candidates of some users; rows of a user stand together.

    Attributes:
        user: place among the users asked for. (rows,)
        item: catalogue row. (rows,)
        signals: of the shared ranker, less the encoder's. (rows, signals)
        bought: 1 where it is one of the user's targets; all 0 where none were given. (rows,)
    """

    user: Ints
    item: Ints
    signals: Scores
    bought: npt.NDArray[np.int8]


def fit_lightgbm(
    workspace: Workspace, *, seed: int, advance: Advance = lambda _: None
) -> Contender:
    """Train every shape of `SHAPES`, judge it with every number of trees, keep the best.

    A platform whose training window teaches nothing ranks by popularity.

    Args:
        seed: of the trees and of the sampled negatives.
        advance: called once for each shape.
    """
    spent = stopwatch()
    lessons = _joined(_lessons(workspace, seed))
    if not lessons.bought.any():
        return replace(fit_popularity(workspace), name=NAME)
    windows: tuple[Window, ...] = ("validation", "test")
    served = {window: _Served(workspace, window) for window in windows}
    trials, rankers = [], []
    for trial, ranker in _tries(served, lessons, seed, advance):
        trials.append(trial)
        rankers.append(ranker)
    chosen = best_trial(tuple(trials))
    seconds = spent()
    return Contender(NAME, rankers[chosen], tuple(trials), chosen, seconds)


def _tries(
    served: Mapping[Window, _Served], lessons: Rows, seed: int, advance: Advance
) -> Iterator[tuple[Trial, _Ranker]]:
    """Every configuration in order; the tuning users' candidates are made once for all."""
    now = served["validation"]
    judge = Evaluator(now.workspace, "validation", "tuning")
    users = judge.task.users
    asked = now.candidates(users)
    for shape in SHAPES:
        lap = stopwatch()
        booster = lightgbm.train(shape.parameters(seed), _dataset(lessons), max(TREES))
        for trees in TREES:
            ranker = _Ranker(served, booster, trees)
            scores = ranker.scores(users.size, asked, now.popularity)
            ndcg = judge.scorer(_looked_up(users, scores)).mean_ndcg
            yield Trial({**asdict(shape), "trees": trees}, ndcg, lap()), ranker
            lap = stopwatch()
        advance(1)


@dataclass(frozen=True)
class _Served:
    """What a platform is ranked from at a window; counted once, however often it is asked."""

    workspace: Workspace
    window: Window

    def candidates(self, users: Ints) -> Rows:
        """The best items of every source that are new to the user, with their signals."""
        return _joined(_rows(self._table, users, self._table.known(users), None, None))

    @cached_property
    def popularity(self) -> Scores:
        """Users of each item. (items,)."""
        counts = self.workspace.counts_before(self.window)
        return np.bincount(counts.indices, minlength=counts.shape[1]).astype(np.float32)

    @cached_property
    def _table(self) -> SignalTable:
        return SignalTable(self.workspace, window_cut(self.workspace, self.window))


@dataclass(frozen=True)
class _Ranker:
    """Candidates by the trees, then everything else by popularity."""

    served: Mapping[Window, _Served]
    booster: lightgbm.Booster
    trees: int

    def __call__(self, window: Window) -> Scorer:
        served = self.served[window]
        return lambda users: self.scores(users.size, served.candidates(users), served.popularity)

    def scores(self, users: int, rows: Rows, popularity: Scores) -> Scores:
        """A score for every item. (users, items).

        Args:
            popularity: of what is no candidate. (items,)
        """
        scores = np.tile(FLOOR + popularity, (users, 1))
        if rows.user.size:
            found = self.booster.predict(rows.signals, num_iteration=self.trees, num_threads=1)
            scores[rows.user, rows.item] = found
        return scores


def _looked_up(known: Ints, scores: Scores) -> Scorer:
    """Scores that are at hand. `known`: the users of the scores' rows, ascending."""
    return lambda users: scores[np.searchsorted(known, users)]


def _lessons(workspace: Workspace, seed: int) -> Iterator[Rows]:
    """Bought and other candidates at every inner cut.

    What was bought without being a candidate is left out, as serving would not find it either:
    were it added, low scores of every source would become a sign of a purchase.
    """
    random = generator(seed, NAME, workspace.platform.name)
    for place, cut in enumerate(inner_cuts(workspace)):
        task = task_of(workspace, cut)
        drawn = np.sort(random.permutation(task.users.size)[:USERS])
        table = SignalTable(workspace, cut)
        known, targets = task.history[drawn], task.targets[drawn]
        for rows in _rows(table, task.users[drawn], known, targets, random):
            yield replace(rows, user=rows.user + place * USERS)  # a group of its own at every cut


def _rows(
    table: SignalTable,
    users: Ints,
    known: sparse.csr_matrix,
    targets: sparse.csr_matrix | None,
    random: np.random.Generator | None,
) -> Iterator[Rows]:
    """Candidates of a block of users at a time.

    Args:
        known: what each of the users met, never a candidate. (users, items)
        targets: what each went on to buy; given, the other candidates are thinned out and users
            who bought no candidate left out: a list without a purchase teaches no order.
            (users, items)
        random: thins out.
    """
    for block, signals in table.blocks(users):
        listed = _shortlist(signals, known[block].toarray() > 0)
        bought = np.zeros_like(listed)
        if targets is not None and random is not None:
            bought = listed & (targets[block].toarray() > 0)
            listed &= bought | (random.random(listed.shape) < _share(listed))
            listed &= bought.any(axis=1, keepdims=True)
        user, item = np.nonzero(listed)
        read = np.stack([signals[user, place, item] for place in MEANT], axis=1)
        yield Rows(user + block.start, item, read, bought[user, item].astype(np.int8))


def _share(listed: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The share of each user's candidates that leaves about NEGATIVES. (users, 1)."""
    return np.asarray(NEGATIVES / np.maximum(listed.sum(axis=1, keepdims=True), 1))


def _shortlist(signals: Scores, known: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """True at a user's candidates.

    Args:
        signals: of all items. (users, signals, items)
        known: what is no candidate. (users, items)

    Returns:
        (users, items)
    """
    listed = np.zeros(known.shape, dtype=bool)
    count = min(CANDIDATES, known.shape[1])
    for source in SOURCES:
        scores = np.where(known, -np.inf, signals[:, SIGNALS.index(source)])
        best = torch.topk(torch.from_numpy(scores), count, dim=1, sorted=False).indices
        np.put_along_axis(listed, best.numpy(), values=True, axis=1)
    return np.asarray(listed & ~known)


def _joined(parts: Iterable[Rows]) -> Rows:
    """Rows of several blocks as one."""
    nothing = np.zeros(0, np.int64)
    empty = Rows(nothing, nothing, np.zeros((0, len(MEANT)), np.float32), np.zeros(0, np.int8))
    every = (empty, *parts)
    columns = [[getattr(part, field.name) for part in every] for field in fields(Rows)]
    return Rows(*(np.concatenate(column) for column in columns))


def _dataset(rows: Rows) -> lightgbm.Dataset:
    """For LightGBM, which bins a data set by the settings of its first training."""
    begins = np.flatnonzero(np.diff(rows.user, prepend=-1))
    groups = np.diff(begins, append=rows.user.size)
    return lightgbm.Dataset(rows.signals, label=rows.bought, group=groups)
