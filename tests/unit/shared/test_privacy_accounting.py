"""Epsilon against published settings, closed forms, a single step's exact loss, and Opacus."""

import math
import warnings

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, get_epsilon_gaussian
from dp_accounting.pld import PLDAccountant
from opacus.accountants import GaussianAccountant, PRVAccountant
from scipy.optimize import brentq
from scipy.stats import norm

from isthmus.errors import ScenarioError
from isthmus.privacy.accounting import (
    epsilon,
    noise_multiplier_for,
    published_delta,
    rdp_epsilon,
)
from isthmus.privacy.events import Event

# users, batch, noise multiplier, steps; epsilon by loss distributions and by Renyi divergences
GOLDEN = [
    (10_000, 256, 1.0, 1000, 4.69, 5.22),
    (10_000, 256, 1.0, 100, 1.58, 1.98),
    (100_000, 1024, 0.8, 1000, 3.50, 4.08),
    (1_000_000, 4096, 0.6, 2000, 6.02, 7.02),
    (10_000, 10_000, 10.0, 100, 4.04, 4.41),
]
# users, steps, batch, epsilon; noise multiplier
NOISE = [
    (1_000, 300, 64, 1, 3.21),
    (3_000, 300, 3_000, 8, 9.2),
    (10_000, 300, 1024, 4, 1.98),
    (30_000, 1000, 256, 8, 0.56),
    (100_000, 300, 4096, 2, 1.75),
    (1_000_000, 1000, 4096, 2, 0.80),
]


def event(users, batch, noise, steps):
    return Event(noise, batch / users, steps)


def mixed_rows(number, seed=5):
    """A ledger of rounds of which no two are alike."""
    draw = np.random.default_rng(seed)
    return [
        Event(
            float(draw.uniform(0.8, 2)), float(draw.uniform(0.005, 0.03)), int(draw.integers(1, 50))
        )
        for _ in range(number)
    ]


@pytest.mark.parametrize(("users", "batch", "noise", "steps", "tight", "renyi"), GOLDEN)
def test_golden_epsilons(users, batch, noise, steps, tight, renyi):
    spent, delta = [event(users, batch, noise, steps)], users**-1.1
    assert epsilon(spent, delta) == pytest.approx(tight, abs=0.011)
    assert rdp_epsilon(spent, delta) == pytest.approx(renyi, abs=0.011)
    assert epsilon(spent, delta) <= rdp_epsilon(spent, delta)
    assert epsilon(spent, delta, "rdp") == rdp_epsilon(spent, delta)


@pytest.mark.parametrize(("users", "steps", "batch", "target", "noise"), NOISE)
def test_golden_noise_multipliers(users, steps, batch, target, noise):
    delta = users**-1.1
    found = noise_multiplier_for(target, delta, batch / users, steps)
    assert found == pytest.approx(noise, rel=0.01)
    assert 0.995 * target < epsilon([event(users, batch, found, steps)], delta) <= target


@pytest.mark.parametrize("delta", [1e-5, 1e-10])
def test_full_participation_is_the_gaussian_mechanism(delta):
    exact = get_epsilon_gaussian(30 / math.sqrt(1000), delta)
    merged, composed = Event(30.0, 1.0, 1000), Event(30.0, 1 - 1e-12, 1000)
    assert exact <= epsilon([merged], delta) <= 1.001 * exact
    assert exact <= epsilon([composed], delta) <= 1.002 * exact


def test_tiny_losses_many_times_stay_tight():
    exact = get_epsilon_gaussian(300 / math.sqrt(100_000), 1e-5)
    found = epsilon([Event(300.0, 1 - 1e-12, 100_000)], 1e-5)
    assert exact <= found <= 1.002 * exact


@pytest.mark.parametrize(("noise", "rate"), [(0.5, 0.1), (1.2, 0.4), (3.0, 0.9)])
def test_a_single_step_has_its_exact_loss(noise, rate):
    exact = brentq(lambda tried: exact_delta(tried, noise, rate) - 1e-5, 1e-9, 100)
    assert exact <= epsilon([Event(noise, rate)], 1e-5) <= 1.001 * exact


def exact_delta(tried, noise, rate):
    """Hockey-stick divergence of one sampled Gaussian sum, user removed or added; the larger."""
    # The density ratio (1 - q) + q exp((2x - 1) / 2s²) passes e^tried at this x.
    edge = noise**2 * math.log((math.exp(tried) - 1 + rate) / rate) + 0.5
    out, with_user = norm.sf(edge, 0, noise), norm.sf(edge, 1, noise)
    removed = (1 - rate) * out + rate * with_user - math.exp(tried) * out
    low = (math.exp(-tried) - 1 + rate) / rate
    if low <= 0:
        return removed
    edge = noise**2 * math.log(low) + 0.5
    out, with_user = norm.cdf(edge, 0, noise), norm.cdf(edge, 1, noise)
    added = out - math.exp(tried) * ((1 - rate) * out + rate * with_user)
    return max(removed, added)


def test_steps_count_and_not_rows():
    once = Event(1.0, 0.0256)
    many = [Event(1.0, 0.0256, 100)]
    assert epsilon([once] * 100, 1e-5) == pytest.approx(epsilon(many, 1e-5), rel=1e-6)
    assert rdp_epsilon([once] * 100, 1e-5) == pytest.approx(rdp_epsilon(many, 1e-5))


def test_nothing_released_costs_nothing():
    assert epsilon([], 1e-5) == rdp_epsilon([], 1e-5) == 0


def test_rows_of_which_no_two_are_alike_compose():
    rows = mixed_rows(8)
    tight = epsilon(rows, 1e-5)
    assert tight <= rdp_epsilon(rows, 1e-5) <= 1.6 * tight
    assert sum(rdp_epsilon([row], 1e-5) for row in rows) > 2 * tight, "they do not add up"


@pytest.mark.slow
def test_a_ledger_of_forty_rows_agrees_with_the_library_s_own_accountant():
    rows, theirs = mixed_rows(40), PLDAccountant(value_discretization_interval=1e-3)
    for row in rows:
        mechanism = GaussianDpEvent(row.noise_multiplier)
        theirs.compose(PoissonSampledDpEvent(row.sampling_rate, mechanism), row.count)
    tight = epsilon(rows, 1e-5)
    assert tight == pytest.approx(theirs.get_epsilon(1e-5), rel=0.002)
    assert tight <= rdp_epsilon(rows, 1e-5) <= 1.6 * tight
    assert sum(rdp_epsilon([row], 1e-5) for row in rows) > 5 * tight, "they do not add up"


@pytest.mark.parametrize("rows", [[Event(1.0, 0.0256, 100)], mixed_rows(4)])
def test_agrees_with_opacus_prv(rows):
    theirs = PRVAccountant()
    theirs.history = [(row.noise_multiplier, row.sampling_rate, row.count) for row in rows]
    assert epsilon(rows, 1e-5) == pytest.approx(theirs.get_epsilon(1e-5), abs=0.05)


def test_the_refused_accountant_does_under_report():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it says so itself
        theirs = GaussianAccountant()
    theirs.history = [(0.6, 4096 / 1_000_000, 2000)]
    ours = epsilon([Event(0.6, 4096 / 1_000_000, 2000)], 1_000_000**-1.1)
    assert theirs.get_epsilon(1_000_000**-1.1) < 0.6 * ours
    with pytest.raises(ScenarioError, match=r"'gdp': .*under-reports"):
        epsilon([Event(0.6, 0.004, 2000)], 1e-6, "gdp")


@pytest.mark.parametrize("name", ["prv", "PLD", "", "moments"])
def test_other_accountants_are_refused_with_what_there_is(name):
    with pytest.raises(ScenarioError) as caught:
        noise_multiplier_for(2, 1e-5, 0.1, 10, accountant=name)
    assert repr(name) in str(caught.value)
    assert "pld, rdp" in caught.value.hint


@pytest.mark.parametrize("delta", [0.0, 1e-11, 0.6, math.nan])
def test_delta_has_its_range(delta):
    with pytest.raises(ScenarioError, match="delta is"):
        epsilon([Event(1.0, 0.1)], delta)


def test_a_vast_epsilon_is_given_by_the_cheap_bound():
    assert epsilon([Event(0.05, 1.0)], 1e-5) == rdp_epsilon([Event(0.05, 1.0)], 1e-5) > 200


def test_published_delta():
    assert published_delta(2_400) == 1e-5
    assert published_delta(77_000) == pytest.approx(77_000**-1.1)
    with pytest.raises(ScenarioError, match="users is 1"):
        published_delta(1)


def test_what_was_spent_takes_its_part_of_the_target():
    before = (Event(2.0, 0.05, 100),)
    alone = noise_multiplier_for(2, 1e-5, 0.1, 50)
    after = noise_multiplier_for(2, 1e-5, 0.1, 50, before)
    assert after > 1.05 * alone
    assert 1.99 < epsilon((*before, Event(after, 0.1, 50)), 1e-5) <= 2


def test_the_renyi_accountant_asks_for_more_noise():
    tight = noise_multiplier_for(4, 1e-5, 0.1, 50)
    careful = noise_multiplier_for(4, 1e-5, 0.1, 50, accountant="rdp")
    assert 1.02 * tight < careful < 1.15 * tight
    assert 3.99 < rdp_epsilon([Event(careful, 0.1, 50)], 1e-5) <= 4


def test_a_spent_target_is_refused_with_the_numbers():
    with pytest.raises(ScenarioError, match=r"epsilon 4\.\d+ is spent already, the target is 1"):
        noise_multiplier_for(1, 1e-5, 0.1, 10, [Event(10.0, 1.0, 100)])


@pytest.mark.parametrize(
    ("target", "rate", "count"),
    [(0, 0.1, 10), (201, 0.1, 10), (math.nan, 0.1, 10), (1, 0, 10), (1, 1.1, 10), (1, 0.1, 0)],
)
def test_a_schedule_out_of_range_is_refused(target, rate, count):
    with pytest.raises(ScenarioError, match="expected"):
        noise_multiplier_for(target, 1e-5, rate, count)


@pytest.mark.parametrize(("target", "rate"), [(8, 1e-6), (0.5, 1e-6), (150, 1.0)])
def test_noise_has_a_floor_however_rare_or_cheap_the_releases_are(target, rate):
    assert noise_multiplier_for(target, 1e-5, rate, 1) >= 0.1


def test_a_target_that_any_noise_keeps_takes_the_least():
    assert noise_multiplier_for(8, 1e-4, 1e-6, 1) == 0.1


@pytest.mark.parametrize("event", [Event(385.7, 0.5, 10), Event(1e8, 0.5), Event(51.0, 0.5, 100)])
def test_much_noise_is_accounted_without_a_word(event, capfd):
    assert epsilon([event], 1e-5) <= rdp_epsilon([event], 1e-5) < 2
    assert capfd.readouterr().err == ""
