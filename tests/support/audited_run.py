"""A small private run through the product's trainer and noise, with canaries and an attacker."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from planted_histories import random_platform

from isthmus.border import split
from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.messages import RoundPlan
from isthmus.parameters import Shared
from isthmus.privacy.accounting import epsilon
from isthmus.privacy.events import Event
from isthmus.privacy.randomness import SecureSource
from isthmus_client.dp.canaries import Canaries, Watch
from isthmus_client.noise import GaussianNoise
from isthmus_client.private_trainer import PrivateTrainer
from isthmus_client.workspace import Workspace
from isthmus_simulations.audit.records import Claim

CONFIG = EncoderConfig(content=24, dim=12, layers=1, heads=2, max_events=7)
NAMES = [name for name, _ in initial_encoder(CONFIG, 0).named_parameters()]
PARAMETERS = sum(p.numel() for p in initial_encoder(CONFIG, 0).parameters())
ITEM_SIDE = 24 * 12  # numbers in the last weight before the scores
USERS = 40
CANARIES = 1000
DELTA = 1e-8  # 2 CANARIES DELTA has to be far below the error that a test allows


@dataclass(frozen=True)
class Free:
    """A ledger without a budget."""

    def reserve(self, plan, received):
        del received
        return Event(plan.noise_multiplier, plan.sampling_rate)


@dataclass(frozen=True)
class Schedule:
    """What the run claims; about one epsilon."""

    noise_multiplier: float = 4.0
    sampling_rate: float = 0.1
    rounds: int = 60
    clipping_norm: float = 0.5

    @property
    def plan(self):
        return RoundPlan(
            "audited",
            1,
            3,
            negatives=20,
            validate=False,
            privacy="local",
            clipping_norm=self.clipping_norm,
            noise_multiplier=self.noise_multiplier,
            sampling_rate=self.sampling_rate,
        )

    def claim(self, *, attempts=1):
        """A claim that is true, by the accountant."""
        return Claim(
            epsilon=accounted(self, attempts),
            delta=DELTA,
            mode="local",
            platforms=("shop",),
            sampling_rate=self.sampling_rate,
            noise_multiplier=self.noise_multiplier,
            rounds=attempts * self.rounds,
        )


@cache
def accounted(schedule, attempts):
    event = Event(schedule.noise_multiplier, schedule.sampling_rate, attempts * schedule.rounds)
    return epsilon([event], DELTA)


@cache
def workspace():
    platform = random_platform(users=USERS, items=30, events=11, seed=6, content=24)
    return Workspace(platform, CONFIG.max_events)


def everywhere():
    return Canaries.drawn(CANARIES, PARAMETERS, SecureSource())


def on_the_item_side():
    """As many canaries as the last weight has numbers, all of them there."""
    start = sum(p.numel() for p in parameters_before("item.weight"))
    drawn = Canaries.drawn(ITEM_SIDE, ITEM_SIDE, SecureSource())
    return Canaries(drawn.coordinates + start, drawn.signs, drawn.included)


def parameters_before(name):
    for each, parameter in initial_encoder(CONFIG, 0).named_parameters():
        if each == name:
            return
        yield parameter


@dataclass
class Run:
    """State of a run: a trainer, a noise, the parameters of the round."""

    schedule: Schedule
    canaries: Canaries

    def __post_init__(self):
        self.trainer = PrivateTrainer(workspace(), CONFIG, Free(), USERS, canaries=self.canaries)
        self.noise = GaussianNoise(USERS)
        self.parameters = split(initial_encoder(CONFIG, 1))[0]

    def attempt(self):
        """What leaves the platform in a round, as it would leave after a crash once more."""
        update = self.trainer.train(self.parameters, self.schedule.plan).update
        return self.noise(update, self.schedule.plan)

    def step(self, update, rate=0.05):
        """The server's part: a small step."""
        tensors = {
            name: (rate * tensor).astype(np.float32) for name, tensor in update.tensors.items()
        }
        self.parameters = self.parameters.plus(Shared(tensors))

    @property
    def scale(self):
        """What was released, in clipping norms of the sum of gradients."""
        return -self.schedule.sampling_rate * USERS / self.schedule.clipping_norm


def watched(schedule=Schedule(), canaries=None):
    """Scores of a whole run."""
    run = Run(schedule, everywhere() if canaries is None else canaries)
    watch = Watch.over(run.canaries)
    for _ in range(schedule.rounds):
        released = run.attempt()
        watch = watch.observed(released.tensors, NAMES, run.scale)
        run.step(released)
    return watch


def resumed(schedule):
    """Scores of a run whose every round was cut off after sending, and was computed anew.

    The attacker subtracts the two: what is left is noise, if it was fresh.
    """
    run = Run(schedule, everywhere())
    scores = np.zeros(CANARIES)
    for _ in range(schedule.rounds):
        first, second = run.attempt(), run.attempt()
        difference = first.minus(second)
        seen = Watch.over(run.canaries).observed(difference.tensors, NAMES, run.scale)
        scores += np.abs(seen.scores)
        run.step(second)
    return Watch(run.canaries, scores)
