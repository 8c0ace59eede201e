"""Fitting a ranker at home: alone from the start, or from a release (personalisation)."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from isthmus.progress import Advance
from isthmus.ranker import SharedRanker
from isthmus_client.contender import Contender
from isthmus_client.local_training import CurvePoint, Keeper
from isthmus_client.mixing import sure_gain
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
    gain: float = 0.0  # `sure_gain` over the start; 0 where the start was kept


def fit_ranker(
    trainer: RankerTrainer,
    start: SharedRanker,
    *,
    epochs: int,
    patience: int,
    seed: int,
    careful: bool,
    strength: float = 1.0,
    advance: Advance = lambda _: None,
) -> FittedRanker:
    """Train a ranker on the platform's own examples, stopped by its tuning users.

    The learning rate falls along a half cosine over all epochs.

    Args:
        trainer: the platform's examples and tuning users, around one encoder.
        start: where to start; not changed.
        epochs: passes over the examples at most.
        patience: passes without a better ranking of the tuning users; 0 = never stop early.
        careful: leave the start only for what surely adds to it (`sure_gain`): a release is not
            argued away by a handful of users. False takes the best pass.
        strength: times the settings' learning rate.

    Guarantees:
        `start` is as it was; the platform's windows after training are read by the judge alone.
    """
    ranker, keeper = copy.deepcopy(start), Keeper(patience)
    begin = trainer.judge.rank(ranker)
    keeper.note(0.0, begin.mean_ndcg, ranker.state_dict(), judged=0.0 if careful else None)
    random = generator(seed, "ranker alone", trainer.platform)
    settings = trainer.data.settings
    optimiser = ranker_optimiser(ranker, settings.learning_rate, settings.weight_decay)
    rows = np.arange(len(trainer.examples))
    for epoch in range(1, epochs + 1 if rows.size else 1):
        _cool(optimiser, strength * settings.learning_rate, epoch, epochs)
        size = Settings(batch_size=settings.batch_size)
        train_ranker(ranker, trainer.examples, batches(rows, size, 1.0, random), optimiser)
        now = trainer.judge.rank(ranker)
        judged = sure_gain(now.ndcg, begin.ndcg) if careful else None
        advance(1)
        if keeper.note(float(epoch), now.mean_ndcg, ranker.state_dict(), judged=judged):
            break
    ranker.load_state_dict(keeper.restore())
    gain = sure_gain(trainer.judge.rank(ranker).ndcg, begin.ndcg) if keeper.best else 0.0
    return FittedRanker(ranker, tuple(keeper.curve), keeper.best, gain)


STRENGTHS = (1 / 3, 1.0)  # of fitting a release at home: gently, then as in training


def fit_release(
    trainer: RankerTrainer,
    released: SharedRanker,
    *,
    epochs: int,
    patience: int,
    seed: int,
    advance: Advance = lambda _: None,
) -> FittedRanker:
    """Fit a released ranker at home, gently and strongly, and keep what surely gains most.

    A large platform gains by strong fitting what would throw a small one back (experiments, "What
    transfers"); the tuning users tell which of the two it is.

    Args:
        advance: called once, with the passes of one strength.

    Guarantees:
        As `fit_ranker` with care: fewer than 25 tuning users leave the release as it is.
    """
    tries = [
        fit_ranker(
            trainer,
            released,
            epochs=epochs,
            patience=patience,
            seed=seed,
            careful=True,
            strength=strength,
        )
        for strength in STRENGTHS
    ]
    advance(epochs)
    return max(tries, key=lambda fitted: fitted.gain)


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
    start = judge.rank(model.ranker).ndcg
    tried = [Beside(own, share) for share in SHARES]
    gains = [sure_gain(judge.rank(model.ranker, beside).ndcg, start) for beside in tried]
    best = int(np.argmax(gains))
    return replace(model, beside=tried[best]) if gains[best] > 0 else model
