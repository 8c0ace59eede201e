"""An event holds what a mechanism costs, and refuses what is none."""

import dataclasses
import math

import pytest

from isthmus.privacy.events import MOST_ROUNDS, Event


def test_an_event_is_one_release_unless_said_otherwise():
    assert Event(1.3, 0.02) == Event(1.3, 0.02, 1)


def test_everybody_may_take_part():
    assert Event(1.3, 1.0).sampling_rate == 1


@pytest.mark.parametrize("noise", [0.0, -1.0, math.inf, math.nan])
def test_there_is_no_release_without_noise(noise):
    with pytest.raises(ValueError, match=r"noise_multiplier is .*above 0"):
        Event(noise, 0.5)


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.0001, math.nan])
def test_a_rate_is_a_probability(rate):
    with pytest.raises(ValueError, match=r"sampling_rate is .*at most 1"):
        Event(1.0, rate)


@pytest.mark.parametrize("count", [0, -3, MOST_ROUNDS + 1])
def test_a_count_is_a_number_of_releases(count):
    with pytest.raises(ValueError, match=f"count is {count}"):
        Event(1.0, 0.5, count)


def test_an_event_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Event(1.0, 0.5).count = 2
