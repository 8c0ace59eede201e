"""The membership attack against slow truths: pairs counted one by one, one user at a time."""

import numpy as np
import pytest
import torch
from planted_histories import random_platform
from scipy import stats

from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus_client.content_loss import content_loss
from isthmus_client.membership import (
    attack,
    batch_losses,
    highest_tpr,
    user_losses,
)
from isthmus_client.sequences import Batch
from isthmus_client.training import Settings, batches, optimiser_for, train_content
from isthmus_client.workspace import Workspace

CONFIG = EncoderConfig(content=6, dim=8, layers=1, heads=2, max_events=7)


@pytest.fixture
def workspace():
    return Workspace(random_platform(users=90, items=30, events=11, seed=4), CONFIG.max_events)


@pytest.fixture
def encoder():
    made = initial_encoder(CONFIG, 5)
    with torch.no_grad():
        made.item.weight.normal_(std=0.3, generator=torch.Generator().manual_seed(2))
    return made


def alone(batch, place):
    """One user's row of a batch."""
    columns = (batch.items, batch.behaviours, batch.gaps, batch.targets)
    return Batch(*(column[place : place + 1] for column in columns))


def test_a_users_loss_is_the_training_objective_of_that_user_alone(workspace, encoder):
    users = workspace.sequences.training_users
    batch = workspace.sequences.training_batch(users, np.random.default_rng(8))
    negatives = np.random.default_rng(9).integers(0, workspace.items, size=40)
    found = batch_losses(encoder, batch, workspace.content, torch.from_numpy(negatives))

    for place in range(len(users)):
        row = alone(batch, place)
        if (row.targets < 0).all():
            assert np.isnan(found[place])
            continue
        with torch.no_grad():
            slow = content_loss(encoder, row, workspace.content, np.random.default_rng(9), count=40)
        assert found[place] == pytest.approx(float(slow), rel=1e-5)


def test_losses_do_not_depend_on_who_else_is_asked_for_negatives(workspace, encoder):
    users = workspace.sequences.training_users
    given = (encoder, workspace.sequences, workspace.content, users)
    first, again = user_losses(*given, seed=3), user_losses(*given, seed=3)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, user_losses(*given, seed=4))
    assert first.shape == users.shape


def test_in_any_order_each_user_keeps_its_own_loss(workspace, encoder):
    """All windows are whole here, so only the drawn targets differ: with one choice, nothing."""
    sequences = workspace.histories_before("validation")  # horizon 1: one target a position
    lengths = sequences.window_lengths(np.arange(90))
    users = np.flatnonzero(lengths < CONFIG.max_events)
    shuffled = np.random.default_rng(1).permutation(users)
    losses = user_losses(encoder, sequences, workspace.content, users, seed=6)
    other = user_losses(encoder, sequences, workspace.content, shuffled, seed=6)
    assert np.isfinite(losses).sum() > 20
    np.testing.assert_allclose(
        other[np.argsort(shuffled)], losses[np.argsort(users)], rtol=1e-5, equal_nan=True
    )


def test_the_auc_counts_pairs_and_halves_ties():
    random = np.random.default_rng(0)
    members = random.integers(0, 9, size=37).astype(float)
    others = random.integers(2, 12, size=53).astype(float)
    pairs = [(a < b) + 0.5 * (a == b) for a in members for b in others]
    found = attack(members, others)
    assert found.auc == pytest.approx(np.mean(pairs))
    assert 0 <= found.auc_low < found.auc < found.auc_high <= 1


def test_the_intervals_hold_what_is_true_about_as_often_as_they_say():
    """Members one standard deviation lower: the AUC is Phi(1 / sqrt 2)."""
    random, truth = np.random.default_rng(7), stats.norm.cdf(1 / np.sqrt(2))
    held = 0
    for _ in range(300):
        found = attack(random.normal(-1, 1, 120), random.normal(0, 1, 90))
        held += found.auc_low <= truth <= found.auc_high
    assert 270 <= held <= 297  # of 95 % of 300


def test_the_threshold_names_no_more_non_members_than_allowed():
    members = np.array([0.1, 0.2, 0.3, 0.4, 5.0])
    others = np.arange(2000) / 1000 + 0.25
    found = attack(members, others, fpr=0.001)
    assert found.fpr == 0.001  # two of 2 000 lie below the third
    assert found.tpr == 2 / 5
    strict = attack(members, others[:100], fpr=0.001)
    assert strict.fpr == 0.0
    assert strict.tpr == 2 / 5
    assert strict.tpr_low < 0.4 < strict.tpr_high


def test_ties_with_the_threshold_are_named_by_neither_side():
    found = attack(np.full(5, 1.0), np.full(7, 1.0), fpr=0.3)
    assert (found.tpr, found.fpr, found.auc) == (0.0, 0.0, 0.5)


def test_the_interval_of_the_tpr_is_exact():
    found = attack(np.arange(20.0), np.full(50, 4.5))
    expected = stats.beta.ppf(0.025, 5, 16), stats.beta.ppf(0.975, 6, 15)
    assert (found.tpr_low, found.tpr_high) == pytest.approx(expected)


def test_users_without_a_loss_are_left_out():
    found = attack(np.array([0.5, np.nan, 0.7]), np.array([np.nan, 1.0]))
    assert (found.members, found.non_members) == (2, 1)


@pytest.mark.parametrize(
    ("members", "others", "options", "words"),
    [
        ([], [1.0], {}, "no members"),
        ([1.0], [np.nan], {}, "no non-members"),
        ([np.inf], [1.0], {}, "infinite"),
        ([1.0], [1.0], {"fpr": 1.0}, "fpr is 1.0"),
        ([1.0], [1.0], {"confidence": 0.0}, "confidence 0.0"),
    ],
)
def test_what_makes_no_sense_is_refused(members, others, options, words):
    with pytest.raises(ValueError, match=words):
        attack(np.array(members), np.array(others), **options)


def test_privacy_caps_the_tpr():
    assert highest_tpr(0.0, 0.0) == pytest.approx(0.001)
    assert highest_tpr(1.0, 1e-5) == pytest.approx(np.e * 0.001 + 1e-5)
    assert highest_tpr(8.0, 0.0) == pytest.approx(1 - 0.999 * np.exp(-8.0))
    assert highest_tpr(1e9, 0.0) == pytest.approx(1.0)


def test_an_encoder_that_learnt_its_users_by_heart_gives_them_away():
    """Half of the users train, far too long; random histories hold nothing else to learn."""
    platform = random_platform(users=80, items=60, events=8, seed=2)
    everyone = Workspace(platform, CONFIG.max_events)
    chosen = everyone.sequences.training_users
    members, others = chosen[::2], chosen[1::2]
    shared = initial_encoder(EncoderConfig(content=6, dim=32, layers=1, heads=2, max_events=7), 1)
    before = attack(*losses(shared, everyone, members, others))
    random = np.random.default_rng(3)
    settings = Settings(batch_size=20, negatives=50, learning_rate=5e-3)
    train_content(
        shared,
        everyone.sequences,
        everyone.content,
        batches(members, settings, 200, random),
        settings=settings,
        random=random,
        optimiser=optimiser_for(shared, settings),
    )
    after = attack(*losses(shared, everyone, members, others), fpr=0.05)
    assert before.auc_low < 0.5 < before.auc_high
    assert after.auc_low > 0.8
    assert after.tpr > 0.3


def losses(shared, workspace, *groups):
    return [
        user_losses(shared, workspace.sequences, workspace.content, group, seed=1, negatives=50)
        for group in groups
    ]
