"""What holds for every pair of columns, and the interval's coverage on simulated data."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from isthmus.statistics import paired_bootstrap

SHARES = st.floats(0, 1, allow_subnormal=False)
COLUMN = arrays(np.float64, st.integers(1, 40), elements=SHARES)
PAIR = st.integers(1, 40).flatmap(
    lambda users: st.tuples(*[arrays(np.float64, users, elements=SHARES)] * 2)
)
SEEDS = st.integers(0, 2**32)


@given(PAIR, SEEDS, st.floats(0.01, 0.99))
@settings(max_examples=150, deadline=None)
def test_each_interval_holds_its_estimate(pair, seed, confidence):
    found = paired_bootstrap(*pair, resamples=50, confidence=confidence, seed=seed)
    assert found.low <= found.mean <= found.high
    assert 0 < found.p_value <= 1
    if found.relative_low is not None:
        assert found.relative_low <= found.relative
    if found.relative_high is not None:
        assert found.relative <= found.relative_high


@given(COLUMN, SEEDS)
@settings(deadline=None)
def test_equal_columns_differ_by_exactly_zero(column, seed):
    found = paired_bootstrap(column, column.copy(), resamples=40, seed=seed)
    assert (found.mean, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert found.relative in {0.0, None}


@given(PAIR, SEEDS)
@settings(deadline=None)
def test_equal_seeds_give_equal_results(pair, seed):
    assert paired_bootstrap(*pair, resamples=30, seed=seed) == paired_bootstrap(
        *pair, resamples=30, seed=seed
    )


@given(PAIR, SEEDS, st.floats(-3, 3))
@settings(deadline=None)
def test_a_shift_of_both_sides_changes_nothing(pair, seed, shift):
    plain = paired_bootstrap(*pair, resamples=60, seed=seed)
    moved = paired_bootstrap(pair[0] + shift, pair[1] + shift, resamples=60, seed=seed)
    for field in ("mean", "low", "high"):
        assert math.isclose(getattr(plain, field), getattr(moved, field), abs_tol=1e-12)


@given(PAIR, SEEDS, st.sampled_from([0.25, 4.0]))
@settings(deadline=None)
def test_the_ratio_has_no_unit(pair, seed, unit):
    plain = paired_bootstrap(*pair, resamples=60, seed=seed)
    scaled = paired_bootstrap(pair[0] * unit, pair[1] * unit, resamples=60, seed=seed)
    for field in ("relative", "relative_low", "relative_high"):
        assert getattr(plain, field) == getattr(scaled, field)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_covers_the_truth_as_often_as_it_says(confidence):
    truth, trials, users = 0.02, 400, 150
    generator = np.random.default_rng(2024)
    hits = ratio_hits = 0
    for trial in range(trials):
        baseline = generator.gamma(0.5, 0.2, users)  # skewed, as ranking metrics are; mean 0.1
        candidate = baseline + generator.normal(truth, 0.1, users)
        found = paired_bootstrap(
            candidate, baseline, resamples=400, confidence=confidence, seed=trial
        )
        hits += found.low <= truth <= found.high
        ratio_hits += found.relative_low <= truth / 0.1 <= found.relative_high
    allowed = 3.5 * math.sqrt(confidence * (1 - confidence) / trials)
    assert abs(hits / trials - confidence) < allowed
    assert abs(ratio_hits / trials - confidence) < allowed
