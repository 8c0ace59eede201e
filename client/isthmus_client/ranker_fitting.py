"""Fitting at home: a ranker alone from the start, and what a platform adds to any ranker."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from isthmus.progress import Advance
from isthmus.ranker import SharedRanker
from isthmus_client.boosting import grow
from isthmus_client.contender import Contender
from isthmus_client.local_training import CurvePoint, Keeper
from isthmus_client.mixing import FEWEST, sure_gain
from isthmus_client.ranker_model import Beside, RankerModel, TuningJudge
from isthmus_client.ranker_trainer import RankerTrainer
from isthmus_client.ranker_training import ranker_optimiser, train_ranker
from isthmus_client.training import Settings, batches, generator


@dataclass(frozen=True)
class FittedRanker:
    """A ranker after fitting, and how that went on the tuning users."""

    ranker: SharedRanker
    curve: tuple[CurvePoint, ...]
    best: int  # place in the curve


def fit_ranker(
    trainer: RankerTrainer,
    start: SharedRanker,
    *,
    epochs: int,
    patience: int,
    seed: int,
    advance: Advance = lambda _: None,
) -> FittedRanker:
    """Train a ranker on the platform's own examples, stopped by its tuning users.

    The learning rate falls along a half cosine over all epochs.

    Args:
        trainer: the platform's examples and tuning users, around one encoder.
        start: where to start; not changed.
        epochs: passes over the examples at most.
        patience: passes without a better ranking of the tuning users; 0 = never stop early.

    Guarantees:
        `start` is as it was; the platform's windows after training are read by the judge alone.
    """
    ranker, keeper = copy.deepcopy(start), Keeper(patience)
    keeper.note(0.0, trainer.judge.rank(ranker).mean_ndcg, ranker.state_dict())
    random = generator(seed, "ranker alone", trainer.platform)
    settings = trainer.data.settings
    optimiser = ranker_optimiser(ranker, settings.learning_rate, settings.weight_decay)
    rows = np.arange(len(trainer.examples))
    for epoch in range(1, epochs + 1 if rows.size else 1):
        _cool(optimiser, settings.learning_rate, epoch, epochs)
        size = Settings(batch_size=settings.batch_size)
        train_ranker(ranker, trainer.examples, batches(rows, size, 1.0, random), optimiser)
        advance(1)
        if keeper.note(float(epoch), trainer.judge.rank(ranker).mean_ndcg, ranker.state_dict()):
            break
    ranker.load_state_dict(keeper.restore())
    return FittedRanker(ranker, tuple(keeper.curve), keeper.best)


LISTERS = 1000  # users behind a list that is better than the ranker's own first places


def with_trees(trainer: RankerTrainer, model: RankerModel, *, seed: int) -> RankerModel:
    """The model with trees of the platform's own on top, used in the way that ranks best.

    Where the tuning users are too few to choose by, a cautious use of the boosted trees is taken
    (experiments, "Trees on top of the release"). Stacked trees have to be surely better
    (`sure_gain`), and so has the ranker without any. With fewer than `LISTERS` users listed items
    are dealt out in the places that they had; otherwise they stand above all others.

    Args:
        trainer: the platform's examples and tuning users, around the model's encoder.
        seed: of the trees.

    Guarantees:
        The model is not changed; the windows after training are read by the judge alone.
    """
    data, listed = trainer.data.examples, trainer.data.settings.hard
    grown = grow(
        model.ranker,
        trainer.examples.first(data.whole),
        listed=listed,
        seed=seed,
        on_top=data.workspace.sequences.training_users.size >= LISTERS,
    )
    if grown is None:
        return model
    if trainer.judge.signals.task.users.size < FEWEST:
        return replace(model, trees=grown.cautious())
    boosted, stacked = grown.ways(), grown.stacked_ways()
    ranked = trainer.judge.compare(model.ranker, (None, *boosted, *stacked))
    alone, *tried = [ranking.ndcg for ranking in ranked]
    few = len(boosted)
    chosen, reached = max(
        zip(boosted, tried[:few], strict=True), key=lambda one: float(one[1].mean())
    )
    for trees, found in zip(stacked, tried[few:], strict=True):
        if sure_gain(found, reached) > 0:
            chosen, reached = trees, found
    return model if sure_gain(alone, reached) > 0 else replace(model, trees=chosen)


def _cool(optimiser: torch.optim.Optimizer, peak: float, epoch: int, epochs: int) -> None:
    """Set the learning rate of one pass."""
    for group in optimiser.param_groups:
        group["lr"] = peak * 0.5 * (1.0 + math.cos(math.pi * (epoch - 1) / epochs))


SHARES = (0.15, 0.3, 0.5)  # of an own model's ranks, tried in this order


def with_own(judge: TuningJudge, model: RankerModel, own: Contender) -> RankerModel:
    """The model with the ranks of another of the platform's models fused in, where that helps.

    A sequence model on item numbers knows what the signals do not say: the order in which items of
    this catalogue follow each other. It stays at home like everything that is tied to item numbers.

    Args:
        judge: the tuning users, around the model's encoder.
        own: fitted on the platform's own data.

    Guarantees:
        Fused in only for a sure gain of the tuning users (`sure_gain`), so that fewer than 25 of
        them change nothing.
    """
    tried = [Beside(own, share) for share in SHARES]
    start, *found = judge.compare(model.ranker, (model.trees,), tried)
    gains = [sure_gain(ranking.ndcg, start.ndcg) for ranking in found]
    best = int(np.argmax(gains))
    return replace(model, beside=tried[best]) if gains[best] > 0 else model


def at_home(
    trainer: RankerTrainer, model: RankerModel, own: Contender | None, *, seed: int
) -> RankerModel:
    """All that a platform adds to a ranker, its own or a released one.

    Args:
        trainer: around the model's encoder.
        own: a sequence model of the platform's own; None = it has none.
        seed: of the trees.
    """
    grown = with_trees(trainer, model, seed=seed)
    return grown if own is None else with_own(trainer.judge, grown, own)
