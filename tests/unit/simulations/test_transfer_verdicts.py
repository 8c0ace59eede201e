"""The four words, from made-up test results."""

import pytest

from isthmus.statistics import Difference, Equivalence
from isthmus_simulations.transfer.comparing import MARGIN, verdicts


def outcome(mean, p_value, *, no_loss=0.5, no_gain=0.5):
    difference = Difference(mean, mean - 0.01, mean + 0.01, mean, mean, mean, 100, p_value)
    return difference, Equivalence(MARGIN, no_loss, no_gain, 100)


def words(*found):
    return [word for _, word in verdicts(found)]


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (outcome(0.05, 0.01), "gains"),
        (outcome(-0.05, 0.01), "harmed"),
        (outcome(0.05, 0.06), "unclear"),
        (outcome(-0.05, 0.06), "unclear"),
        (outcome(0.0, 1.0, no_loss=0.01, no_gain=0.01), "equal"),
        (outcome(0.001, 0.01, no_loss=0.01, no_gain=0.01), "equal"),  # surely ahead, by nothing
        (outcome(-0.001, 0.01, no_loss=0.01, no_gain=0.01), "equal"),
        (outcome(0.05, 0.01, no_loss=0.001, no_gain=0.9), "gains"),  # no harm alone is not equality
    ],
)
def test_each_word_has_its_tests(given, word):
    assert words(given) == [word]


def test_a_gain_among_many_platforms_has_to_stand_the_adjustment():
    unclear = [outcome(0.01, 0.5)] * 20
    assert words(outcome(0.05, 0.02), *unclear)[0] == "unclear"
    assert words(outcome(0.05, 0.002), *unclear)[0] == "gains"


def test_a_harm_among_many_platforms_needs_no_adjustment():
    unclear = [outcome(0.01, 0.5)] * 20
    (p_holm, word), *_ = verdicts([outcome(-0.05, 0.02), *unclear])
    assert p_holm > 0.05
    assert word == "harmed"


def test_without_platforms_nothing_is_said():
    assert verdicts([]) == []
