"""The vocabulary of behaviours. Codes are trained into encoders, so they never change."""

import pytest

from isthmus.behaviours import BEHAVIOURS, PADDING, behaviour_code


def test_codes_of_released_encoders_stay():
    assert BEHAVIOURS[:10] == (
        "view",
        "click",
        "cart",
        "favourite",
        "purchase",
        "rate",
        "return",
        "redeem",
        "share",
        "search",
    )
    assert behaviour_code("view") == 1
    assert behaviour_code("purchase") == 5


def test_codes_are_distinct_and_none_is_padding():
    codes = {behaviour_code(name) for name in BEHAVIOURS}
    assert len(codes) == len(BEHAVIOURS)
    assert PADDING not in codes


def test_an_unknown_word_is_an_error():
    with pytest.raises(KeyError, match="buy"):
        behaviour_code("buy")
