"""What a platform serves: an encoder, a ranker over signals, and how both rank a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from isthmus.encoder import SharedEncoder
from isthmus.ranker import SIGNALS, SharedRanker
from isthmus_client.contender import Contender
from isthmus_client.evaluate import Evaluator
from isthmus_client.ranking import Ranking, Scorer, Scores, Task, Window, rank_all
from isthmus_client.sequences import Ints
from isthmus_client.signals.cut import window_cut
from isthmus_client.signals.table import BLOCK, CONTENT, SignalTable, level
from isthmus_client.workspace import Workspace

SMOOTHING = 20.0  # ranks that count nearly alike where ranks are fused
TUNING_CELLS = 4_000_000  # users times items whose signals are kept for tuning: about 180 MB


@dataclass(frozen=True)
class Beside:
    """A model of the platform's own whose ranks are fused into the ranker's.

    Attributes:
        share: weight of its ranks; the ranker's have the rest.
    """

    contender: Contender
    share: float


@dataclass(frozen=True)
class RankerModel:
    """An encoder, the ranker that reads its score among the other signals, and what helps both.

    Attributes:
        beside: None = the ranker alone.
    """

    encoder: SharedEncoder
    ranker: SharedRanker
    beside: Beside | None = None

    def contender(self, name: str, workspace: Workspace, seconds: float = 0.0) -> Contender:
        """This model behind the seam of all that is compared."""

        def scorer(window: Window) -> Blocks:
            table = SignalTable(workspace, window_cut(workspace, window), self.encoder)
            return Blocks(table, self, _helper(self, window))

        return Contender(name, scorer, seconds=seconds)


@dataclass(frozen=True)
class Blocks:
    """A scorer that makes signals a block of users at a time."""

    table: SignalTable
    model: RankerModel
    helper: Scorer | None = None

    def __call__(self, users: Ints) -> Scores:
        """Scores of the whole catalogue. (users, items)."""
        parts = [
            self._fused(users[rows], _scores(self.model.ranker, made))
            for rows, made in self.table.blocks(users)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, self.table.workspace.items), "f4")

    def _fused(self, users: Ints, scores: Scores) -> Scores:
        return fused(self.model, scores, self.helper, users, self.table.known(users))


def rank_models(
    workspace: Workspace, window: Window, task: Task, models: Mapping[str, RankerModel]
) -> dict[str, Ranking]:
    """Rankings of several models; the signals that they share are made once.

    Args:
        window: which the task is of; what is known before it makes the signals.
    """
    table = SignalTable(workspace, window_cut(workspace, window))
    helpers = {name: _helper(model, window) for name, model in models.items()}

    def score(users: Ints) -> list[Scores]:
        signals, found, known = table.of(users), [], table.known(users)
        for name, model in models.items():
            signals[:, CONTENT] = level(table.content(model.encoder, users))
            scores = _scores(model.ranker, signals)
            found.append(fused(model, scores, helpers[name], users, known))
        return found

    return rank_all(task, tuple(models), score, chunk=BLOCK)


@dataclass(frozen=True)
class TuningSignals:
    """Signals of some tuning users, kept because rankers are judged by them again and again."""

    workspace: Workspace

    @cached_property
    def task(self) -> Task:
        """The tuning users, or as many as the kept signals allow."""
        task = Evaluator(self.workspace, "validation", "tuning").task
        few = slice(0, max(TUNING_CELLS // max(self.workspace.items, 1), 1))
        return Task(task.users[few], task.history[few], task.targets[few], task.masked)

    @cached_property
    def table(self) -> SignalTable:
        """All signals but the encoder's."""
        return SignalTable(self.workspace, window_cut(self.workspace, "validation"))

    @cached_property
    def kept(self) -> npt.NDArray[np.float16]:
        """Of every tuning user. (users, signals, items)."""
        shape = (self.task.users.size, len(SIGNALS), self.workspace.items)
        kept = np.empty(shape, dtype=np.float16)
        for rows, made in self.table.blocks(self.task.users):
            kept[rows] = made
        return kept


@dataclass(frozen=True)
class TuningJudge:
    """Ranks rankers for the tuning users, around one encoder."""

    signals: TuningSignals
    encoder: SharedEncoder

    def rank(self, ranker: SharedRanker, beside: Beside | None = None) -> Ranking:
        """The tuning users' rankings."""
        task, model = self.signals.task, RankerModel(self.encoder, ranker, beside)
        rows = {int(user): row for row, user in enumerate(task.users)}
        helper = _helper(model, "validation")

        def score(users: Ints) -> list[Scores]:
            chosen = [rows[int(user)] for user in users]
            signals = self.signals.kept[chosen].astype(np.float32)
            signals[:, CONTENT] = self._content[chosen]
            known = self.signals.table.known(users)
            return [fused(model, _scores(ranker, signals), helper, users, known)]

        return rank_all(task, ("",), score, chunk=BLOCK)[""]

    @cached_property
    def _content(self) -> Scores:
        """The encoder's signal. (users, items)."""
        return level(self.signals.table.content(self.encoder, self.signals.task.users))


def _helper(model: RankerModel, window: Window) -> Scorer | None:
    return None if model.beside is None else model.beside.contender.scorer(window)


def fused(
    model: RankerModel,
    scores: Scores,
    helper: Scorer | None,
    users: Ints,
    known: sparse.csr_matrix,
) -> Scores:
    """The ranker's scores, or its ranks fused with the helper's. (users, items).

    Reciprocal rank fusion (Cormack, Clarke and Buettcher 2009): no common scale is needed.

    Args:
        scores: of the ranker. (users, items)
        known: items that are not new to the user, which take no rank. (users, items)
    """
    if model.beside is None or helper is None:
        return scores
    share = np.float32(model.beside.share)
    own = reciprocal_ranks(helper(users), known)
    return np.asarray((1 - share) * reciprocal_ranks(scores, known) + share * own)


def reciprocal_ranks(scores: Scores, known: sparse.csr_matrix) -> Scores:
    """One over rank plus SMOOTHING among items that are new to the user, 0 for the others.

    Equal scores are ranked in the order of the catalogue. (users, items).
    """
    masked = scores.astype(np.float32, copy=True)
    masked[known.nonzero()] = -np.inf
    order = np.argsort(-masked, axis=1, kind="stable")
    places = 1.0 / (SMOOTHING + np.arange(1, masked.shape[1] + 1, dtype=np.float32))
    made = np.empty_like(masked)
    np.put_along_axis(made, order, np.broadcast_to(places, made.shape), axis=1)
    made[known.nonzero()] = 0.0
    return made


def _scores(ranker: SharedRanker, signals: npt.NDArray[np.float32]) -> Scores:
    with torch.no_grad():
        return np.asarray(ranker(torch.from_numpy(signals)).numpy(), dtype=np.float32)
