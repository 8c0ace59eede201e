"""The page on threats names tests that exist, for every attack."""

import re

import pytest
from markdown_pages import ROOT

TEXT = (ROOT / "docs" / "threat-model.md").read_text()
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
NAMED = sorted(set(TEST.findall(TEXT)))


def attacks():
    """Attack and the cell of its tests, of every table of attacks."""
    for section in TEXT.split("\n## ")[1:]:
        if "| attack |" in section:
            rows = [row for row in section.splitlines() if row.startswith("| ")]
            for row in rows[1:]:
                cells = [cell.strip() for cell in row.strip("|").split("|")]
                assert len(cells) == 4, row
                yield cells[0], cells[1], cells[2]


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_the_named_tests_exist(file):
    text = (ROOT / file).read_text()
    for _, name in (each for each in NAMED if each[0] == file):
        assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), f"{file} has no {name}"


def test_every_attack_has_an_answer_and_a_test():
    found = list(attacks())
    assert len(found) > 40
    for attack, answer, tests in found:
        assert answer, attack
        assert TEST.search(tests), f"nothing holds: {attack}"
        assert not TEST.sub("", tests).strip(), f"more than tests at: {attack}"


@pytest.mark.parametrize(
    "word",
    [
        "different models", "swaps a platform's key", "old round", "bundle", "runtime interface",
        "stolen invitation", "cloned", "revocation", "downgrade", "NaN", "without all of its noise",
        "audit log", "old ledger", "errors and reads their texts", "too large", "sends slowly",
        "poisons", "colluders", "Traffic analysis", "leave a platform out",
    ],
)  # fmt: skip
def test_what_the_design_names_is_there(word):
    assert word in TEXT
