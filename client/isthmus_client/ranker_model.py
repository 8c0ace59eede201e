"""What a platform serves: an encoder, a ranker over signals, and how both rank a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from isthmus.encoder import SharedEncoder
from isthmus.ranker import SIGNALS, SharedRanker
from isthmus_client.contender import Contender
from isthmus_client.evaluate import Evaluator
from isthmus_client.ranker_scoring import score_items
from isthmus_client.ranking import Ranking, Scorer, Scores, Task, Window, rank_all
from isthmus_client.sequences import Ints
from isthmus_client.signals.content import ContentSignals
from isthmus_client.signals.cut import Cut, window_cut
from isthmus_client.signals.table import BLOCK, CONTENT, SignalTable
from isthmus_client.trees import Trees, reorder_each
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
        beside: None = none.
        trees: that give the ranker's best items a new order; None = the ranker's own order.
    """

    encoder: SharedEncoder
    ranker: SharedRanker
    beside: Beside | None = None
    trees: Trees | None = None

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
        parts = [self._scores(users[rows], made) for rows, made in self.table.blocks(users)]
        return np.concatenate(parts) if parts else np.zeros((0, self.table.workspace.items), "f4")

    def _scores(self, users: Ints, made: npt.NDArray[np.float32]) -> Scores:
        known = self.table.known(users)
        scores = _ordered(self.model, made, made[:, CONTENT], known)
        return fused(self.model, scores, self.helper and self.helper(users), known)


def rank_models(
    workspace: Workspace, window: Window, task: Task, models: Mapping[str, RankerModel]
) -> dict[str, Ranking]:
    """Rankings of several models; the signals that they share are made once.

    Args:
        window: which the task is of; what is known before it makes the signals.
    """
    table = SignalTable(workspace, window_cut(workspace, window))
    helpers = [_helper(model, window) for model in models.values()]
    contents = table.contents([model.encoder for model in models.values()])

    def score(users: Ints) -> list[Scores]:
        signals, known = table.of(users), table.known(users)
        parts = zip(models.values(), helpers, contents(users), strict=True)
        return [
            fused(model, _ordered(model, signals, content, known), helper and helper(users), known)
            for model, helper, content in parts
        ]

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
    def cut(self) -> Cut:
        """The moment at which the validation window begins."""
        return window_cut(self.workspace, "validation")

    @cached_property
    def known(self) -> sparse.csr_matrix:
        """1 where a tuning user met an item before the window. (users, items)."""
        return SignalTable(self.workspace, self.cut).known(self.task.users)

    @cached_property
    def kept(self) -> npt.NDArray[np.float16]:
        """All signals but the encoder's of every tuning user. (users, signals, items)."""
        shape = (self.task.users.size, len(SIGNALS), self.workspace.items)
        kept = np.empty(shape, dtype=np.float16)
        for rows, made in SignalTable(self.workspace, self.cut).blocks(self.task.users):
            kept[rows] = made
        return kept


@dataclass(frozen=True)
class TuningJudge:
    """Ranks rankers for the tuning users, around one encoder."""

    signals: TuningSignals
    encoder: SharedEncoder

    def rank(self, ranker: SharedRanker) -> Ranking:
        """The tuning users' rankings by a ranker alone."""
        return self.compare(ranker, (None,))[0]

    def compare(
        self, ranker: SharedRanker, ways: Sequence[Trees | None], besides: Sequence[Beside] = ()
    ) -> list[Ranking]:
        """The tuning users' rankings by several models around one ranker, whose scores they share.

        Args:
            ways: trees on top of it, one model each; None = none.
            besides: what is fused into the first of them, one more model each.
        """
        task, content = self.signals.task, self._content
        helped = [RankerModel(self.encoder, ranker, beside, ways[0]) for beside in besides]
        helpers = {id(b.contender): b.contender.scorer("validation") for b in besides}
        rows = {int(user): row for row, user in enumerate(task.users)}

        def score(users: Ints) -> list[Scores]:
            chosen = [rows[int(user)] for user in users]
            known, signals = self.signals.known[chosen], self.signals.kept[chosen]
            base = score_items(ranker, signals, content[chosen])
            grown = [trees for trees in ways if trees is not None]
            ordered = iter(reorder_each(grown, base, signals, content[chosen], known))
            found = [base if trees is None else next(ordered) for trees in ways]
            given = {key: helper(users) for key, helper in helpers.items()}
            for model, beside in zip(helped, besides, strict=True):
                found.append(fused(model, found[0], given[id(beside.contender)], known))
            return found

        names = tuple(map(str, range(len(ways) + len(helped))))
        return list(rank_all(task, names, score, chunk=BLOCK).values())

    @cached_property
    def _content(self) -> Scores:
        """The encoder's signal. (users, items)."""
        signals = self.signals
        made = ContentSignals(signals.workspace, signals.cut, [self.encoder])
        users = signals.task.users
        blocks = [made(users[row : row + BLOCK])[0] for row in range(0, users.size, BLOCK)]
        return np.concatenate([np.zeros((0, signals.workspace.items), np.float32), *blocks])


def _ordered(
    model: RankerModel,
    signals: npt.NDArray[np.float32] | npt.NDArray[np.float16],
    content: Scores,
    known: sparse.csr_matrix,
) -> Scores:
    """The ranker's scores, in the order that the model's trees, if any, give. (users, items)."""
    scores = score_items(model.ranker, signals, content)
    return scores if model.trees is None else model.trees.reorder(scores, signals, content, known)


def _helper(model: RankerModel, window: Window) -> Scorer | None:
    return None if model.beside is None else model.beside.contender.scorer(window)


def fused(
    model: RankerModel,
    scores: Scores,
    own: Scores | None,
    known: sparse.csr_matrix,
) -> Scores:
    """The ranker's scores, or its ranks fused with those of the model beside it. (users, items).

    Reciprocal rank fusion (Cormack, Clarke and Buettcher 2009): no common scale is needed.

    Args:
        scores: of the ranker. (users, items)
        own: scores of the model beside it. (users, items)
        known: items that are not new to the user, which take no rank. (users, items)
    """
    if model.beside is None or own is None:
        return scores
    share, ranks = np.float32(model.beside.share), reciprocal_ranks(own, known)
    return np.asarray((1 - share) * reciprocal_ranks(scores, known) + share * ranks)


def reciprocal_ranks(scores: Scores, known: sparse.csr_matrix) -> Scores:
    """One over rank plus SMOOTHING among items that are new to the user, 0 for the others.

    Equal scores share their mean rank, so that the order of a file earns nothing. (users, items).
    """
    masked = np.negative(scores, dtype=np.float32)
    masked[known.nonzero()] = np.inf
    order = np.argsort(masked, axis=1)
    ordered = np.take_along_axis(masked, order, axis=1)
    made = np.empty_like(masked)
    np.put_along_axis(made, order, 1.0 / (np.float32(SMOOTHING) + _ranks(ordered)), axis=1)
    made[known.nonzero()] = 0.0
    return made


def _ranks(ordered: Scores) -> Scores:
    """Ranks of ascending values, equal ones at their mean rank. (users, items)."""
    users, items = ordered.shape
    ranks = np.tile(np.arange(1, items + 1, dtype=np.float32), (users, 1))
    differs = np.ones(ordered.shape, dtype=bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=differs[:, 1:])
    if differs.all():
        return ranks
    begins = np.flatnonzero(differs)  # of runs of equal values; none goes over a row's end
    lengths = np.diff(begins, append=ordered.size)
    middle = begins % max(items, 1) + (lengths + 1) / 2
    return np.repeat(middle, lengths).reshape(users, items).astype(np.float32)
