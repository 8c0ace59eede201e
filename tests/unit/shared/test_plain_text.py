"""What others write cannot act on a terminal or pass for another line."""

import pytest

from isthmus.plain_text import is_plain, plain

ODD = "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    "sign",
    ["\x1b", "\n", "\r", "\0", "\x9b", "\N{RIGHT-TO-LEFT OVERRIDE}", "\N{LINE SEPARATOR}", "\ud800",
     "\N{SOFT HYPHEN}"],
    ids=ascii,
)  # fmt: skip
def test_a_sign_that_is_not_seen_is_replaced(sign):
    assert not is_plain(f"a{sign}b")
    assert plain(f"a{sign}b") == f"a{ODD}b"


def test_all_else_stays():
    text = "Lesekreis Zürich, 読書 (8 ε)"
    assert is_plain(text)
    assert plain(text) == text
    assert plain(text, 9) == "Lesekreis"
    assert plain("a\n\tb\x1b", lines=True) == f"a\n\tb{ODD}"
