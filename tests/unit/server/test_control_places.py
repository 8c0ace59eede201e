"""One platform's share of the control service, at a time and over time."""

import pytest

from isthmus.control.reasons import RefusedError
from isthmus_server.control.places import Allowance, Places


def test_each_platform_has_its_own_places():
    places = Places(2)
    with places.one("a"), places.one("a"), places.one("b"):
        with pytest.raises(RefusedError) as caught, places.one("a"):
            pass
        assert caught.value.reason == "busy"
    with places.one("a"):  # those that were left are there again
        pass


def test_a_place_is_left_by_an_error_too():
    places = Places(1)
    for _ in range(3):
        with pytest.raises(KeyError), places.one("a"):
            raise KeyError


def test_an_allowance_is_used_up_and_comes_back_slowly():
    clock = [0.0]
    allowance = Allowance(3, 2.0, lambda: clock[0])
    assert [allowance.take("a") for _ in range(5)] == [True, True, True, False, False]
    assert allowance.take("b")
    clock[0] = 2.0
    assert [allowance.take("a") for _ in range(2)] == [True, False]
    clock[0] = 1000.0
    assert [allowance.take("a") for _ in range(5)] == [True, True, True, False, False]
    with pytest.raises(RefusedError):
        allowance.require("a")
