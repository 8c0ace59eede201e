"""Robust aggregation against slow truths, for any updates."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from isthmus.messages import Update
from isthmus.parameters import Shared
from isthmus_server.aggregate import Weighting
from isthmus_server.robust import AGGREGATIONS, Median, NormBounded, TrimmedMean, aggregation

values = st.floats(-100, 100, width=32)
RULES = sorted(AGGREGATIONS)


@st.composite
def cohorts(draw, fewest=1):
    """Updates of up to six platforms with sizes from one user to a thousand."""
    count = draw(st.integers(fewest, 6))
    rows = draw(hnp.arrays(np.float32, (count, 5), elements=values))
    users = draw(st.lists(st.integers(1, 1000), min_size=count, max_size=count))
    return [
        Update(f"p{k}", 1, Shared({"a": row[:3], "b": row[3:]}), users[k], "base")
        for k, row in enumerate(rows)
    ]


def stack(updates):
    return np.stack([np.concatenate(list(u.delta.tensors.values())) for u in updates])


def constant(value):
    return Shared({"a": np.full(3, value, np.float32), "b": np.full(2, value, np.float32)})


def flat(combined):
    return np.concatenate(list(combined.mean.tensors.values()))


@pytest.mark.parametrize("rule", RULES)
@settings(deadline=None, max_examples=40)
@given(cohort=cohorts(), random=st.randoms())
def test_the_order_of_arrival_changes_no_bit(rule, cohort, random):
    shuffled = list(cohort)
    random.shuffle(shuffled)
    first, second = (aggregation(rule).combine(each) for each in (cohort, shuffled))
    assert first.mean.fingerprint() == second.mean.fingerprint()
    assert first.shares == second.shares


@pytest.mark.parametrize("rule", RULES)
@settings(deadline=None, max_examples=40)
@given(cohort=cohorts())
def test_shares_are_shares_and_platforms_that_agree_get_what_they_say(rule, cohort):
    same = [Update(u.platform, 1, cohort[0].delta, u.users, "base") for u in cohort]
    combined = aggregation(rule).combine(same)
    assert sum(combined.shares.values()) == pytest.approx(1)
    assert min(combined.shares.values()) >= 0
    np.testing.assert_allclose(flat(combined), stack(same)[0], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("weights", get_args(Weighting))
@pytest.mark.parametrize("rule", RULES)
@settings(deadline=None, max_examples=25)
@given(cohort=cohorts(), rows=st.lists(st.sampled_from([0.0, -3.5, 1e6]), min_size=1, max_size=3))
def test_platforms_without_users_change_no_bit_whatever_they_send(rule, weights, cohort, rows):
    chosen = aggregation(rule, weights=weights)
    empty = [Update(f"a{k}", 1, constant(row), 0, "base") for k, row in enumerate(rows)]
    plain, mixed = chosen.combine(cohort), chosen.combine([*empty, *cohort])
    assert mixed.mean.fingerprint() == plain.mean.fingerprint()
    assert mixed.shares == {**plain.shares, **{u.platform: 0.0 for u in empty}}
    nobody = chosen.combine(empty)
    assert not flat(nobody).any()
    assert not any(nobody.shares.values())


@settings(deadline=None, max_examples=60)
@given(cohorts(), st.floats(0.1, 10))
def test_nobody_moves_the_federation_beyond_the_bound(cohort, factor):
    norms = np.linalg.norm(stack(cohort).astype(np.float64), axis=1)
    moved = NormBounded(factor=factor).combine(cohort).mean.norm()
    assert moved <= factor * np.median(norms) * (1 + 1e-5) + 1e-6


@settings(deadline=None, max_examples=60)
@given(cohorts(fewest=3), st.sampled_from([0.1, 0.2, 0.34, 0.49]))
def test_the_trimmed_mean_is_the_slow_one(cohort, share):
    cut = max(1, int(share * len(cohort)))
    users = np.array([u.users for u in cohort], np.float64)
    expected = []
    for column in stack(cohort).astype(np.float64).T:
        kept = sorted(range(len(cohort)), key=lambda k, c=column: (c[k], k))[cut:-cut]
        expected.append(np.average(column[kept], weights=users[kept]))
    found = flat(TrimmedMean(share=share).combine(cohort))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@settings(deadline=None, max_examples=60)
@given(cohorts())
def test_the_median_is_numpys_of_each_value_repeated_by_its_weight(cohort):
    users = [u.users for u in cohort]
    expected = np.median(np.repeat(stack(cohort).astype(np.float64), users, axis=0), axis=0)
    np.testing.assert_allclose(
        flat(Median("users").combine(cohort)), expected, rtol=1e-6, atol=1e-5
    )
    plain = np.median(stack(cohort).astype(np.float64), axis=0)
    np.testing.assert_allclose(flat(Median().combine(cohort)), plain, rtol=1e-6, atol=1e-5)


@settings(deadline=None, max_examples=60)
@given(cohorts(fewest=3), st.integers(0, 5), hnp.arrays(np.float32, 5, elements=values))
def test_one_liar_cannot_carry_median_or_trimmed_mean_outside_the_honest(cohort, place, lie):
    place %= len(cohort)
    honest = stack(cohort[:place] + cohort[place + 1 :])
    wild = Shared({"a": lie[:3] * 1e6, "b": lie[3:] * 1e6})
    liar = Update(cohort[place].platform, 1, wild, cohort[place].users, "base")
    told = [*cohort[:place], liar, *cohort[place + 1 :]]
    for rule in (Median(), TrimmedMean(share=0.34)):
        found = flat(rule.combine(told))
        assert (found <= honest.max(axis=0) + 1e-3).all()
        assert (found >= honest.min(axis=0) - 1e-3).all()
