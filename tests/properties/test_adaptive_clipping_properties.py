"""An adaptive clipping norm at a platform: what one user moves, for any user and any norm.

Whole rounds of the product, sample and noise frozen, on the grid so that no float rounds the
difference. Each property is shown to fail where what it watches is switched off.
"""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from frozen_rounds import CONFIG, USERS, Free, Frozen, parameters, workspace
from hypothesis import given
from hypothesis import strategies as st

from isthmus.messages import RoundPlan
from isthmus.privacy import adaptive
from isthmus.privacy.grid import STEPS
from isthmus_client import private_trainer
from isthmus_client.dp import micro_batches
from isthmus_client.noise import GaussianNoise, noise_of
from isthmus_client.private_trainer import PrivateTrainer

PLAN = RoundPlan(
    "round", 1, 3, negatives=9, validate=False, privacy="pooled",
    clipping_norm=0.5, noise_multiplier=1.7, sampling_rate=1.0, clipping_quantile=0.5,
)  # fmt: skip
FIXED = replace(PLAN, clipping_quantile=0.0)
ANY_NORM = st.floats(-6, 3).map(math.exp)  # from below every user's gradient to above


@cache
def released(plan, without=None):
    """What leaves the platform in a round, in clipping norms; one column more if it adapts."""
    trainer = PrivateTrainer(workspace(without), CONFIG, Free(), USERS, source=Frozen())
    sent = GaussianNoise(USERS, Frozen())(trainer.train(parameters(), plan).update, plan)
    return {name: steps / STEPS for name, steps in sent.tensors.items()}


def flat(tensors):
    return np.concatenate([np.ravel(tensors[name]) for name in sorted(tensors)])


def moved_by(user, plan):
    """How far one user's leaving moves what leaves the platform, in clipping norms."""
    return np.linalg.norm(flat(released(plan)) - flat(released(plan, user)))


@given(user=st.integers(0, USERS - 1), norm=ANY_NORM)
def test_gradient_and_coordinate_of_a_user_are_within_the_norm(user, norm):
    assert moved_by(user, replace(PLAN, clipping_norm=norm)) <= 1 + 1e-5


@given(user=st.integers(0, USERS - 1), norm=ANY_NORM)
def test_the_coordinate_moves_by_half_a_bit_and_always(user, norm):
    plan = replace(PLAN, clipping_norm=norm)
    change = released(plan)[adaptive.WITHIN] - released(plan, user)[adaptive.WITHIN]
    assert abs(change) == pytest.approx(adaptive.BIT / 2, rel=1e-4)


def test_a_clipped_user_uses_the_whole_norm():
    plan = replace(PLAN, clipping_norm=1e-3)
    assert [moved_by(user, plan) for user in range(USERS)] == pytest.approx([1.0] * USERS, rel=1e-4)


def test_with_gradients_clipped_to_the_whole_norm_a_user_moves_more(monkeypatch):
    monkeypatch.setattr(adaptive, "gradient_norm", lambda norm: norm)
    plan = replace(PLAN, clipping_norm=1.1e-3)  # no other test has this norm
    assert min(moved_by(user, plan) for user in range(5)) > 1 + 1e-3


def test_a_fixed_norm_has_neither_coordinate_nor_shorter_gradients():
    fixed = replace(FIXED, clipping_norm=1e-3)
    shapes = {name: values.shape for name, values in released(fixed).items()}
    assert shapes == dict(parameters().shapes())
    assert [moved_by(user, fixed) for user in range(5)] == pytest.approx([1.0] * 5, rel=1e-4)
    assert noise_of(fixed, parameters().size).coordinates == parameters().size


def test_the_coordinate_says_who_is_within():
    """With the threshold in the widest gaps between the lengths of the gradients."""
    lengths = sorted(moved_by(u, replace(FIXED, clipping_norm=50.0)) * 50 for u in range(USERS))
    for within in np.argsort(np.diff(lengths))[-3:]:
        norm = np.mean(lengths[within : within + 2]) / adaptive.gradient_norm(1.0)
        plan = replace(PLAN, clipping_norm=norm, noise_multiplier=1e-9)
        mean = float(released(plan)[adaptive.WITHIN]) * norm / USERS
        assert adaptive.decoded(mean, norm) == pytest.approx((within + 1) / USERS, abs=1e-5)


@pytest.mark.parametrize("size", [24, 6, 1])
def test_micro_batches_share_one_norm(monkeypatch, size):
    """One, 4 and 24 of them: the same sum, the same count, and noise of the plan's own norm."""
    plan = replace(PLAN, clipping_norm=0.25)
    whole = PrivateTrainer(workspace(), CONFIG, Free(), USERS, source=Frozen())
    expected = whole.train(parameters(), plan).update
    monkeypatch.setattr(
        private_trainer, "micro_batches", lambda users, lengths: micro_batches(users, lengths, size)
    )
    update = whole.train(parameters(), plan).update
    for name, tensor in expected.tensors.items():
        assert update.tensors[name] == pytest.approx(tensor, abs=1e-5)
    assert update.tensors[adaptive.WITHIN] == expected.tensors[adaptive.WITHIN]
    sent = [GaussianNoise(USERS)(update, plan).tensors for _ in range(30)]
    scale = 0.25 / STEPS
    noise = np.concatenate(
        [np.ravel(each[n] * scale - update.tensors[n]) for each in sent for n in each]
    )
    sure = 5 / math.sqrt(2 * noise.size)  # standard errors; the noise cannot be seeded
    assert noise.std() == pytest.approx(1.7 * 0.25 * 1.001, rel=sure)


def test_the_coordinate_is_noised_as_all_others_are():
    trainer = PrivateTrainer(workspace(), CONFIG, Free(), USERS)
    update = trainer.train(parameters(), PLAN).update
    own = float(update.tensors[adaptive.WITHIN])
    sent = [GaussianNoise(USERS)(update, PLAN).tensors[adaptive.WITHIN] for _ in range(400)]
    noise = np.array(sent) * (0.5 / STEPS) - own
    assert noise.std() == pytest.approx(1.7 * 0.5, rel=5 / math.sqrt(2 * 400))
    assert abs(noise.mean()) < 5 * 1.7 * 0.5 / math.sqrt(400)
