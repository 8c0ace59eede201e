"""Sampling is Poisson, by user, and only the sampler can say so."""

import itertools

import numpy as np
import pytest

from isthmus.errors import PrivacyError
from isthmus.privacy.events import Event
from isthmus.privacy.randomness import SecureSource
from isthmus_client.dp import PoissonSample, micro_batches, poisson_sample

USERS = np.arange(400) * 3


def counted():
    """A source whose words repeat, so that statistics come out the same in every run."""
    state = np.random.default_rng(8)
    return SecureSource(state.bytes)


def test_pitfall_7_sizes_vary_as_a_binomial_does():
    source = counted()
    sizes = np.array([poisson_sample(USERS, 0.1, source).users.size for _ in range(3000)])
    assert sizes.mean() == pytest.approx(40, abs=0.5)
    assert sizes.var() == pytest.approx(400 * 0.1 * 0.9, rel=0.1)


def test_pitfall_7_two_users_are_taken_independently():
    source = counted()
    taken = np.zeros((4000, 5), dtype=bool)
    for row in taken:
        row[:] = np.isin(USERS[:5], poisson_sample(USERS[:5], 0.3, source).users)
    together = np.cov(taken.T, bias=True)
    expected = 0.3 * 0.7 * np.eye(5)  # a fixed size would make neighbours negative
    assert np.abs(together - expected).max() < 0.012
    assert np.abs(taken.mean(axis=0) - 0.3).max() < 0.03


def test_pitfall_7_only_the_sampler_issues_a_sample():
    real = poisson_sample(USERS, 0.2, SecureSource())
    assert real.event(1.3) == Event(1.3, 0.2)
    with pytest.raises(PrivacyError, match="not drawn by the Poisson sampler"):
        PoissonSample(USERS[:40], 0.1, issued_by=None)
    with pytest.raises(PrivacyError, match="not drawn"):
        PoissonSample(USERS[:40], 0.1, issued_by=object())


def test_two_samples_of_one_moment_differ():
    one, other = (poisson_sample(USERS, 0.5, SecureSource()).users for _ in range(2))
    assert not np.array_equal(one, other)


def test_a_rate_of_one_takes_everybody():
    assert np.array_equal(poisson_sample(USERS, 1.0, SecureSource()).users, USERS)


def test_pitfall_10_a_sample_may_be_empty_and_still_costs():
    sample = poisson_sample(USERS, 1e-12, SecureSource())
    assert sample.users.size == 0
    assert sample.event(2.0).sampling_rate == 1e-12
    assert micro_batches(sample.users, sample.users) == []


def test_pitfall_10_nobody_may_be_asked():
    assert poisson_sample(USERS[:0], 0.5, SecureSource()).users.size == 0


def test_pitfall_15_a_user_listed_twice_is_refused():
    with pytest.raises(PrivacyError, match="2 users are listed twice"):
        poisson_sample(np.array([4, 7, 4, 9, 7]), 0.5, SecureSource())


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.1, np.nan])
def test_an_impossible_rate_is_refused(rate):
    with pytest.raises(PrivacyError, match="sampling rate"):
        poisson_sample(USERS, rate, SecureSource())


def test_pitfall_6_a_sample_prints_no_user():
    assert repr(poisson_sample(USERS, 0.25, SecureSource())) == "PoissonSample(rate=0.25)"


@pytest.mark.parametrize("size", [1, 7, 64, 500])
def test_micro_batches_hold_everyone_once_and_similar_lengths(size):
    lengths = USERS * 7919 % 41
    made = micro_batches(USERS, lengths, size)
    assert sorted(np.concatenate(made).tolist()) == USERS.tolist()
    assert max(part.size for part in made) <= size
    ranges = [(part * 7919 % 41) for part in made]
    assert all(a.min() >= b.max() for a, b in itertools.pairwise(ranges))


def test_micro_batches_of_long_histories_are_smaller():
    assert {part.size for part in micro_batches(USERS[:80], np.full(80, 50))} == {40}
    assert [part.size for part in micro_batches(USERS[:2], np.full(2, 5000))] == [1, 1]
