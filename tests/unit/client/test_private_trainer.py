"""A private round at a platform: what is charged, what is summed, and what comes out."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from planted_histories import random_platform
from private_platforms import PRIVATE_ROUND
from trainer_cases import CONFIG, later_encoder

from isthmus.errors import BudgetError, MessageRefusedError, PrivacyError
from isthmus.privacy.events import Event
from isthmus.privacy.randomness import SecureSource
from isthmus_client.dp.canaries import Canaries
from isthmus_client.private_trainer import PrivateTrainer
from isthmus_client.workspace import Workspace


@dataclass
class Counter:
    """A ledger of the reservations alone."""

    asked: list = field(default_factory=list)
    allowed: int = 99
    cheap: float = 1.0

    def reserve(self, plan, received):
        if len(self.asked) >= self.allowed:
            raise BudgetError("nothing is left")
        self.asked.append((plan.round, received.fingerprint()))
        return Event(self.cheap * plan.noise_multiplier, plan.sampling_rate)


@pytest.fixture(scope="module")
def workspace():
    return Workspace(random_platform(users=60, seed=1), CONFIG.max_events)


def trainer_of(workspace, charge=None, **settings):
    return PrivateTrainer(workspace, CONFIG, charge or Counter(), 60, **settings)


def total(result):
    return result.update.norm()


def test_nobody_moves_the_sum_further_than_the_norm(workspace):
    everybody = replace(PRIVATE_ROUND, sampling_rate=1.0)
    result = trainer_of(workspace).train(later_encoder(), everybody)
    users = workspace.sequences.training_users.size
    assert 0 < total(result) <= users * everybody.clipping_norm
    short = replace(everybody, clipping_norm=1e-3)
    assert total(trainer_of(workspace).train(later_encoder(), short)) <= users * 1e-3


def test_what_comes_out_says_nothing_of_the_users_but_the_sum(workspace):
    trainer = trainer_of(workspace)
    results = [trainer.train(later_encoder(), PRIVATE_ROUND) for _ in range(5)]
    assert {(result.users, len(result.metrics)) for result in results} == {(60, 0)}
    assert trainer.evaluate(later_encoder(), PRIVATE_ROUND) == {}


def test_the_sum_points_downhill(workspace):
    """A large step along the sum over everybody lowers the loss of everybody."""
    everybody = replace(PRIVATE_ROUND, sampling_rate=1.0, negatives=15)
    trainer = trainer_of(workspace)
    start = later_encoder()
    first = trainer.train(start, everybody).update
    scaled = {name: t * np.float32(0.02) for name, t in first.tensors.items()}
    again = trainer.train(start.plus(type(start)(scaled)), everybody).update
    cosine = sum(float((first.tensors[n] * again.tensors[n]).sum()) for n in first.tensors)
    assert cosine > 0


def test_every_round_draws_another_sample(workspace):
    trainer = trainer_of(workspace)
    one, two = (trainer.train(later_encoder(), PRIVATE_ROUND).update for _ in range(2))
    assert one.fingerprint() != two.fingerprint()


def test_nobody_sampled_is_a_sum_of_zeros(workspace):
    nobody = replace(PRIVATE_ROUND, sampling_rate=1e-12)
    assert total(trainer_of(workspace).train(later_encoder(), nobody)) == 0


def test_a_round_is_charged_before_anything_is_computed(workspace):
    charge = Counter(allowed=1)
    trainer = trainer_of(workspace, charge)
    start = later_encoder()
    trainer.train(start, PRIVATE_ROUND)
    assert charge.asked == [(1, start.fingerprint())]
    with pytest.raises(BudgetError):
        trainer.train(start, PRIVATE_ROUND)


def test_a_sample_that_costs_more_than_was_charged_is_refused(workspace):
    with pytest.raises(PrivacyError, match="charged"):
        trainer_of(workspace, Counter(cheap=2.0)).train(later_encoder(), PRIVATE_ROUND)


def test_a_round_without_privacy_is_refused(workspace):
    plain = replace(
        PRIVATE_ROUND, privacy="none", clipping_norm=0.0, noise_multiplier=0.0, sampling_rate=0.0
    )
    charge = Counter()
    with pytest.raises(MessageRefusedError, match="budget"):
        trainer_of(workspace, charge).train(later_encoder(), plain)
    assert charge.asked == []


def test_a_canary_in_the_data_adds_one_clipped_gradient():
    parameters = later_encoder().size
    drawn = Canaries.drawn(20, parameters, SecureSource())
    everybody = replace(PRIVATE_ROUND, sampling_rate=1.0, clipping_norm=0.25)
    empty = Workspace(
        random_platform(users=60, seed=1), CONFIG.max_events, training_users=np.zeros(0, np.int64)
    )
    result = trainer_of(empty, canaries=drawn).train(later_encoder(), everybody)
    flat = -np.concatenate([result.update.tensors[n].ravel() for n in _names()])
    seen = flat[drawn.coordinates] * drawn.signs
    assert seen == pytest.approx(np.where(drawn.included, 0.25, 0.0), rel=1e-4)
    assert np.count_nonzero(flat) == drawn.included.sum()


def _names():
    from isthmus.encoder import initial_encoder  # noqa: PLC0415 - used here alone

    return [name for name, _ in initial_encoder(CONFIG, 0).named_parameters()]
