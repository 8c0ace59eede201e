"""Canaries are users like any other, whose gradient alone is made up; what the auditor adds up."""

import numpy as np
import pytest
import torch
from planted_histories import random_platform

from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.errors import PrivacyError
from isthmus.privacy.grid import GridNoise, noised, restored
from isthmus.privacy.randomness import SecureSource
from isthmus_client.dp import clipped_sum, poisson_sample
from isthmus_client.dp.canaries import (
    LENGTH,
    Canaries,
    Watch,
    add_canaries,
    parted,
    with_canaries,
)
from isthmus_client.dp.clipping import zero_sum
from isthmus_client.workspace import Workspace

CONFIG = EncoderConfig(content=6, dim=8, layers=1, heads=2, max_events=7)
PARAMETERS = sum(p.numel() for p in initial_encoder(CONFIG, 0).parameters())


@pytest.fixture
def encoder():
    return initial_encoder(CONFIG, 5)


@pytest.fixture
def canaries():
    return Canaries.drawn(200, PARAMETERS, SecureSource())


def flat(total):
    """In the order of `named_parameters()`."""
    return torch.cat([tensor.flatten() for tensor in total.tensors.values()]).numpy()


def test_coins_are_fair_signs_too_and_no_coordinate_is_taken_twice():
    drawn = Canaries.drawn(4000, 9000, SecureSource())
    assert np.unique(drawn.coordinates).size == 4000
    assert 0 <= drawn.coordinates.min() < 100
    assert 8900 < drawn.coordinates.max() < 9000
    for coin in (drawn.included, drawn.signs == 1):
        assert abs(coin.mean() - 0.5) < 0.04  # five standard deviations
    assert abs(np.corrcoef(drawn.included, drawn.signs)[0, 1]) < 0.08
    assert abs(np.corrcoef(drawn.included, drawn.coordinates)[0, 1]) < 0.08


def test_two_draws_share_nothing():
    first, second = (Canaries.drawn(300, 5000, SecureSource()) for _ in range(2))
    assert not np.array_equal(first.coordinates, second.coordinates)
    assert not np.array_equal(first.included, second.included)


def test_each_sampled_canary_adds_the_clipping_norm_to_its_own_coordinate(encoder, canaries):
    included = np.flatnonzero(canaries.included)
    total = add_canaries(zero_sum(encoder), canaries, included[:7], 0.4)
    expected = np.zeros(PARAMETERS)
    expected[canaries.coordinates[included[:7]]] = 0.4 * canaries.signs[included[:7]]
    np.testing.assert_allclose(flat(total), expected, rtol=2e-5)
    assert total.users == 7
    assert total.within == 0  # each was ten times too long


def test_without_clipping_a_canary_would_be_ten_times_as_long():
    assert LENGTH == 10.0


def test_users_sums_and_canaries_add_up(encoder, canaries):
    workspace = Workspace(random_platform(users=20, items=30, events=11), CONFIG.max_events)
    users = workspace.sequences.training_users
    batch = workspace.sequences.training_batch(users, np.random.default_rng(2))
    given = ([batch], workspace.content, torch.arange(20), 0.7)
    alone = flat(clipped_sum(encoder, *given))
    sampled = np.flatnonzero(canaries.included)
    both = flat(add_canaries(clipped_sum(encoder, *given), canaries, sampled, 0.7))
    only = flat(add_canaries(zero_sum(encoder), canaries, sampled, 0.7))
    np.testing.assert_allclose(both, alone + only, atol=1e-6)
    assert np.abs(alone).max() > 0.01


def test_nobody_sampled_changes_nothing(encoder, canaries):
    total = add_canaries(zero_sum(encoder), canaries, np.empty(0, np.int64), 1.0)
    assert not flat(total).any()
    assert total.users == 0


def test_one_sample_draws_users_and_canaries_alike(canaries):
    users = np.arange(3, 500)
    rows = with_canaries(users, canaries)
    taken = np.zeros(rows.size)
    for _ in range(400):
        sample = poisson_sample(rows, 0.3, SecureSource())
        some, some_canaries = parted(sample.users)
        assert np.isin(some, users).all()
        assert canaries.included[some_canaries].all()
        taken[np.isin(rows, sample.users)] += 1
    for group in (taken[: users.size], taken[users.size :]):
        assert abs(group.mean() / 400 - 0.3) < 0.015
        assert group.min() > 60


def test_only_canaries_in_the_data_may_be_sampled(encoder, canaries):
    outside = np.flatnonzero(~canaries.included)[:1]
    with pytest.raises(PrivacyError, match="not in the data"):
        add_canaries(zero_sum(encoder), canaries, outside, 1.0)


def test_a_coordinate_beyond_the_encoder_is_refused(encoder):
    far = Canaries(np.array([PARAMETERS]), np.array([1]), np.array([True]))
    with pytest.raises(PrivacyError, match=f"beyond the {PARAMETERS} parameters"):
        add_canaries(zero_sum(encoder), far, np.array([0]), 1.0)


@pytest.mark.parametrize("count", [0, 12])
def test_there_are_as_many_canaries_as_coordinates_at_most(count):
    with pytest.raises(PrivacyError, match=f"{count} canaries for 11 parameters"):
        Canaries.drawn(count, 11, SecureSource())


def test_the_watch_adds_up_what_left_at_each_canarys_coordinate(encoder, canaries):
    names = [name for name, _ in encoder.named_parameters()]
    random = np.random.default_rng(1)
    released = {name: random.normal(size=tuple(p.shape)) for name, p in encoder.named_parameters()}
    laid = np.concatenate([np.ravel(released[name]) for name in names])
    watch = Watch.over(canaries)
    for _ in range(3):
        watch = watch.observed(dict(sorted(released.items())), names, scale=-2.0)
    np.testing.assert_allclose(watch.scores, -6 * canaries.signs * laid[canaries.coordinates])
    assert watch.canaries is canaries


def test_other_tensors_are_refused(encoder, canaries):
    names = [name for name, _ in encoder.named_parameters()]
    with pytest.raises(PrivacyError, match="released are"):
        Watch.over(canaries).observed({"event.weight": np.zeros((8, 6))}, names)


def test_scores_of_what_leaves_through_the_grid_tell_canaries_apart(encoder, canaries):
    """With hardly any noise the sum at a coordinate is the canary's presence."""
    names = [name for name, _ in encoder.named_parameters()]
    sampled = np.flatnonzero(canaries.included)
    total = add_canaries(zero_sum(encoder), canaries, sampled, 0.5)
    how = GridNoise(0.5, 1e-3, PARAMETERS)
    sums = {name: tensor.numpy() for name, tensor in total.tensors.items()}
    released = restored(noised(sums, how, SecureSource()), how, divisor=40.0)
    watch = Watch.over(canaries).observed(released, names, scale=40.0 / 0.5)
    assert (watch.scores[canaries.included] > 0.9).all()
    assert (np.abs(watch.scores[~canaries.included]) < 0.1).all()
