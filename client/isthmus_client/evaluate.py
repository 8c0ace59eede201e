"""Rankings of a platform's models on its validation and test windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from scipy import sparse

from isthmus.encoder import SharedEncoder
from isthmus_client.baselines import interactions, item_knn, own_history, popularity
from isthmus_client.mixing import Parts
from isthmus_client.model import (
    PlatformModel,
    Queries,
    content_logits,
    last_positions,
    logits,
    queries,
)
from isthmus_client.ranking import Ranking, Scorer, Scores, Task, Window, build_task, rank
from isthmus_client.ranking import window_bounds as bounds_of
from isthmus_client.sequences import Ints, Sequences
from isthmus_client.workspace import Workspace, stable_order

Purpose = Literal["tuning", "gate", "all"]
"""Validation users are halved: one half stops and tunes training, the other decides the gate, so
that the gate's figures are of users whom no choice has seen. The test window takes everyone."""

TUNING_USERS = 500  # at most, drawn once: enough to stop by, cheap enough for every round
GATE_USERS = 2500  # at most, drawn once: a standard error of NDCG@10 near 2 % of itself
KNN_NEIGHBOURS = (20, 100)  # tried on the tuning users


@dataclass(frozen=True)
class Evaluator:
    """Ranks models for one window of one platform; all models face the same users.

    Attributes:
        masked: True ranks items new to the user (primary), False all items, repeats included.
    """

    workspace: Workspace
    window: Window
    purpose: Purpose = "all"
    masked: bool = True

    @cached_property
    def task(self) -> Task:
        """Users, histories and targets."""
        platform = self.workspace.platform
        task = build_task(
            platform.histories,
            platform.split,
            self.window,
            self.workspace.items,
            masked=self.masked,
            users=self.workspace.training_users if self.window == "validation" else None,
        )
        chosen = _chosen(task.users.size, self.purpose)
        return Task(task.users[chosen], task.history[chosen], task.targets[chosen], task.masked)

    @cached_property
    def histories(self) -> Sequences:
        """What each user is known by."""
        return self.workspace.histories_before(self.window)

    def content(self, shared: SharedEncoder) -> Ranking:
        """Prior and shared encoder alone: what the federation's release does without a head."""

        def score(query: Queries) -> torch.Tensor:
            return content_logits(shared, query, self.workspace.content)

        return rank(self.task, lambda users: self._scores(shared, users, score))

    def model(self, model: PlatformModel) -> Ranking:
        """The full model with its private head."""
        everything = torch.arange(self.workspace.items)

        def score(query: Queries) -> torch.Tensor:
            return logits(model, query, self.workspace.content, everything)

        return rank(self.task, lambda users: self._scores(model.shared, users, score))

    def parts(self, shared: SharedEncoder) -> Parts:
        """Prior and content parts of the score, unweighted, for every user of the task."""
        content = self.workspace.content
        with torch.no_grad():
            batch = self.histories.latest(self.task.users)
            query = queries(shared, batch, content, last_positions(batch))
            prior = shared.scale * (query.prior @ content.T)
            learned = query.user @ shared.items(content).T
        return Parts(prior.numpy(), learned.numpy())

    def scorer(self, scorer: Scorer) -> Ranking:
        """Any other way to score."""
        return rank(self.task, scorer)

    def popularity(self) -> Ranking:
        """Items by their training users."""
        return self.scorer(popularity(self.workspace.counts_before(self.window)))

    def own_history(self) -> Ranking:
        """Items by how often the user met them."""
        return self.scorer(own_history(self.workspace.counts_before(self.window), self._seen))

    def item_knn(self, neighbours: int) -> Ranking:
        """Item-kNN on the platform's own training data."""
        return self.scorer(item_knn(self.workspace.similarity(neighbours, self.window), self._seen))

    def _scores(
        self, shared: SharedEncoder, users: Ints, score: Callable[[Queries], torch.Tensor]
    ) -> Scores:
        with torch.no_grad():
            batch = self.histories.latest(users)
            query = queries(shared, batch, self.workspace.content, last_positions(batch))
            return np.asarray(score(query).numpy(), dtype=np.float32)

    @cached_property
    def _seen(self) -> sparse.csr_matrix:
        platform = self.workspace.platform
        start, _ = bounds_of(platform.histories, platform.split, self.window)
        return interactions(platform.histories, start, self.workspace.items)


def _chosen(count: int, purpose: Purpose) -> Ints:
    """Rows of a task that a purpose may see, in ascending order."""
    order = stable_order(count, seed=0)
    half = min((count + 1) // 2, TUNING_USERS)
    parts = {"tuning": order[:half], "gate": order[half:][:GATE_USERS], "all": order}
    return np.sort(parts[purpose])
