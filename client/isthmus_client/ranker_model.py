"""What a platform serves: an encoder, a ranker over signals, and how both rank a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from isthmus.encoder import SharedEncoder
from isthmus.ranker import SIGNALS, SharedRanker
from isthmus_client.contender import Contender
from isthmus_client.evaluate import Evaluator
from isthmus_client.ranking import Ranking, Scores, Task, Window, rank_all
from isthmus_client.sequences import Ints
from isthmus_client.signals.cut import Cut, window_cut
from isthmus_client.signals.table import BLOCK, CONTENT, SignalTable, level
from isthmus_client.workspace import Workspace

TUNING_CELLS = 4_000_000  # users times items whose signals are kept for tuning: about 180 MB


@dataclass(frozen=True)
class RankerModel:
    """An encoder and the ranker that reads its score among the other signals."""

    encoder: SharedEncoder
    ranker: SharedRanker

    def contender(self, name: str, workspace: Workspace, seconds: float = 0.0) -> Contender:
        """This model behind the seam of all that is compared."""

        def scorer(window: Window) -> Blocks:
            return Blocks(SignalTable(workspace, window_cut(workspace, window), self.encoder), self)

        return Contender(name, scorer, seconds=seconds)


@dataclass(frozen=True)
class Blocks:
    """A scorer that makes signals a block of users at a time."""

    table: SignalTable
    model: RankerModel

    def __call__(self, users: Ints) -> Scores:
        """Scores of the whole catalogue. (users, items)."""
        parts = [_scores(self.model.ranker, made) for _, made in self.table.blocks(users)]
        return np.concatenate(parts) if parts else np.zeros((0, self.table.workspace.items), "f4")


def rank_models(
    workspace: Workspace, cut: Cut, task: Task, models: Mapping[str, RankerModel]
) -> dict[str, Ranking]:
    """Rankings of several models; the signals that they share are made once.

    Args:
        cut: what is known before the task's window.
    """
    table = SignalTable(workspace, cut)

    def score(users: Ints) -> list[Scores]:
        signals, found = table.of(users), []
        for model in models.values():
            signals[:, CONTENT] = level(table.content(model.encoder, users))
            found.append(_scores(model.ranker, signals))
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

    def rank(self, ranker: SharedRanker) -> Ranking:
        """The tuning users' rankings."""
        task = self.signals.task
        rows = {int(user): row for row, user in enumerate(task.users)}

        def score(users: Ints) -> list[Scores]:
            chosen = [rows[int(user)] for user in users]
            signals = self.signals.kept[chosen].astype(np.float32)
            signals[:, CONTENT] = self._content[chosen]
            return [_scores(ranker, signals)]

        return rank_all(task, ("",), score, chunk=BLOCK)[""]

    @cached_property
    def _content(self) -> Scores:
        """The encoder's signal. (users, items)."""
        return level(self.signals.table.content(self.encoder, self.signals.task.users))


def _scores(ranker: SharedRanker, signals: npt.NDArray[np.float32]) -> Scores:
    with torch.no_grad():
        return np.asarray(ranker(torch.from_numpy(signals)).numpy(), dtype=np.float32)
