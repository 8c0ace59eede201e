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
FEWEST = 25  # users by whom a gain can be shown
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
    """The weights that most surely rank better than the release as it is, which is the fallback.

    Only ratios rank, so the bias counts fully or not at all. The whole grid is tried: climbing one
    weight at a time gets stuck where the content part has learned popularity of its own. A mix is
    judged by `sure_gain`: with few users the best of many mixes is mostly luck.

    Args:
        task: users to choose by; without users the release stays as it is.
        bias: of the items, unweighted. (items,)
    """
    if not task.users.size:
        return Mix()
    release = _quality(parts, task, bias, Mix())
    return max(_grid(), key=lambda mix: sure_gain(_quality(parts, task, bias, mix), release))


def sure_gain(candidate: npt.NDArray[np.float64], start: npt.NDArray[np.float64]) -> float:
    """Mean gain over the same users less its standard error; 0 where nothing changed.

    The one-standard-error rule (Breiman et al. 1984, section 3.4.3) for paired users. A handful of
    users shows no gain at all: the best of many tries by them is luck.

    Args:
        candidate: NDCG@10 of every user. (users,)
        start: the same before the change. (users,)
    """
    gains = candidate - start
    if gains.size < FEWEST:
        return 0.0 if not gains.any() else -1.0
    return float(gains.mean() - gains.std(ddof=1) / np.sqrt(gains.size))


def _grid() -> Iterator[Mix]:
    """Every mix that is tried; the release as it is comes first and so wins a tie."""
    yield Mix()
    yield from (Mix(0.0, 1.0, content) for content in CONTENT if content != 1.0)
    yield from (Mix(1.0, prior, content) for prior in PRIOR for content in CONTENT)


def _quality(
    parts: Parts, task: Task, bias: npt.NDArray[np.float32], mix: Mix
) -> npt.NDArray[np.float64]:
    """NDCG@10 of the weighted sum for every user of the task. (users,)."""
    rows = {int(user): row for row, user in enumerate(task.users)}

    def score(users: npt.NDArray[np.int64]) -> Scores:
        chosen = [rows[int(user)] for user in users]
        mixed = mix.prior * parts.prior[chosen] + mix.content * parts.content[chosen]
        return np.asarray(mixed + mix.bias * bias, dtype=np.float32)

    return rank(task, score).ndcg
