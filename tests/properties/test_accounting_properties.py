"""Accounting holds for any schedule: bounds in order, monotone, and never below the truth."""

from dataclasses import replace

import pytest
from dp_accounting import get_epsilon_gaussian
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.privacy.accounting import epsilon, noise_multiplier_for, rdp_epsilon
from isthmus.privacy.events import Event
from isthmus.privacy.filter import RdpFilter, plan_delta
from isthmus.privacy.overlap import left_noise, local_epsilon

NOISES = st.floats(1.2, 30)
RATES = st.floats(0.001, 1) | st.just(1.0)
EVENTS = st.builds(Event, NOISES, RATES, st.integers(1, 100))
MIXED = st.lists(EVENTS, min_size=1, max_size=2)
DELTAS = st.sampled_from([1e-4, 1e-5, 3e-7])
GRID = 1.003  # a finer or wider grid may move a bound by so much
few = settings(max_examples=8, deadline=None)
many = settings(max_examples=40, deadline=None)


@few
@given(MIXED, DELTAS)
def test_the_tight_bound_lies_below_the_other(events, delta):
    assert 0 <= epsilon(events, delta) <= GRID * rdp_epsilon(events, delta)


@few
@given(MIXED, DELTAS)
def test_sampling_never_costs_more_than_taking_everybody(events, delta):
    precision = sum(event.count / event.noise_multiplier**2 for event in events)
    everybody = get_epsilon_gaussian(precision**-0.5, delta)
    assert epsilon(events, delta) <= GRID * everybody + 1e-6


@few
@given(MIXED, EVENTS, DELTAS)
def test_one_more_release_never_costs_less(events, event, delta):
    assert epsilon(events, delta) <= GRID * epsilon([*events, event], delta) + 1e-6


@few
@given(EVENTS, st.floats(1.01, 3), DELTAS)
def test_more_noise_and_fewer_users_never_cost_more(event, factor, delta):
    before = GRID * epsilon([event], delta) + 1e-6
    noisier = replace(event, noise_multiplier=event.noise_multiplier * factor)
    rarer = replace(event, sampling_rate=event.sampling_rate / factor)
    assert epsilon([noisier], delta) <= before
    assert epsilon([rarer], delta) <= before


@many
@given(st.permutations([Event(1.0, 0.1, 3), Event(2.0, 0.3, 5), Event(4.0, 1.0, 7)]), DELTAS)
def test_the_order_of_releases_does_not_matter(events, delta):
    in_turn = [Event(1.0, 0.1, 3), Event(2.0, 0.3, 5), Event(4.0, 1.0, 7)]
    assert rdp_epsilon(events, delta) == pytest.approx(rdp_epsilon(in_turn, delta))


@settings(max_examples=4, deadline=None)
@given(st.floats(0.3, 10), st.floats(0.01, 1), st.integers(1, 400), DELTAS)
def test_the_noise_for_a_target_keeps_it_and_less_noise_does_not(target, rate, count, delta):
    noise = noise_multiplier_for(target, delta, rate, count)
    assert epsilon([Event(noise, rate, count)], delta) <= target
    assert epsilon([Event(0.99 * noise, rate, count)], delta) > target


@many
@given(st.floats(0.2, 12), DELTAS, st.lists(EVENTS, max_size=6))
def test_whatever_a_filter_admits_one_by_one_stays_within_the_budget(budget, delta, asked):
    gate, admitted = RdpFilter.opened(budget, delta), []
    for event in asked:
        if gate.admits(event):
            gate, admitted = gate.charged(event), [*admitted, event]
    assert gate.bound() <= budget
    assert rdp_epsilon(admitted, delta) <= budget


@few
@given(EVENTS, st.lists(EVENTS, max_size=3), DELTAS)
def test_a_filter_with_a_plan_keeps_the_budget_too(planned, others, delta):
    budget = epsilon([planned], plan_delta(delta)) * 1.2 + 0.1
    gate, admitted = RdpFilter.opened(budget, delta, [planned]), []
    for event in (planned, *others):
        if gate.admits(event):
            gate, admitted = gate.charged(event), [*admitted, event]
    assert admitted[:1] == [planned]
    assert epsilon(admitted, delta) <= budget


@few
@given(EVENTS, st.integers(1, 4), DELTAS)
def test_a_person_on_one_platform_more_never_pays_less(event, on, delta):
    fewer, more = (local_epsilon([event], delta, number) for number in (on, on + 1))
    assert fewer <= GRID * more + 1e-6


@many
@given(st.integers(2, 50), st.data())
def test_noise_is_as_planned_unless_more_collude_than_was_planned_for(cohort, data):
    planned = data.draw(st.integers(0, cohort - 1))
    colluding = data.draw(st.integers(0, cohort - 1))
    left = left_noise(1.0, cohort, planned, colluding)
    assert (left >= 1) == (colluding <= planned)
