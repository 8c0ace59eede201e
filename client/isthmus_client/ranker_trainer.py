"""A platform's side of the rounds that train the shared ranker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch

from isthmus.border import merge, split
from isthmus.encoder import SharedEncoder
from isthmus.messages import RoundPlan
from isthmus.parameters import Shared
from isthmus.ranker import RankerConfig, SharedRanker, initial_ranker
from isthmus.ranker_public import RankerStart, starting_ranker
from isthmus_client.computing import stopwatch
from isthmus_client.ranker_model import TuningJudge, TuningSignals
from isthmus_client.ranker_training import (
    Examples,
    ExampleSet,
    RankerSettings,
    ranker_optimiser,
    train_ranker,
)
from isthmus_client.trainer import LocalResult
from isthmus_client.training import Settings, batches, generator
from isthmus_client.workspace import Workspace


@dataclass(frozen=True)
class RankerData:
    """What rankers of one platform learn from and are judged by, whatever encoder they read."""

    workspace: Workspace
    seed: int
    settings: RankerSettings = field(default_factory=RankerSettings)

    @cached_property
    def examples(self) -> ExampleSet:
        """From the inner cuts of the training window."""
        return ExampleSet(self.workspace, self.settings, self.seed)

    def make(self) -> None:
        """Make both now, so that no training's clock counts it."""
        _ = self.examples.users, self.tuning.kept.nbytes

    @cached_property
    def tuning(self) -> TuningSignals:
        """Of the tuning users, before the validation window."""
        return TuningSignals(self.workspace)


@dataclass(frozen=True)
class RankerTrainer:
    """Trains the shared ranker on one platform's signals, around a released encoder.

    Attributes:
        encoder: the released encoder; its score is one of the signals.

    Guarantees:
        Signals, examples and histories stay in the process; `train` returns the ranker's
        parameters alone. They are functions of user data without any noise: a run under
        differential privacy does not exchange them.
    """

    data: RankerData
    encoder: SharedEncoder

    @property
    def platform(self) -> str:
        """The platform's name."""
        return self.data.workspace.platform.name

    @cached_property
    def examples(self) -> Examples:
        """What the ranker learns from, the encoder's score included."""
        return self.data.examples.with_encoder(self.encoder)

    @cached_property
    def judge(self) -> TuningJudge:
        """The tuning users."""
        return TuningJudge(self.data.tuning, self.encoder)

    def train(self, parameters: Shared, plan: RoundPlan) -> LocalResult:
        """Validate the received ranker (if the plan says so), then train from it."""
        spent = stopwatch()
        ranker = ranker_of(parameters)
        metrics = self._validate(ranker) if plan.validate else {}
        random = generator(plan.seed, "ranker round", self.platform, plan.round)
        settings = Settings(batch_size=plan.batch_size, max_steps=plan.max_steps)
        rows = torch.arange(len(self.examples)).numpy()
        parts = batches(rows, settings, plan.local_epochs, random) if rows.size else []
        optimiser = ranker_optimiser(ranker, plan.learning_rate, plan.weight_decay)
        loss = train_ranker(ranker, self.examples, parts, optimiser)
        done = {"loss": loss, "steps": float(len(parts)), "seconds": spent()}
        update = split(ranker)[0].minus(parameters)
        return LocalResult(update, int(rows.size), {**metrics, **done})

    def evaluate(self, parameters: Shared, plan: RoundPlan) -> Mapping[str, float]:
        """Validation metrics of the ranker as received."""
        del plan  # the window is the platform's own
        return self._validate(ranker_of(parameters))

    def _validate(self, ranker: SharedRanker) -> dict[str, float]:
        ranking = self.judge.rank(ranker)
        if not ranking.users.size:
            return {}
        names = ("ndcg@10", "hr@10", "mrr", "users")
        return {f"validation/{name}": ranking.summary()[name] for name in names}


def ranker_of(parameters: Shared) -> SharedRanker:
    """A ranker with the given parameters.

    Raises:
        MessageRefusedError: names or shapes differ from a ranker's.
    """
    ranker = initial_ranker(RankerConfig(), seed=0)
    merge(ranker, parameters)
    return ranker


def initial_ranker_parameters(seed: int, start: RankerStart = "mixture") -> Shared:
    """The ranker's parameters of round 0."""
    return split(starting_ranker(start, seed))[0]
