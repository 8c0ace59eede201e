"""A search for the private mixing weights: how much bias, prior and content speak on a platform."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus_client.model import PrivateHead
from isthmus_client.ranking import Scores, Task, rank

GRID = {
    "bias": (0.0, 0.25, 0.5, 1.0),
    "prior": (0.0, 0.1, 0.25, 0.5, 1.0, 2.0),
    "content": (0.0, 0.1, 0.25, 0.5, 1.0),
}
SWEEPS = 2  # times that each weight is tried


@dataclass(frozen=True)
class Mix:
    """Weights of the score's parts; the default is the release as it is."""

    bias: float = 0.0
    prior: float = 1.0
    content: float = 1.0

    def apply(self, head: PrivateHead, bias: Tensor) -> None:
        """Write the weights into a head, in place. `bias`: (items,)."""
        with torch.no_grad():
            head.bias.copy_(self.bias * bias)
            head.prior_weight.fill_(self.prior)
            head.content_weight.fill_(self.content)


@dataclass(frozen=True)
class Parts:
    """The two learned parts of the score for every user of a task, unweighted. (users, items)."""

    prior: Scores
    content: Scores


def search_mix(parts: Parts, task: Task, bias: npt.NDArray[np.float32]) -> Mix:
    """Coordinate search for the weights with the best NDCG@10 on a task.

    Args:
        bias: of the items, unweighted. (items,)
    """
    best = Mix()
    top = _quality(parts, task, bias, best)
    for _ in range(SWEEPS if task.users.size else 0):
        for name in GRID:
            for candidate in _others(best, name):
                value = _quality(parts, task, bias, candidate)
                if value > top:
                    best, top = candidate, value
    return best


def _others(mix: Mix, name: str) -> Iterator[Mix]:
    """The mix with one weight changed."""
    return (replace(mix, **{name: w}) for w in GRID[name] if w != getattr(mix, name))


def _quality(parts: Parts, task: Task, bias: npt.NDArray[np.float32], mix: Mix) -> float:
    """Mean NDCG@10 of the weighted sum on the task."""
    rows = {int(user): row for row, user in enumerate(task.users)}

    def score(users: npt.NDArray[np.int64]) -> Scores:
        chosen = [rows[int(user)] for user in users]
        mixed = mix.prior * parts.prior[chosen] + mix.content * parts.content[chosen]
        return np.asarray(mixed + mix.bias * bias, dtype=np.float32)

    return rank(task, score).mean_ndcg or 0.0
