"""A ranker's scores of whole catalogues, one user at a time in buffers that stay in the cache.

The hidden layer of a block of users over a catalogue is tens of megabytes, and asking the system
for them costs more than computing them. One user's layer fits into the processor's cache.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.ranker import SharedRanker
from isthmus_client.ranking import Scores
from isthmus_client.signals.table import CONTENT


def score_items(
    ranker: SharedRanker,
    signals: npt.NDArray[np.float32] | npt.NDArray[np.float16],
    content: Scores | None = None,
) -> Scores:
    """What `ranker(signals)` is, without a gradient. (users, items).

    Args:
        signals: (users, signals, items)
        content: an encoder's signal, read instead of the one among `signals`; None = that one.
            (users, items)
    """
    users, _, items = signals.shape
    found = np.empty((users, items), dtype=np.float32)
    with torch.no_grad():
        score = _Scoring(ranker, items)
        for user in range(users):
            own = None if content is None else torch.from_numpy(content[user])
            score(torch.from_numpy(signals[user]), own, torch.from_numpy(found[user : user + 1]))
    return found


class _Scoring:
    """The ranker's layers as two products, with their buffers."""

    def __init__(self, ranker: SharedRanker, items: int) -> None:
        one = torch.ones(1, 1)
        self._hidden = ranker.config.hidden
        self._bias = ranker.widen.bias.unsqueeze(1)  # (hidden, 1)
        self._in = torch.cat([ranker.widen.weight, ranker.linear.weight])  # (hidden + 1, signals)
        self._out = torch.cat([ranker.narrow.weight, one], dim=1)  # (1, hidden + 1)
        self._signals = torch.empty(ranker.config.signals, items)
        self._layer = torch.empty(self._hidden + 1, items)

    def __call__(self, signals: Tensor, content: Tensor | None, found: Tensor) -> None:
        """Write one user's scores into `found`. (signals, items), (items,), (1, items)."""
        self._signals.copy_(signals)
        if content is not None:
            self._signals[CONTENT].copy_(content)
        torch.mm(self._in, self._signals, out=self._layer)
        self._layer[: self._hidden].add_(self._bias).relu_()
        torch.mm(self._out, self._layer, out=found)
