"""The filter admits what a budget holds, whoever asks for it and why."""

import numpy as np
import pytest

from isthmus.errors import ScenarioError
from isthmus.privacy.accounting import epsilon, noise_multiplier_for, rdp_epsilon
from isthmus.privacy.events import Event
from isthmus.privacy.filter import RdpFilter, plan_delta

DELTA = 1e-5
STEP = Event(1.6, 0.1)


def run_until_refused(gate, event, most=5000):
    """How many of an event a gate admits, and the gate after them."""
    for number in range(most):
        if not gate.admits(event):
            return number, gate
        gate = gate.charged(event)
    raise AssertionError("it never refuses")


def test_a_budget_ends():
    admitted, gate = run_until_refused(RdpFilter.opened(2, DELTA), STEP)
    assert rdp_epsilon([Event(1.6, 0.1, admitted)], DELTA) <= gate.bound() <= 2
    assert gate.charged(STEP).bound() > 2


def test_it_admits_most_of_what_a_fixed_schedule_could_have():
    admitted, _ = run_until_refused(RdpFilter.opened(2, DELTA), STEP)
    after = epsilon([Event(1.6, 0.1, admitted)], DELTA)
    assert 0.75 * 2 < after < 2, "the price of choosing as one goes"


def test_ways_of_counting_cost_the_same():
    one, many = RdpFilter.opened(2, DELTA), RdpFilter.opened(2, DELTA).charged(Event(1.6, 0.1, 12))
    for _ in range(12):
        one = one.charged(STEP)
    np.testing.assert_allclose(one.spent, many.spent)
    assert one.bound() == pytest.approx(many.bound())


def test_nothing_charged_is_nothing_spent():
    gate = RdpFilter.opened(2, DELTA)
    assert gate.bound() == 0
    assert gate.admits(STEP)
    assert gate == RdpFilter.opened(2, DELTA), "asking charges nothing"


def test_a_release_beyond_the_budget_is_refused_though_nothing_is_spent():
    assert not RdpFilter.opened(1, DELTA).admits(Event(0.5, 1.0))


def test_what_was_charged_beyond_the_budget_stays_charged():
    gate = RdpFilter.opened(1, DELTA).charged(Event(0.5, 1.0))
    assert gate.bound() > 1
    assert not gate.admits(Event(1e6, 1e-6))


@pytest.fixture(scope="module")
def schedule():
    """Thirty rounds that fill a budget of epsilon 4, by the tight accountant."""
    return Event(noise_multiplier_for(4, plan_delta(DELTA), 0.2, 30), 0.2, 30)


def test_a_plan_that_fills_the_budget_runs_to_its_end(schedule):
    gate, step = RdpFilter.opened(4, DELTA, [schedule]), one_of(schedule)
    admitted, gate = run_until_refused(gate, step)
    assert admitted == 30
    assert gate.ahead == ()
    unplanned, _ = run_until_refused(RdpFilter.opened(4, DELTA), step)
    assert unplanned < 30, "a plan fixed beforehand is worth something"


def one_of(schedule):
    return Event(schedule.noise_multiplier, schedule.sampling_rate)


def test_a_plan_once_left_is_left_for_good(schedule):
    step = one_of(schedule)
    left = RdpFilter.opened(4, DELTA, [schedule]).charged(step).charged(Event(9.0, 0.2))
    assert left.ahead is None
    admitted, gate = run_until_refused(left, step)
    assert admitted < 28
    assert gate.bound() <= 4
    without_plan, _ = run_until_refused(RdpFilter.opened(4, DELTA), step)
    assert admitted < without_plan, "leaving has a small share of delta only"


def test_a_plan_is_followed_in_its_order():
    first, second = Event(6.0, 0.2, 2), Event(3.0, 0.2, 2)
    gate = RdpFilter.opened(4, DELTA, [first, second])
    assert gate.charged(one_of(first)).ahead == (one_of(first), second)
    assert gate.charged(first).charged(one_of(second)).ahead == (one_of(second),)
    assert gate.charged(one_of(second)).ahead is None
    assert gate.charged(Event(6.0, 0.2, 3)).ahead is None


def test_a_plan_beyond_the_budget_is_none():
    gate = RdpFilter.opened(1, DELTA, [Event(1.0, 0.2, 300)])
    assert gate == RdpFilter.opened(1, DELTA)


def test_a_smaller_delta_admits_less():
    careless, _ = run_until_refused(RdpFilter.opened(2, 1e-4), STEP)
    careful, _ = run_until_refused(RdpFilter.opened(2, 1e-8), STEP)
    assert careful < careless


@pytest.mark.parametrize(("budget", "delta"), [(0, 1e-5), (-1, 1e-5), (2, 0), (2, 1)])
def test_a_budget_has_its_range(budget, delta):
    with pytest.raises(ScenarioError, match="expected"):
        RdpFilter.opened(budget, delta)


@pytest.mark.parametrize("plan", [[], [Event(9.0, 0.2, 3)], [Event(1.0, 0.2, 300)]])
def test_shares_of_delta_add_up_to_it(plan):
    gate = RdpFilter.opened(1, DELTA, plan)
    planned = 0 if gate.ahead is None else plan_delta(DELTA)
    assert planned + gate._share * len(gate.orders) == pytest.approx(DELTA)
