"""The shared ranker: how much each signal about a user and an item speaks, learned together.

Signals (popularity and its trend, neighbours, text prior, the shared encoder's score, ...) are made
at home and made comparable; the function that weighs them is what platforms have in common. It is
small: a linear part and one hidden layer on top that starts at zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from isthmus.encoder import SharedModule

SIGNALS = (
    "popularity",
    "popularity_90d",
    "popularity_30d",
    "popularity_7d",
    "adoption_30d",
    "adoption_7d",
    "last_seen",
    "first_seen",
    "repeats",
    "knn",
    "knn_recent",
    "knn_last",
    "ease",
    "ease_recent",
    "svd",
    "transition",
    "user_knn",
    "prior_fast",
    "prior_slow",
    "text_knn",
    "category",
    "category_last",
    "category_popularity",
    "price_gap",
    "content",
    "history_length",
    "users",
)
"""What the ranker reads, in this order; part of the federation contract."""

START = {"popularity": 0.6, "knn": 0.3, "prior_slow": 0.2}
"""Weights of round 0, the same for everybody: a plain mixture that no data went into."""


LISTING = {
    "popularity": 0.5,
    "popularity_7d": 0.15,
    "adoption_7d": 0.1,
    "knn": 0.3,
    "knn_recent": 0.1,
    "ease": 0.1,
    "user_knn": 0.1,
    "prior_slow": 0.2,
}
"""Weights of a mixture that lists the items worth ordering, the same for everybody."""


@dataclass(frozen=True)
class RankerConfig:
    """Shapes of the shared ranker; part of the federation contract."""

    signals: int = len(SIGNALS)
    hidden: int = 32


class SharedRanker(SharedModule):
    """Scores from signals: a linear part and one hidden layer."""

    def __init__(self, config: RankerConfig) -> None:
        super().__init__()
        self.config = config
        self.linear = nn.Linear(config.signals, 1, bias=False)
        self.widen = nn.Linear(config.signals, config.hidden)
        self.narrow = nn.Linear(config.hidden, 1, bias=False)

    def forward(self, signals: Tensor) -> Tensor:
        """A score for each item. (..., signals, items) -> (..., items).

        All items of all users are one matrix: one large product is several times as fast as a
        small one for each user.
        """
        flat = signals.movedim(-2, 0).reshape(self.config.signals, -1)  # (signals, all items)
        hidden = functional.relu(torch.addmm(self.widen.bias[:, None], self.widen.weight, flat))
        score: Tensor = self.linear.weight @ flat + self.narrow.weight @ hidden
        return score.reshape(*signals.shape[:-2], signals.shape[-1])


def initial_ranker(config: RankerConfig, seed: int) -> SharedRanker:
    """A fresh ranker; the same seed gives the same bytes."""
    with torch.device("meta"):
        ranker = SharedRanker(config)
    ranker.to_empty(device="cpu")
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        ranker.linear.weight.zero_()
        for name, weight in START.items():
            ranker.linear.weight[0, SIGNALS.index(name)] = weight
        ranker.widen.weight.normal_(std=config.signals**-0.5, generator=random)
        ranker.widen.bias.zero_()
        ranker.narrow.weight.zero_()
    return ranker
