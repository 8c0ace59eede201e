"""The roster is a moment old at most, and nobody is let in on one that cannot be read."""

import pytest

from isthmus.errors import StateError
from isthmus_server.flower.roster import FRESH_S, Roster


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def roster(load):
    clock, told = Clock(), []
    return Roster(load, told.append, clock), clock, told


def test_it_is_read_again_after_a_moment():
    keys = {"a": b"1"}
    found, clock, told = roster(lambda: keys)
    assert found.stale()
    assert found.keys() == {"a": b"1"}
    keys["b"] = b"2"
    clock.now += FRESH_S - 0.01
    assert found.keys() == {"a": b"1"}
    assert not found.stale()
    clock.now += 0.01
    assert found.keys() == {"a": b"1", "b": b"2"}
    assert told == [{"a": b"1"}, {"a": b"1", "b": b"2"}]


def test_a_state_that_is_away_for_long_lets_nobody_in():
    broken = []

    def load():
        if broken:
            raise StateError("the state is away")
        return {"a": b"1"}

    found, clock, _ = roster(load)
    assert found.keys() == {"a": b"1"}
    broken.append(1)
    clock.now += 9.0
    assert found.keys() == {"a": b"1"}
    clock.now += 2.0
    with pytest.raises(StateError):
        found.keys()
    broken.clear()
    assert found.keys() == {"a": b"1"}


def test_a_state_that_was_never_read_lets_nobody_in():
    def load():
        raise StateError("the state is away")

    with pytest.raises(StateError):
        roster(load)[0].keys()
