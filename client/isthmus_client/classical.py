"""Baselines without a trained model, each with its grid, tuned like everything else.

Every function takes the configuration with the best NDCG@10 on the tuning users, the first of
equals. A grid begins with what the literature uses, so that a platform without tuning users gets
that. What is counted comes from the training users' events before the window that is ranked, so
that it is as fresh at the test window as it would be in serving; what is tuned has not seen it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Generic, TypeVar

from scipy import sparse

from isthmus_client.baselines import (
    fewer_neighbours,
    interactions,
    item_similarity,
    own_history,
    recency_weights,
    recent_popularity,
    same_for_all,
    text_knn,
    weighted_knn,
)
from isthmus_client.computing import stopwatch
from isthmus_client.contender import Contender, Trial, best_trial
from isthmus_client.evaluate import Evaluator
from isthmus_client.model import PRIOR_DECAY
from isthmus_client.ranking import Scorer, Window, window_bounds
from isthmus_client.sequences import Ints
from isthmus_client.workspace import KNN_SHRINKAGE, Workspace

HALF_LIVES = (0.0, 90.0, 30.0, 7.0)  # days; 0 = all time
NEIGHBOURS = (100, 20, 500)  # similar items kept for each item
SHRINKAGES = (KNN_SHRINKAGE, 0.0, 50.0)
KNN_DECAYS = (0.95, 0.8)  # tried at the best similarity, after 1.0
PRIOR_DECAYS = (PRIOR_DECAY, 0.5, 0.7, 0.9, 1.0)

Fitted = TypeVar("Fitted", bound=Callable[[Window], Scorer])


class Tuner(Generic[Fitted]):
    """Judges configurations one after the other and keeps what the best of them fitted."""

    def __init__(self, workspace: Workspace) -> None:
        self._judge = Evaluator(workspace, "validation", "tuning")
        self._spent = stopwatch()
        self._trials: tuple[Trial, ...] = ()
        self._best: Fitted | None = None

    def attempt(self, fit: Callable[[], Fitted], **settings: float | str) -> float | None:
        """Fit a configuration; its NDCG@10 on the tuning users, None without users."""
        spent = stopwatch()
        fitted = fit()
        ndcg = self._judge.scorer(fitted("validation")).mean_ndcg
        self._trials += (Trial(settings, ndcg, spent()),)
        if best_trial(self._trials) == len(self._trials) - 1:
            self._best = fitted
        return ndcg

    @property
    def best(self) -> Fitted:
        """What the best configuration so far fitted."""
        assert self._best is not None, "nothing was tried"
        return self._best

    @property
    def settings(self) -> Mapping[str, float | int | str]:
        """The best configuration so far."""
        return self._trials[best_trial(self._trials)].settings

    def contender(self, name: str) -> Contender:
        """The best configuration under a name, with all that were tried."""
        seconds = self._spent()
        return Contender(name, self.best, self._trials, best_trial(self._trials), seconds)


@dataclass(frozen=True)
class _Popularity:
    """The same scores for everyone; see `recent_popularity`."""

    workspace: Workspace
    half_life: float  # days; 0 = all time
    adoption: bool

    def __call__(self, window: Window) -> Scorer:
        histories, stop = self.workspace.platform.histories, self.workspace.counted_before(window)
        scores = recent_popularity(
            histories,
            stop,
            self.workspace.items,
            half_life=self.half_life,
            adoption=self.adoption,
        )
        return same_for_all(scores)


def fit_popularity(workspace: Workspace) -> Contender:
    """Items by the number of training users who met them; nothing to tune."""
    return _popularity("popularity", workspace, ((0.0, False),))


def fit_recent_popularity(workspace: Workspace) -> Contender:
    """Popularity in which old encounters fade; the half-life is tuned where times are real.

    For a ranking of what is new to a user it can count more when people first met an item than
    when they last did.
    """
    faded = [(days, adoption) for adoption in (False, True) for days in HALF_LIVES if days]
    grid = ((0.0, False), *faded) if workspace.platform.histories.timed else ((0.0, False),)
    return _popularity("recent_popularity", workspace, grid)


def _popularity(name: str, workspace: Workspace, grid: tuple[tuple[float, bool], ...]) -> Contender:
    tuner: Tuner[_Popularity] = Tuner(workspace)
    for half_life, adoption in grid:
        fit = partial(_Popularity, workspace, half_life, adoption)
        counted = "first" if adoption else "last"
        tuner.attempt(fit, half_life_days=half_life, encounter=counted)
    return tuner.contender(name)


@dataclass(frozen=True)
class _OwnHistory:
    workspace: Workspace

    def __call__(self, window: Window) -> Scorer:
        histories, stop = self.workspace.platform.histories, known_before(self.workspace, window)
        seen = interactions(histories, stop, self.workspace.items)
        return own_history(self.workspace.counts_before(window), seen)


def fit_own_history(workspace: Workspace) -> Contender:
    """Items by how often the user met them; it cannot rank what is new to the user."""
    tuner: Tuner[_OwnHistory] = Tuner(workspace)
    tuner.attempt(partial(_OwnHistory, workspace))
    return tuner.contender("own_history")


class _Similarities:
    """Similarities of one platform, each window's and shrinkage's widest computed once."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._widest: dict[tuple[Window, float], sparse.csr_matrix] = {}

    def of(self, window: Window, neighbours: int, shrinkage: float) -> sparse.csr_matrix:
        """Similarities counted up to the window. (items, items)."""
        key = (window, shrinkage)
        if key not in self._widest:
            counts = self._workspace.counts_before(window)
            most = max(NEIGHBOURS)
            self._widest[key] = item_similarity(counts, neighbours=most, shrinkage=shrinkage)
        return fewer_neighbours(self._widest[key], neighbours)


@dataclass(frozen=True)
class _ItemKnn:
    """Item-kNN with similarities that were counted before the validation window, or anew.

    Attributes:
        similarity: before the validation window. (items, items)
    """

    workspace: Workspace
    similarity: sparse.csr_matrix
    neighbours: int
    shrinkage: float
    decay: float = 1.0

    def __call__(self, window: Window) -> Scorer:
        histories, stop = self.workspace.platform.histories, known_before(self.workspace, window)
        known = recency_weights(histories, stop, self.workspace.items, decay=self.decay)
        return weighted_knn(self.similarity if window == "validation" else self._later, known)

    @cached_property
    def _later(self) -> sparse.csr_matrix:
        counts = self.workspace.counts_before("test")
        return item_similarity(counts, neighbours=self.neighbours, shrinkage=self.shrinkage)


def fit_item_knn(workspace: Workspace) -> Contender:
    """Item-kNN (Sarwar et al. 2001): neighbours, shrinkage, then the decay of the history.

    Neighbours and shrinkage are tried in full, the decay at the best of them: eleven configurations
    where a full grid has 27.
    """
    tuner: Tuner[_ItemKnn] = Tuner(workspace)
    for shrinkage in SHRINKAGES:
        widest = item_similarity(workspace.counts, neighbours=max(NEIGHBOURS), shrinkage=shrinkage)
        for neighbours in NEIGHBOURS:
            fit = partial(_narrowed, workspace, widest, neighbours, shrinkage)
            tuner.attempt(fit, neighbours=neighbours, shrinkage=shrinkage, decay=1.0)
    best, settings = tuner.best, dict(tuner.settings)
    for decay in KNN_DECAYS:
        tuner.attempt(partial(replace, best, decay=decay), **(settings | {"decay": decay}))
    return tuner.contender("item_knn")


def _narrowed(
    workspace: Workspace, widest: sparse.csr_matrix, neighbours: int, shrinkage: float
) -> _ItemKnn:
    return _ItemKnn(workspace, fewer_neighbours(widest, neighbours), neighbours, shrinkage)


@dataclass(frozen=True)
class _Prior:
    workspace: Workspace
    decay: float

    def __call__(self, window: Window) -> Scorer:
        histories, stop = self.workspace.platform.histories, known_before(self.workspace, window)
        known = recency_weights(
            histories,
            stop,
            self.workspace.items,
            decay=self.decay,
            latest=self.workspace.max_events,
            repeats=True,
        )
        return text_knn(known, self.workspace.content.numpy())


def fit_prior(workspace: Workspace) -> Contender:
    """The untrained text nearest neighbour; its first configuration is every encoder's start."""
    tuner: Tuner[_Prior] = Tuner(workspace)
    for decay in PRIOR_DECAYS:
        tuner.attempt(partial(_Prior, workspace, decay), decay=decay)
    return tuner.contender("prior")


def known_before(workspace: Workspace, window: Window) -> Ints:
    """Where each user's known events end; validation events are known to the test. (users,)."""
    return window_bounds(workspace.platform.histories, workspace.split, window)[0]
