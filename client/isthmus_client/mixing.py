"""A search for the private mixing weights: how much bias, prior and content speak on a platform."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus_client.model import PrivateHead
from isthmus_client.ranking import Scores, Task, rank

PRIOR = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
CONTENT = (0.0, 0.1, 0.25, 0.5, 1.0)


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
    """The weights with the best NDCG@10 on a task; without users the release as it is.

    Only ratios rank, so the bias counts fully or not at all. The whole grid is tried: climbing one
    weight at a time gets stuck where the content part has learned popularity of its own.

    Args:
        bias: of the items, unweighted. (items,)
    """
    if not task.users.size:
        return Mix()
    return max(_grid(), key=lambda mix: _quality(parts, task, bias, mix))


def _grid() -> Iterator[Mix]:
    """Every mix that is tried; the release as it is comes first and so wins a tie."""
    yield Mix()
    yield from (Mix(0.0, 1.0, content) for content in CONTENT if content != 1.0)
    yield from (Mix(1.0, prior, content) for prior in PRIOR for content in CONTENT)


def _quality(parts: Parts, task: Task, bias: npt.NDArray[np.float32], mix: Mix) -> float:
    """Mean NDCG@10 of the weighted sum on the task."""
    rows = {int(user): row for row, user in enumerate(task.users)}

    def score(users: npt.NDArray[np.int64]) -> Scores:
        chosen = [rows[int(user)] for user in users]
        mixed = mix.prior * parts.prior[chosen] + mix.content * parts.content[chosen]
        return np.asarray(mixed + mix.bias * bias, dtype=np.float32)

    return rank(task, score).mean_ndcg or 0.0
