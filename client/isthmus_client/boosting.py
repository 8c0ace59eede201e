"""Growing trees of a platform's own on top of a ranker: they learn what it gets wrong there.

Boosted: gradient boosting (Friedman 2001) need not begin at zero; here it begins at the scores of a
ranker, in practice a released one. A platform with few purchases grows trees that hardly change
them. Stacked (Wolpert 1992): the ranker's score is one more signal that trees from zero may read,
which a platform with many purchases puts to use. All trees are LightGBM's (Ke et al. 2017), with
the gradients of LambdaRank (Burges 2010) and of XE-NDCG (Bruch 2021). They never leave the
platform.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import lightgbm
import numpy as np
import numpy.typing as npt
import torch

from isthmus.ranker import SharedRanker
from isthmus_client.ranker_training import Examples, listing
from isthmus_client.ranking import Scores
from isthmus_client.training import generator
from isthmus_client.trees import Trees

NEGATIVES = 60  # of an example, about: listed items that were not bought, drawn
BOOSTED, STACKED = 270, 150  # trees
Settings = dict[str, float | str | bool]

_BLOCK = 256  # examples whose scores are computed at once


WAYS = ((70, 0.5), (135, 0.5), (135, 1.0), (BOOSTED, 0.5), (BOOSTED, 1.0))  # of boosted trees
CAUTIOUS = (135, 0.5)  # where too few users tell which is best
STACKED_SHARES = (0.5, 1.0)


@dataclass(frozen=True)
class Grown:
    """Trees of both kinds, in LightGBM's own form."""

    boosted: str
    stacked: str
    listed: int
    on_top: bool = True

    def ways(self) -> tuple[Trees, ...]:
        """Every use of the boosted ones that is tried."""
        return tuple(self._boosted(*way) for way in WAYS)

    def stacked_ways(self) -> tuple[Trees, ...]:
        """Every use of the stacked ones that is tried."""
        return tuple(
            Trees(self.stacked, self.listed, STACKED, share, stacked=True, on_top=self.on_top)
            for share in STACKED_SHARES
        )

    def cautious(self) -> Trees:
        """For a platform that cannot choose."""
        return self._boosted(*CAUTIOUS)

    def _boosted(self, count: int, share: float) -> Trees:
        return Trees(self.boosted, self.listed, count, share, on_top=self.on_top)


def grow(
    ranker: SharedRanker, examples: Examples, *, listed: int, seed: int, on_top: bool = True
) -> Grown | None:
    """Grow trees around a ranker on a platform's examples.

    Args:
        ranker: where boosting begins, and what stacked trees read.
        examples: with the signal of the encoder that the ranker reads.
        listed: hard candidates of an example; as many are ordered in serving.
        seed: draws the examples' negatives and the trees' parts of rows and signals.
        on_top: where listed items stand; see `Trees`.

    Returns:
        None where no example teaches an order.
    """
    parts = list(_lessons(ranker, examples, listed, generator(seed, "trees")))
    if not sum(part[0].shape[0] for part in parts):
        return None
    rows, bought, start, sizes = (np.concatenate(column) for column in zip(*parts, strict=True))
    boosted = lightgbm.Dataset(rows, label=bought, group=sizes, init_score=start)
    stacked = lightgbm.Dataset(np.column_stack([rows, start]), label=bought, group=sizes)
    return Grown(
        lightgbm.train(_gentle(seed), boosted, BOOSTED).model_to_string(),
        lightgbm.train(_bold(seed), stacked, STACKED).model_to_string(),
        listed,
        on_top,
    )


def _gentle(seed: int) -> Settings:
    """Small, slow trees: a few hundred of them change a ranker gently."""
    shape = {"num_leaves": 7, "learning_rate": 0.03, "min_data_in_leaf": 500}
    truncation = {"lambdarank_truncation_level": 20}  # twice the ranks that NDCG@10 looks at
    return {"objective": "lambdarank", **truncation, **shape, **_common(seed)}


def _bold(seed: int) -> Settings:
    """Larger ones, which have to find the ranker's order first."""
    shape = {"num_leaves": 15, "learning_rate": 0.07, "min_data_in_leaf": 200}
    return {"objective": "rank_xendcg", **shape, **_common(seed)}


def _common(seed: int) -> Settings:
    return {
        "feature_fraction": 0.8,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 10.0,
        "max_bin": 63,
        "seed": seed,
        "deterministic": True,
        "num_threads": 1,
        "verbose": -1,
    }


Lesson = tuple[npt.NDArray[np.float32], npt.NDArray[np.int8], Scores, npt.NDArray[np.int64]]


def _lessons(
    ranker: SharedRanker, examples: Examples, listed: int, random: np.random.Generator
) -> Iterator[Lesson]:
    """Signals, purchases and the ranker's scores of rows, and how many rows each example has.

    An example's rows are listed items alone, as in serving: a target that the mixture does not
    list is left out. Were it kept, a low score of the mixture would become a sign of a
    purchase.
    """
    for begin in range(0, len(examples), _BLOCK):
        part = slice(begin, begin + _BLOCK)
        signals = examples.signals[part].astype(np.float32)  # (block, signals, candidates)
        with torch.no_grad():
            scores = ranker(torch.from_numpy(signals)).numpy()
        bought = examples.shares[part] > 0
        rows = _listed_candidates(signals, bought, examples.offsets[part])
        drawn = random.random(rows.shape) < NEGATIVES / listed
        rows &= (bought & rows).any(axis=1, keepdims=True) & (bought | drawn)
        sizes = rows.sum(axis=1)
        example, candidate = np.nonzero(rows)
        read = signals[example, :, candidate]
        yield read, bought[rows].astype(np.int8), scores[rows], sizes[sizes > 0]


def _listed_candidates(
    signals: npt.NDArray[np.float32], bought: npt.NDArray[np.bool_], offsets: Scores
) -> npt.NDArray[np.bool_]:
    """Candidates that the fixed mixture lists: the hard ones, and targets among them.

    An offset of 0 marks targets and hard candidates: each stands for itself alone.
    (examples, candidates).
    """
    mixed = listing(signals)
    itself = offsets == 0.0
    worst = np.where(itself & ~bought, mixed, np.inf).min(axis=1, keepdims=True)
    return np.asarray(itself & (mixed >= worst))
