"""Training the shared ranker on a platform: the same for a round, for training alone, for pooling.

The loss is a softmax over the catalogue; one user at one cut is one example. Of a large catalogue
the items that a fixed mixture ranks first are all kept, and the many others are represented by
uniform draws, each standing for as many items as it was drawn from (importance sampling of the
partition function; Bengio and Senecal 2003). Uniform draws alone would hardly ever show the ranker
the items that compete for the first ten places.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.encoder import SharedEncoder
from isthmus.ranker import LISTING, SIGNALS, SharedRanker
from isthmus_client.ranking import Scores, Task
from isthmus_client.sequences import Ints
from isthmus_client.signals.content import ContentSignals
from isthmus_client.signals.cut import Cut, few_users_cuts, inner_cuts, task_of
from isthmus_client.signals.table import BLOCK, CONTENT, SignalTable
from isthmus_client.training import generator
from isthmus_client.workspace import Workspace


@dataclass(frozen=True)
class RankerSettings:
    """How a ranker is trained."""

    users: int = 2400  # of all cuts together at most, drawn; as many of each
    few: int = 200  # at each cut with statistics over few users, drawn
    hard: int = 300  # candidates that a fixed mixture (`LISTING`) ranks first
    uniform: int = 200  # candidates drawn from all others
    targets: int = 20  # of a user at most
    batch_size: int = 32  # users a step
    learning_rate: float = 3e-3  # AdamW
    weight_decay: float = 0.01  # AdamW


@dataclass(frozen=True)
class Examples:
    """What a ranker learns from; nothing of it leaves the platform.

    Attributes:
        signals: float16, of the targets and of drawn candidates. (examples, signals, candidates)
        shares: what part of the user's targets a candidate is; rows sum to 1.
            (examples, candidates)
        offsets: log of the number of items that a candidate stands for; -inf where there is
            none. (examples, candidates)
    """

    signals: npt.NDArray[np.float16]
    shares: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.signals)

    def first(self, count: int) -> Examples:
        """So many of them, without a copy."""
        return Examples(self.signals[:count], self.shares[:count], self.offsets[:count])


@dataclass(frozen=True)
class _AtCut:
    """Examples of one cut, with which users and items they are.

    Attributes:
        users: (examples,)
        items: catalogue rows of the candidates, 0 where there is none. (examples, candidates)
    """

    cut: Cut
    users: Ints
    items: npt.NDArray[np.int32]
    examples: Examples


@dataclass(frozen=True)
class ExampleSet:
    """The examples of one platform, made once; only the encoder's own signal is made anew.

    They come from the inner cuts of the training window: none of the later windows is read.

    Attributes:
        seed: users and candidates are drawn with it.
    """

    workspace: Workspace
    settings: RankerSettings
    seed: int

    @property
    def users(self) -> int:
        """Number of examples."""
        return sum(part.users.size for part in self._parts)

    @property
    def whole(self) -> int:
        """Number of examples, the first ones, with statistics over all who train."""
        return sum(part.users.size for part in self._parts[: len(inner_cuts(self.workspace))])

    def with_encoder(self, encoder: SharedEncoder | None) -> Examples:
        """The examples with the score of an encoder among the signals; None = without it."""
        parts = [_with_content(self.workspace, part, encoder) for part in self._parts]
        parts.append(_empty(0, self.settings))
        return Examples(
            np.concatenate([part.signals for part in parts]),
            np.concatenate([part.shares for part in parts]),
            np.concatenate([part.offsets for part in parts]),
        )

    @cached_property
    def _parts(self) -> tuple[_AtCut, ...]:
        random = generator(self.seed, "examples", self.workspace.platform.name)
        cuts = inner_cuts(self.workspace)
        most = self.settings.users // max(len(cuts), 1)
        young = few_users_cuts(self.workspace, random)
        wanted = [*((cut, most) for cut in cuts), *((cut, self.settings.few) for cut in young)]
        return tuple(_at(self.workspace, cut, n, self.settings, random) for cut, n in wanted)


def _with_content(workspace: Workspace, part: _AtCut, encoder: SharedEncoder | None) -> Examples:
    """The examples of one cut with the encoder's signal written into a copy."""
    if encoder is None:
        return part.examples
    signals = part.examples.signals.copy()
    content = ContentSignals(workspace, part.cut, [encoder])
    for start in range(0, part.users.size, BLOCK):
        rows = slice(start, start + BLOCK)
        made = content(part.users[rows])[0]  # (block, items)
        signals[rows, CONTENT] = np.take_along_axis(made, part.items[rows].astype(np.int64), 1)
    return replace(part.examples, signals=signals)


def _at(
    workspace: Workspace,
    cut: Cut,
    most: int,
    settings: RankerSettings,
    random: np.random.Generator,
) -> _AtCut:
    """Examples of so many users at one cut, at most."""
    task = task_of(workspace, cut)
    drawn = np.sort(random.permutation(task.users.size)[:most])
    made, table = _empty(drawn.size, settings), SignalTable(workspace, cut)
    items = np.zeros(made.shares.shape, dtype=np.int32)
    for rows, signals in table.blocks(task.users[drawn]):
        scores = listing(signals)  # (block, items)
        for place, row in enumerate(drawn[rows]):
            example = rows.start + place
            chosen, offsets = _candidates(task, int(row), scores[place], settings, random)
            made.signals[example, :, : chosen.size] = signals[place][:, chosen]
            wanted = np.isin(chosen, task.targets[row].indices)
            made.shares[example, : chosen.size] = wanted / max(wanted.sum(), 1)
            made.offsets[example, : chosen.size] = offsets
            items[example, : chosen.size] = chosen
    return _AtCut(cut, task.users[drawn], items, made)


def listing(signals: npt.NDArray[np.float32] | npt.NDArray[np.float16]) -> Scores:
    """Scores of a fixed mixture, by which hard candidates are found. (users, items).

    Args:
        signals: (users, signals, items)
    """
    scores = np.zeros((signals.shape[0], signals.shape[2]), dtype=np.float32)
    for name, weight in LISTING.items():
        scores += np.float32(weight) * signals[:, SIGNALS.index(name)]
    return scores


def _empty(examples: int, settings: RankerSettings) -> Examples:
    shape = (examples, settings.targets + settings.hard + settings.uniform)
    return Examples(
        np.zeros((examples, len(SIGNALS), shape[1]), dtype=np.float16),
        np.zeros(shape, dtype=np.float32),
        np.full(shape, -np.inf, dtype=np.float32),
    )


def _candidates(
    task: Task, row: int, scores: Scores, settings: RankerSettings, random: np.random.Generator
) -> tuple[Ints, Scores]:
    """Some of a user's targets, the best of the others, and draws from the rest.

    Args:
        scores: of the fixed mixture. (items,)

    Returns:
        Catalogue rows and the log of the number of items that each stands for, both (candidates,).
    """
    targets = random.permutation(task.targets[row].indices)[: settings.targets]
    new = np.ones(scores.size, dtype=bool)
    new[task.history[row].indices] = new[task.targets[row].indices] = False
    others = np.flatnonzero(new)
    order = np.argpartition(-scores[others], min(settings.hard, others.size - 1))
    hard, rest = others[order[: settings.hard]], others[order[settings.hard :]]
    drawn = random.permutation(rest)[: settings.uniform]
    stands_for = np.log(rest.size / max(drawn.size, 1)) if drawn.size else 0.0
    sure = np.zeros(targets.size + hard.size, dtype=np.float32)
    offsets = np.concatenate([sure, np.full(drawn.size, stands_for, dtype=np.float32)])
    return np.concatenate([targets, hard, drawn]).astype(np.int64), offsets


def train_ranker(
    ranker: SharedRanker,
    examples: Examples,
    parts: list[Ints],
    optimiser: torch.optim.Optimizer,
) -> float:
    """Train in place on batches of examples; the mean loss of the steps."""
    total = 0.0
    for part in parts:
        loss = ranker_loss(ranker, examples, np.sort(part))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch ships it untyped
        optimiser.step()
        total += float(loss.detach())
    return total / max(len(parts), 1)


def ranker_loss(ranker: SharedRanker, examples: Examples, rows: Ints) -> Tensor:
    """Cross-entropy of the targets against all candidates of their user; a scalar."""
    scores = ranker(torch.from_numpy(examples.signals[rows]).float())  # (rows, candidates)
    offsets = torch.from_numpy(examples.offsets[rows])
    whole = torch.logsumexp(scores + offsets, dim=1, keepdim=True)
    shares = torch.from_numpy(examples.shares[rows])
    loss: Tensor = (shares * (whole - scores)).sum(dim=1).mean()
    return loss


def ranker_optimiser(
    ranker: SharedRanker, learning_rate: float, weight_decay: float
) -> torch.optim.AdamW:
    """AdamW over all of the ranker."""
    return torch.optim.AdamW(ranker.parameters(), lr=learning_rate, weight_decay=weight_decay)
