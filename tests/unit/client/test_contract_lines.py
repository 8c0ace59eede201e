"""Each key of a TOML file has the line on which it stands."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus_client.contract.lines import key_lines, line_of

FILE = '''# a comment with [brackets] = and "quotes
top = 1
[ platform ]   # [not.this]
name = "a = b" # x = 1
many = [
  "one", # [two]
  ["]", "}"],
]
text = """
[platform.no]
not = 'a key' \\"""
""" # five
raw = \'\'\'
not = "either"
\'\'\'\'
inline = { a = 1, b = { c = "x" } }
dotted.keys."with = sign".'and # hash' = 3
[platform."odd ] name"]
x = 2024-01-01T10:00:00
[[list]]
y = -inf
'''


def test_every_key_has_its_line():
    assert key_lines(FILE) == {
        ("top",): 2,
        ("platform",): 3,
        ("platform", "name"): 4,
        ("platform", "many"): 5,
        ("platform", "text"): 9,
        ("platform", "raw"): 13,
        ("platform", "inline"): 16,
        ("platform", "dotted"): 17,
        ("platform", "dotted", "keys"): 17,
        ("platform", "dotted", "keys", "with = sign"): 17,
        ("platform", "dotted", "keys", "with = sign", "and # hash"): 17,
        ("platform", "odd ] name"): 18,
        ("platform", "odd ] name", "x"): 19,
        ("list",): 20,
        ("list", "y"): 21,
    }


@pytest.mark.parametrize("text", [FILE.replace("\n", "\r\n"), FILE.rstrip("\n")])
def test_line_ends_make_no_difference(text):
    assert key_lines(text) == key_lines(FILE)


def test_a_table_named_after_its_own_part_has_its_own_line():
    lines = key_lines("[events.columns]\nuser_id = 'u'\n[events]\nsource = 'e'\n")
    assert lines["events",] == 3
    assert lines["events", "columns"] == 1


def test_what_is_missing_is_told_at_the_table_that_lacks_it():
    lines = key_lines("a = 1\n[events]\ntimed = true\n")
    assert line_of(lines, ("events", "source")) == 2
    assert line_of(lines, ("events", "columns", "user_id")) == 2
    assert line_of(lines, ("items",)) is None


keys = st.text("ab. #=[]{}\"'\\é-", min_size=1, max_size=4)
values = st.recursive(
    st.text("ab[]{}#=\"'\n\\ ", max_size=6) | st.integers(-3, 3) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=2),
    max_leaves=6,
)


def quoted(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def written(value):
    """TOML, lists over several lines and with comments."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return "[\n" + "".join(f"{written(each)}, # ]\n" for each in value) + "]"
    return "{" + ", ".join(f"{quoted(k)} = {inline(v)}" for k, v in value.items()) + "}"


def inline(value):
    """TOML on one line, as within an inline table."""
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    return written(value)


@given(st.dictionaries(keys, st.dictionaries(keys, values, max_size=4), max_size=4))
def test_any_table_is_followed(tables):
    lines, expected = [], {}
    for name, content in tables.items():
        lines += ["", f"[{quoted(name)}] # = [x]"]
        expected[name,] = len(lines)
        for key, value in content.items():
            expected[name, key] = len(lines) + 1
            lines += f"{quoted(key)} = {written(value)}".split("\n")
    text = "\n".join(lines)
    assert tomllib.loads(text) == tables
    assert key_lines(text) == expected
