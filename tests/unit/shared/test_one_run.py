"""The one-run bound against first principles: sums by hand, mechanisms of known epsilon."""

import math
from math import comb

import numpy as np
import pytest

from isthmus.privacy.one_run import (
    GUESSED_SHARE,
    Guesses,
    ceiling,
    guess,
    lower_bound,
    p_value,
)


def tail_by_hand(trials, least, rate):
    """P[Binomial(trials, rate) >= least], term by term."""
    return sum(
        comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(least, trials + 1)
    )


def p_by_hand(m, r, v, epsilon, delta):
    """Theorem 5.2 as it is printed, the maximum over all i up to m."""
    rate = math.exp(epsilon) / (1 + math.exp(epsilon))
    tail = tail_by_hand(r, v, rate)
    between = [tail_by_hand(r, max(v - i, 0), rate) - tail for i in range(1, m + 1)]
    worst = max(mass / i for i, mass in enumerate(between, start=1))
    return min(tail + 2 * m * delta * worst, 1.0)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.7])
@pytest.mark.parametrize(("m", "r", "v"), [(37, 37, 30), (37, 11, 0), (41, 22, 22), (9, 1, 1)])
def test_the_p_value_is_the_theorems(m, r, v, epsilon):
    for delta in (0.0, 1e-5, 3e-3):
        by_hand = p_by_hand(m, r, v, epsilon, delta)
        assert p_value(Guesses(m, r, v), epsilon, delta) == pytest.approx(by_hand, rel=1e-9)


def test_without_delta_it_is_the_binomial_tail():
    for v in range(24):
        by_hand = tail_by_hand(23, v, 1 / (1 + math.exp(-0.9)))
        assert p_value(Guesses(51, 23, v), 0.9, 0.0) == pytest.approx(by_hand, rel=1e-9)


@pytest.mark.parametrize("guessed", [7, 64, 1000])
def test_all_guesses_right_is_the_root_of_the_confidence(guessed):
    rate = 0.05 ** (1 / guessed)  # the chance of all right is rate^guessed
    expected = math.log(rate / (1 - rate))
    assert ceiling(1000, guessed, delta=0.0) == pytest.approx(max(expected, 0.0), abs=1e-6)


def test_one_guess_shows_nothing_at_a_confidence_of_95_per_cent():
    assert ceiling(1, 1, delta=0.0) == 0.0
    assert ceiling(1, 1, delta=0.0, confidence=0.3) > 0.0


def test_no_guess_shows_nothing():
    assert lower_bound(Guesses(13, 0, 0), delta=1e-5) == 0.0


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("guessed", [20, 199])
def test_randomised_response_is_exceeded_no_more_often_than_the_confidence_allows(epsilon, guessed):
    """The best attack on the tightest mechanism, its chance summed over all outcomes."""
    rate = 1 / (1 + math.exp(-epsilon))
    chances = binomial_masses(guessed, rate)
    for confidence in (0.7, 0.95):
        above = sum(
            chance
            for v, chance in enumerate(chances)
            if chance > 1e-9
            and lower_bound(Guesses(1000, guessed, v), delta=0.0, confidence=confidence) > epsilon
        )
        assert above <= 1 - confidence + 1e-6  # of outcomes too rare to count


def binomial_masses(trials, rate):
    logs = [
        math.lgamma(trials + 1)
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + k * math.log(rate)
        + (trials - k) * math.log1p(-rate)
        for k in range(trials + 1)
    ]
    return np.exp(logs)


def test_randomised_response_simulated_from_its_coins_on():
    """The whole path: coins, noisy scores, guesses by rank, bound."""
    random, epsilon, exceeded, found = np.random.default_rng(11), 1.3, 0, []
    for _ in range(250):
        included = random.random(300) < 0.5
        honest = random.random(300) < 1 / (1 + math.exp(-epsilon))
        answers = np.where(honest, included, ~included)
        bound = lower_bound(guess(answers + 0.0, included), delta=0.0)
        found.append(bound)
        exceeded += bound > epsilon
    assert exceeded <= 22  # P[Binomial(250, 0.05) > 22] = 0.4 %
    assert np.mean(found) > 0.6  # and it is no trivial bound


def test_name_and_shame_is_covered_by_delta():
    """Each canary is revealed with probability delta: (0, delta)-DP, and no bound may say more."""
    random, delta, exceeded, without = np.random.default_rng(5), 0.002, 0, 0
    for _ in range(400):
        included = random.random(200) < 0.5
        revealed = random.random(200) < delta
        scores = np.where(revealed, np.where(included, 2.0, -2.0), random.normal(size=200))
        guesses = guess(scores, included, share=0.05)
        exceeded += lower_bound(guesses, delta=delta) > 0
        without += lower_bound(guesses, delta=0.0) > 0
    assert exceeded <= 32
    assert without >= exceeded


def test_a_gaussian_mechanism_stays_below_its_epsilon_and_is_seen():
    """One noised sum of everybody."""
    from isthmus.privacy.accounting import epsilon  # noqa: PLC0415 - a second of import
    from isthmus.privacy.events import Event  # noqa: PLC0415

    claim = epsilon([Event(1.2, 1.0)], 1e-5)
    random = np.random.default_rng(3)
    bounds = []
    for _ in range(20):
        included = random.random(2000) < 0.5
        bounds.append(
            lower_bound(guess(included + 1.2 * random.normal(size=2000), included), delta=1e-5)
        )
    assert max(bounds) <= claim
    assert np.mean(bounds) > claim / 4


def test_more_right_guesses_never_lower_the_bound():
    bounds = [lower_bound(Guesses(500, 100, v), delta=1e-5) for v in range(101)]
    assert bounds == sorted(bounds)
    assert bounds[50] == 0.0
    assert bounds[100] > 3.0


def test_a_larger_delta_or_confidence_never_raises_it():
    guesses = Guesses(900, 180, 150)
    by_delta = [lower_bound(guesses, delta=d) for d in (0.0, 1e-8, 1e-5, 1e-4, 5e-4, 0.3)]
    assert by_delta == sorted(by_delta, reverse=True)
    assert by_delta[0] > by_delta[-1] == 0.0
    by_confidence = [
        lower_bound(guesses, delta=1e-6, confidence=c) for c in (0.5, 0.9, 0.95, 0.999)
    ]
    assert by_confidence == sorted(by_confidence, reverse=True)


def test_the_published_rule_guesses_a_tenth_from_either_end():
    assert GUESSED_SHARE == 0.2
    scores = np.arange(40.0)
    included = scores >= 20
    assert guess(scores, included) == Guesses(40, 8, 8)
    assert guess(scores, ~included) == Guesses(40, 8, 0)
    middle = np.zeros(40, dtype=bool)
    middle[18:22] = True  # nobody at the top is in, so half of the guesses are wrong
    assert guess(scores, middle) == Guesses(40, 8, 4)


def test_few_canaries_give_no_guess():
    assert guess(np.array([1.0, 2.0]), np.array([True, False])) == Guesses(2, 0, 0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: Guesses(3, 4, 1), "4 guesses"),
        (lambda: Guesses(5, 4, -1), "-1 right"),
        (lambda: guess(np.array([0.1, np.nan]), np.array([True, True])), "NaN"),
        (lambda: guess(np.zeros(3), np.zeros(2, dtype=bool)), r"\(3,\) and \(2,\)"),
        (lambda: guess(np.zeros(3), np.zeros(3, dtype=bool), share=0.0), "share is 0.0"),
        (lambda: p_value(Guesses(3, 2, 1), -0.1, 0.0), "epsilon is -0.1"),
        (lambda: p_value(Guesses(3, 2, 1), math.inf, 0.0), "epsilon is inf"),
        (lambda: lower_bound(Guesses(3, 2, 1), delta=1.0), "delta is 1.0"),
        (lambda: lower_bound(Guesses(3, 2, 1), delta=0.0, confidence=1.0), "confidence is 1.0"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()
