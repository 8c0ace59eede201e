"""The planner's noise, its verdict, and what it proposes where noise drowns the signal."""

import math
from dataclasses import replace

import pytest

from isthmus.errors import ScenarioError
from isthmus.privacy.accounting import epsilon, noise_multiplier_for
from isthmus.privacy.events import Event
from isthmus.privacy.filter import RdpFilter, plan_delta
from isthmus.privacy.planner import USEFUL, Row, Wish, _best, noise_norm, plan, row
from isthmus.privacy.remedies import Remedies, fewer_rounds, remedies
from isthmus.privacy.schedule import PrivatePlan, published, schedule_for

SHOP = Wish(users=3_000, rounds=300, epsilon=8, parameters=443_000, delta=3_000**-1.1)
SMALL = Wish(users=900, rounds=60, epsilon=2, parameters=40_000)


@pytest.fixture(scope="module")
def shop():
    return plan(SHOP)


@pytest.fixture(scope="module")
def small():
    """A platform that is too small for what it wants."""
    return plan(SMALL)


def test_the_noise_norm_of_a_large_model_at_a_small_shop(shop):
    norms = {each.batch: each.noise_norm for each in shop.rows}
    assert list(norms) == [64, 256, 1024, 3000]
    assert norms[256] == pytest.approx(666 * 1.05 / 256, rel=0.02)
    assert norms[3000] == pytest.approx(2.05, rel=0.02), "about 3 100 users are the floor"
    assert not shop.best.useful


def test_a_third_more_users_is_enough_for_the_same_model():
    assert row(replace(SHOP, users=4_000), 8, 4_000).noise_norm < 0.8 * USEFUL


def test_every_row_keeps_its_epsilon(shop):
    for each in (*shop.rows, *shop.others):
        event = Event(each.noise_multiplier, each.sampling_rate, SHOP.rounds)
        assert 0.99 * each.epsilon < epsilon([event], plan_delta(shop.delta)) <= each.epsilon
        assert each.sampling_rate == each.batch / SHOP.users
        assert each.useful == (each.noise_norm <= USEFUL)


def test_other_epsilons_stand_beside_the_wanted_one(shop, small):
    assert [each.epsilon for each in shop.others] == [4, 2, 1]
    assert [each.epsilon for each in small.others] == [8, 4, 1]
    assert {each.batch for each in shop.others} == {shop.best.batch}


def test_a_ledger_s_filter_admits_the_whole_plan(small):
    gate = RdpFilter.opened(SMALL.epsilon, small.delta, [small.event])
    step = replace(small.event, count=1)
    for _ in range(SMALL.rounds):
        assert gate.admits(step)
        gate = gate.charged(step)
    assert not gate.admits(step)


def test_what_is_spent_lies_just_below_what_was_wanted(small):
    assert 0.98 * SMALL.epsilon < small.spent <= SMALL.epsilon


def test_a_batch_that_is_given_is_the_only_one():
    found = plan(replace(SMALL, batch=900))
    assert [each.batch for each in found.rows] == [900]
    assert found.best.sampling_rate == 1


@pytest.mark.parametrize(
    ("norms", "expected"),
    [
        ({64: 0.9, 256: 0.45, 1024: 0.2}, 256),  # a noise norm of a half is calm enough
        ({64: 1.6, 256: 0.9, 1024: 0.75}, 256),  # nearly as good, for a quarter of the work
        ({64: 3.0, 256: 2.1, 1024: 1.9}, 1024),  # nearly as good, but not useful
        ({64: 5.0, 256: 2.5, 1024: 2.4}, 1024),  # the least of those that drown
    ],
)
def test_the_best_batch_is_no_larger_than_it_pays(norms, expected):
    rows = [Row(8, batch, 0.1, 1.0, each, each <= USEFUL) for batch, each in norms.items()]
    assert _best(rows).batch == expected


def test_among_batches_that_drown_the_calmest_is_shown(small):
    assert small.best.noise_norm == min(each.noise_norm for each in small.rows) > USEFUL


def test_pooled_noise_is_spread_over_the_cohort():
    alone, pooled = row(SMALL, 2, 900), row(replace(SMALL, platforms=5, colluding=1), 2, 900)
    assert pooled.noise_multiplier == alone.noise_multiplier
    assert pooled.noise_norm == pytest.approx(alone.noise_norm / 5 * math.sqrt(5 / 4))


def test_a_cohort_may_be_larger_than_its_members():
    wish = replace(SMALL, platforms=5, cohort_users=45_000)
    assert noise_norm(wish, 3.0, 0.5) == pytest.approx(3 * 200 / 22_500)


def test_each_remedy_alone_makes_the_plan_useful(small):
    cures = remedies(small)
    assert row(replace(SMALL, parameters=cures.parameters), 2, small.best.batch).useful
    assert row(replace(SMALL, rounds=cures.rounds), 2, small.best.batch).useful
    cohort = replace(SMALL, platforms=cures.platforms, colluding=1)
    assert row(cohort, 2, small.best.batch).useful


def test_remedies_ask_for_no_more_than_it_takes(small):
    cures = remedies(small)
    wasteful = replace(SMALL, parameters=int(1.05 * cures.parameters))
    assert not row(wasteful, 2, small.best.batch).useful
    assert not row(replace(SMALL, rounds=cures.rounds + 5), 2, small.best.batch).useful
    fewer = replace(SMALL, platforms=cures.platforms - 1, colluding=1)
    assert not row(fewer, 2, small.best.batch).useful


def test_where_nothing_helps_nothing_is_proposed():
    hopeless = plan(Wish(users=30, rounds=50, epsilon=1, parameters=10**9, batch=30))
    assert remedies(hopeless) == Remedies(parameters=None, rounds=None, platforms=None)


def test_fewer_than_ten_rounds_are_no_training(small):
    assert fewer_rounds(replace(small, wish=replace(SMALL, rounds=10))) is None


def test_delta_comes_from_the_users_unless_given():
    assert SMALL.promised == 1e-5
    assert replace(SHOP, delta=1e-6).promised == 1e-6
    assert replace(SHOP, delta=1e-6, users=10**6, batch=64).promised == 1e-6
    assert row(replace(SMALL, delta=1e-8), 2, 900).noise_multiplier > noise_multiplier_for(
        2, 1e-5, 1, 60
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"users": 1}, "users is 1, expected 2"),
        ({"parameters": 0}, "parameters is 0"),
        ({"batch": 0}, "batch is 0, expected 1 to 900"),
        ({"batch": 901}, "batch is 901, expected 1 to 900"),
        ({"platforms": 0}, "platforms is 0"),
        ({"platforms": 3, "colluding": 3}, "colluders is 3, expected 0 to 2"),
        ({"colluding": 1}, "colluders is 1, expected 0 to 0"),
        ({"platforms": 3, "cohort_users": 901}, "cohort users is 901, expected 902"),
        ({"cohort_users": 5_000}, "a single platform"),
    ],
)
def test_a_wish_out_of_range_is_refused(wrong, message):
    with pytest.raises(ScenarioError, match=message):
        replace(SMALL, **wrong)


@pytest.mark.parametrize("wrong", [{"epsilon": 0.0}, {"rounds": 0}, {"delta": 0.9}])
def test_a_schedule_out_of_range_is_refused(wrong):
    with pytest.raises(ScenarioError, match="expected"):
        plan(replace(SMALL, batch=900, **wrong))


def test_a_platform_of_a_few_persons_is_named_with_what_to_do():
    users = {"eire": published(9), "oslo": published(12), "bern": published(3)}
    with pytest.raises(ScenarioError, match=r"too few users .*: bern, eire") as caught:
        schedule_for(PrivatePlan("pooled", 8.0, 0), users, 100)
    assert "--newcomer" in caught.value.hint
