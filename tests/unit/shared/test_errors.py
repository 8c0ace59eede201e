"""The error tree, as its module draws it."""

import re

import pytest

from isthmus import errors
from isthmus.errors import DataInvalidError, IsthmusError, meaning

TREE = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, IsthmusError) and value is not IsthmusError
]


def test_every_error_has_its_own_exit_code():
    codes = [error.exit_code for error in TREE]
    assert len(TREE) >= 8
    assert len(set(codes)) == len(codes)
    assert not {0, 1, 2, 130} & set(codes)


@pytest.mark.parametrize("error", TREE)
def test_the_drawn_tree_names_every_error_and_its_code(error):
    assert re.search(rf"── {error.__name__} +{error.exit_code} ", errors.__doc__)


def test_an_error_carries_message_and_hint():
    error = DataInvalidError("43 rows name an unknown item", hint="see items.csv")
    assert str(error) == "43 rows name an unknown item"
    assert error.hint == "see items.csv"
    assert DataInvalidError("said all").hint == ""


@pytest.mark.parametrize("error", TREE)
def test_a_code_says_in_words_what_the_error_says(error):
    said = meaning(error.exit_code)
    assert said
    assert error.__doc__.lower().startswith(said.lower())
    assert not said.endswith(".")


def test_a_code_that_is_no_errors_says_nothing():
    assert meaning(3) == meaning(1) == ""
