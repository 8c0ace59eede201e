"""A person on several platforms, and platforms that collude: golden values and closed forms."""

import math

import pytest
from dp_accounting import get_epsilon_gaussian

from isthmus.privacy.accounting import epsilon
from isthmus.privacy.events import Event
from isthmus.privacy.overlap import left_noise, local_epsilon, pooled_epsilon

RUN = Event(1.0, 0.0256, 1000)


@pytest.mark.parametrize(("platforms", "expected"), [(1, 5.14), (2, 7.46), (3, 9.39), (5, 12.7)])
def test_golden_epsilon_of_a_person_on_platforms(platforms, expected):
    assert local_epsilon([RUN], 1e-5, platforms) == pytest.approx(expected, rel=0.002)


@pytest.mark.parametrize(
    ("pool", "colluding", "expected"), [(3, 1, 7.97), (3, 2, 20), (10, 3, 7.53)]
)
def test_golden_epsilon_under_collusion_that_was_not_planned_for(pool, colluding, expected):
    noise = left_noise(RUN.noise_multiplier, pool, 0, colluding)
    found = epsilon([Event(noise, RUN.sampling_rate, RUN.count)], 1e-5)
    assert found == pytest.approx(expected, rel=0.002)


def test_planned_collusion_costs_nothing():
    assert left_noise(1.3, 6, 2, 2) == 1.3
    assert left_noise(1.3, 6, 2, 1) == pytest.approx(1.3 * math.sqrt(5 / 4))
    assert left_noise(1.3, 6, 2, 3) < 1.3


def test_shares_add_up_to_the_noise_that_the_honest_ones_give():
    share = 1.3 / math.sqrt(6 - 2)
    honest = math.sqrt(sum(share**2 for _ in range(6 - 3)))
    assert left_noise(1.3, 6, 2, 3) == pytest.approx(honest)


@pytest.mark.parametrize(("planned", "colluding"), [(-1, 0), (6, 0), (0, 6), (0, -1)])
def test_somebody_must_be_honest(planned, colluding):
    with pytest.raises(ValueError, match="expected 0 to 5"):
        left_noise(1.0, 6, planned, colluding)


def test_one_noise_for_all_histories_of_a_person_protects_less_than_one_each():
    apart, together = (found(2) for found in (lambda m: local_epsilon([RUN], 1e-5, m), pooled))
    assert pooled(1) == pytest.approx(local_epsilon([RUN], 1e-5, 1))
    assert together > 1.4 * apart


def pooled(platforms):
    return pooled_epsilon(RUN, 1e-5, platforms)


def test_full_participation_multiplies_the_sensitivity():
    run = Event(20.0, 1.0, 100)
    exact = get_epsilon_gaussian(20 / 3 / math.sqrt(100), 1e-5)
    assert exact <= pooled_epsilon(run, 1e-5, 3) <= 1.002 * exact


def test_almost_full_participation_agrees_with_it():
    exact = get_epsilon_gaussian(20 / 3 / math.sqrt(10), 1e-5)
    assert exact <= pooled_epsilon(Event(20.0, 1 - 1e-9, 10), 1e-5, 3) <= 1.02 * exact


def test_a_person_on_one_platform_more_never_costs_less():
    run = Event(4.0, 0.2, 5)
    found = [pooled_epsilon(run, 1e-5, platforms) for platforms in (1, 2)]
    assert found[0] < found[1] <= epsilon([Event(2.0, 0.2, 5)], 1e-5) * 2


@pytest.mark.parametrize("across", [lambda m: local_epsilon([RUN], 1e-5, m), pooled])
def test_a_person_is_somewhere(across):
    with pytest.raises(ValueError, match="platforms are 0"):
        across(0)
