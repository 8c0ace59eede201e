"""Baselines without a trained model, each with its grid, tuned like everything else.

Every function fits on the training users alone and takes the configuration with the best NDCG@10
on the tuning users, the first of equals. A grid begins with what the literature uses, so that a
platform without tuning users gets that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
        self._started = time.process_time()
        self._trials: tuple[Trial, ...] = ()
        self._best: Fitted | None = None

    def attempt(self, fit: Callable[[], Fitted], **settings: float | str) -> float | None:
        """Fit a configuration; its NDCG@10 on the tuning users, None without users."""
        started = time.process_time()
        fitted = fit()
        ndcg = self._judge.scorer(fitted("validation")).mean_ndcg
        self._trials += (Trial(settings, ndcg, time.process_time() - started),)
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
        seconds = time.process_time() - self._started
        return Contender(name, self.best, self._trials, best_trial(self._trials), seconds)


@dataclass(frozen=True)
class _Popularity:
    """The same scores for everyone, counted up to the window.

    Attributes:
        half_life: days; 0 = all time.
    """

    workspace: Workspace
    half_life: float

    def __call__(self, window: Window) -> Scorer:
        workspace = self.workspace
        stop = workspace.counted_before(window)
        histories, items = workspace.platform.histories, workspace.items
        return same_for_all(recent_popularity(histories, stop, items, half_life=self.half_life))


def fit_popularity(workspace: Workspace) -> Contender:
    """Items by the number of training users who met them; nothing to tune."""
    return _popularity("popularity", workspace, HALF_LIVES[:1])


def fit_recent_popularity(workspace: Workspace) -> Contender:
    """Popularity in which old encounters fade; the half-life is tuned where times are real."""
    timed = workspace.platform.histories.timed
    return _popularity("recent_popularity", workspace, HALF_LIVES if timed else HALF_LIVES[:1])


def _popularity(name: str, workspace: Workspace, half_lives: tuple[float, ...]) -> Contender:
    tuner: Tuner[_Popularity] = Tuner(workspace)
    for half_life in half_lives:

        def fit(days: float = half_life) -> _Popularity:
            return _Popularity(workspace, days)

        tuner.attempt(fit, half_life_days=half_life)
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
    tuner.attempt(lambda: _OwnHistory(workspace))
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
    workspace: Workspace
    similarities: _Similarities
    neighbours: int
    shrinkage: float
    decay: float = 1.0

    def __call__(self, window: Window) -> Scorer:
        histories, stop = self.workspace.platform.histories, known_before(self.workspace, window)
        known = recency_weights(histories, stop, self.workspace.items, decay=self.decay)
        similarity = self.similarities.of(window, self.neighbours, self.shrinkage)
        return weighted_knn(similarity, known)


def fit_item_knn(workspace: Workspace) -> Contender:
    """Item-kNN (Sarwar et al. 2001): neighbours, shrinkage, then the decay of the history.

    Neighbours and shrinkage are tried in full, the decay at the best of them: eleven configurations
    where a full grid has 27.
    """
    tuner: Tuner[_ItemKnn] = Tuner(workspace)
    similarities = _Similarities(workspace)
    for shrinkage in SHRINKAGES:
        for neighbours in NEIGHBOURS:

            def fit(kept: int = neighbours, damp: float = shrinkage) -> _ItemKnn:
                return _ItemKnn(workspace, similarities, kept, damp)

            tuner.attempt(fit, neighbours=neighbours, shrinkage=shrinkage, decay=1.0)
    best, settings = tuner.best, dict(tuner.settings)
    for decay in KNN_DECAYS:

        def fade(decay: float = decay) -> _ItemKnn:
            return replace(best, decay=decay)

        tuner.attempt(fade, **(settings | {"decay": decay}))
    return tuner.contender("item_knn")


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

        def fit(decay: float = decay) -> _Prior:
            return _Prior(workspace, decay)

        tuner.attempt(fit, decay=decay)
    return tuner.contender("prior")


def known_before(workspace: Workspace, window: Window) -> Ints:
    """Where each user's known events end; validation events are known to the test. (users,)."""
    return window_bounds(workspace.platform.histories, workspace.split, window)[0]
