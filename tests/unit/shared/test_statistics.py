"""The paired bootstrap against SciPy's, against the normal interval, and at its edges."""

import numpy as np
import pytest
from scipy import stats

from isthmus.statistics import Difference, equivalence, equivalent, holm, paired_bootstrap

GENERATOR = np.random.default_rng(41)
BASE = GENERATOR.random(700) * (GENERATOR.random(700) < 0.3)
BETTER = BASE + GENERATOR.normal(0.01, 0.05, 700)


def difference(low, high, relative_low=None, mean=0.01):
    return Difference(mean, low, high, 0.1, relative_low, 0.2, 100, 0.5)


def test_agrees_with_scipy_on_the_difference():
    ours = paired_bootstrap(BETTER, BASE, resamples=4000, seed=1)
    theirs = stats.bootstrap(
        (BETTER - BASE,), np.mean, n_resamples=4000, method="percentile", rng=2
    ).confidence_interval
    width = ours.high - ours.low
    assert ours.mean == pytest.approx(np.mean(BETTER) - np.mean(BASE))
    assert ours.low == pytest.approx(theirs.low, abs=0.05 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.05 * width)


def test_agrees_with_scipy_on_the_ratio():
    ours = paired_bootstrap(BETTER, BASE, resamples=4000, seed=1)
    theirs = stats.bootstrap(
        (BETTER, BASE),
        lambda a, b, axis: (a.mean(axis) - b.mean(axis)) / b.mean(axis),
        paired=True,
        n_resamples=4000,
        method="percentile",
        vectorized=True,
        rng=2,
    ).confidence_interval
    width = ours.relative_high - ours.relative_low
    assert ours.relative == pytest.approx(BETTER.mean() / BASE.mean() - 1)
    assert ours.relative_low == pytest.approx(theirs.low, abs=0.06 * width)
    assert ours.relative_high == pytest.approx(theirs.high, abs=0.06 * width)


def test_pairing_narrows_the_interval():
    paired = paired_bootstrap(BETTER, BASE, seed=3)
    shuffled = paired_bootstrap(GENERATOR.permutation(BETTER), BASE, seed=3)
    assert paired.mean == pytest.approx(shuffled.mean)
    assert paired.high - paired.low < 0.5 * (shuffled.high - shuffled.low)


def test_p_value_agrees_with_the_t_test():
    a, b = BETTER[:150], BASE[:150]
    ours = paired_bootstrap(a, b, resamples=8000, seed=5).p_value
    assert ours == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.02)


def test_swapping_the_sides_mirrors_the_interval():
    forth = paired_bootstrap(BETTER, BASE, seed=9)
    back = paired_bootstrap(BASE, BETTER, seed=9)
    assert (back.mean, back.low, back.high) == pytest.approx(
        (-forth.mean, -forth.high, -forth.low), abs=1e-4
    )


def test_a_higher_confidence_widens_the_interval():
    narrow = paired_bootstrap(BETTER, BASE, confidence=0.5, seed=2)
    wide = paired_bootstrap(BETTER, BASE, confidence=0.99, seed=2)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_many_users_are_drawn_in_blocks_and_all_blocks_count():
    users = 500_000  # four resamples fit in a block, so 10 need three
    gain = np.zeros(users)
    gain[::2] = 1.0
    found = paired_bootstrap(gain, np.zeros(users), resamples=10, seed=6)
    assert found.users == users
    assert 0.495 < found.low < found.high < 0.505
    assert found.relative is None


def test_without_a_baseline_there_is_no_ratio():
    found = paired_bootstrap([0.2, 0.4], [0.0, 0.0], seed=1)
    assert (found.relative, found.relative_low, found.relative_high) == (None, None, None)
    assert found.mean == pytest.approx(0.3)


def test_a_baseline_that_may_vanish_leaves_the_ratio_open_above():
    found = paired_bootstrap([0.5, 0.5, 0.5], [0.1, 0.0, 0.0], seed=1)
    assert found.relative == pytest.approx(14)
    assert found.relative_high is None


@pytest.mark.parametrize(
    ("a", "b", "changes", "said"),
    [
        ([1.0], [1.0, 2.0], {}, r"shapes \(1,\) and \(2,\)"),
        ([[1.0]], [[1.0]], {}, "expected one"),
        ([], [], {}, "no users"),
        ([np.nan], [1.0], {}, "NaN or infinite"),
        ([1.0], [np.inf], {}, "NaN or infinite"),
        ([1.0], [1.0], {"resamples": 0}, "resamples is 0"),
        ([1.0], [1.0], {"confidence": 1.0}, "confidence is 1.0"),
    ],
)
def test_wrong_input_is_refused_by_name(a, b, changes, said):
    with pytest.raises(ValueError, match=said):
        paired_bootstrap(a, b, seed=0, **changes)


@pytest.mark.parametrize(
    ("relative_low", "margin", "expected"),
    [(-0.005, 0.01, True), (-0.02, 0.01, False), (0.3, 0.01, True), (-0.01, 0.01, True)],
)
def test_equivalence_asks_only_for_no_loss_beyond_the_margin(relative_low, margin, expected):
    assert equivalent(difference(-1, 1, relative_low), margin) is expected


def test_equivalence_without_a_ratio_is_not_shown_unless_nothing_differs():
    assert not equivalent(difference(-0.1, 0.1), 0.01)
    assert equivalent(paired_bootstrap(np.zeros(9), np.zeros(9), seed=0), 0.0)


@pytest.mark.parametrize("margin", [-0.01, np.nan, np.inf])
def test_a_margin_out_of_range_is_refused(margin):
    with pytest.raises(ValueError, match="margin is"):
        equivalent(difference(-1, 1, 0.0), margin)


def test_a_baseline_of_almost_nothing_is_no_yardstick():
    candidate, baseline = np.ones(4), np.array([np.finfo(float).tiny, 0.0, 0.0, 0.0])
    found = paired_bootstrap(candidate, baseline, resamples=30, seed=0)

    assert found.mean == 1.0
    assert (found.relative, found.relative_low, found.relative_high) == (None, None, None)


def test_holm_on_a_worked_example():
    """0.01 x 4, 0.013 x 3 held up to 0.04, 0.02 x 2, 0.9."""
    assert holm([0.02, 0.9, 0.01, 0.013]) == pytest.approx([0.04, 0.9, 0.04, 0.04])


def test_holm_of_one_and_of_none():
    assert holm([0.3]) == pytest.approx([0.3])
    assert holm([]).shape == (0,)


@pytest.mark.parametrize("values", [[1.1], [-0.1], [np.nan], [[0.1]]])
def test_holm_refuses_what_is_no_p_value(values):
    with pytest.raises(ValueError, match="expected one column of shares"):
        holm(values)


def noisy(mean, spread, users=4000, seed=3):
    """A baseline of mean 0.2, and a candidate that is so much better, with noise."""
    generator = np.random.default_rng(seed)
    base = generator.gamma(1.0, 0.2, users)
    return base * (1 + mean) + generator.normal(0, spread, users), base


@pytest.mark.parametrize(
    ("gain", "spread", "no_harm", "equal"),
    [
        (0.0, 0.01, True, True),
        (0.1, 0.01, True, False),  # much better is no harm, and not equal
        (-0.1, 0.01, False, False),
        (0.0, 1.0, False, False),  # too noisy to show anything
    ],
)
def test_equivalence_tells_equal_better_worse_and_unclear_apart(gain, spread, no_harm, equal):
    found = equivalence(*noisy(gain, spread), margin=0.01, seed=1)
    assert (found.no_harm(), found.equal()) == (no_harm, equal)


def test_equivalence_agrees_with_the_t_tests():
    candidate, base = noisy(0.004, 0.03)
    found = equivalence(candidate, base, margin=0.01, resamples=20_000, seed=2)
    loss = stats.ttest_1samp(candidate - 0.99 * base, 0, alternative="greater").pvalue
    gain = stats.ttest_1samp(1.01 * base - candidate, 0, alternative="greater").pvalue
    assert found.p_no_loss == pytest.approx(loss, abs=0.01)
    assert found.p_no_gain == pytest.approx(gain, abs=0.01)


def test_columns_that_are_equal_are_equivalent_however_few():
    found = equivalence([0.5, 0.0], [0.5, 0.0], margin=0.01, seed=0)
    assert found.equal()
    assert found.no_harm()


def test_equivalence_refuses_a_negative_margin():
    with pytest.raises(ValueError, match="margin is -1"):
        equivalence([1.0], [1.0], margin=-1, seed=0)
