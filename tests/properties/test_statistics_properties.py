"""What holds for every pair of columns, and the interval's coverage on simulated data."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from isthmus.statistics import equivalence, holm, paired_bootstrap

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


def closed_testing(p_values):
    """Holm's slow truth: Bonferroni on every set of hypotheses that holds the one in question."""
    places = range(len(p_values))
    sets = [s for size in places for s in itertools.combinations(places, size + 1)]
    return [
        max(min(1.0, len(s) * min(p_values[i] for i in s)) for s in sets if place in s)
        for place in places
    ]


@given(st.lists(SHARES, min_size=1, max_size=6))
@settings(deadline=None)
def test_holm_is_closed_testing_with_bonferroni(p_values):
    assert np.allclose(holm(p_values), closed_testing(p_values), rtol=1e-12, atol=0)


@given(PAIR, SEEDS, st.sampled_from([0.25, 4.0]))
@settings(deadline=None)
def test_equivalence_has_no_unit(pair, seed, unit):
    asked = {"margin": 0.05, "resamples": 60, "seed": seed}
    scaled = equivalence(pair[0] * unit, pair[1] * unit, **asked)
    assert equivalence(*pair, **asked) == scaled


@given(PAIR, SEEDS)
@settings(deadline=None)
def test_without_a_margin_only_equal_columns_are_equal(pair, seed):
    """The two contrasts are each other's negative, so one of them is not above 0."""
    found = equivalence(*pair, margin=0.0, resamples=100, seed=seed)
    assert found.equal() == bool((pair[0] == pair[1]).all())


@given(PAIR, SEEDS)
@settings(deadline=None)
def test_no_loss_and_no_gain_change_places_with_the_candidate_mirrored(pair, seed):
    """What a candidate gains over the baseline, its mirror image loses."""
    asked = {"margin": 0.05, "resamples": 60, "seed": seed}
    plain = equivalence(*pair, **asked)
    mirrored = equivalence(2 * pair[1] - pair[0], pair[1], **asked)
    assert math.isclose(plain.p_no_loss, mirrored.p_no_gain, abs_tol=2 / 61)
    assert math.isclose(plain.p_no_gain, mirrored.p_no_loss, abs_tol=2 / 61)


def test_equality_is_shown_wrongly_as_seldom_as_promised():
    """At a true loss of exactly the margin, no harm may be claimed in 5 of 100 trials."""
    margin, trials, wrong = 0.1, 400, 0
    generator = np.random.default_rng(77)
    for trial in range(trials):
        baseline = generator.gamma(0.5, 0.2, 300)
        candidate = baseline * (1 - margin) + generator.normal(0, 0.05, 300)
        wrong += equivalence(
            candidate, baseline, margin=margin, resamples=400, seed=trial
        ).no_harm()
    assert wrong / trials < 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)
    assert wrong > 0
