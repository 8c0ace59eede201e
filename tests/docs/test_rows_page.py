"""The page on rows lists every reason, in the order in which rows are judged."""

import re

import pytest
from markdown_pages import ROOT

from isthmus_client.rows import EVENT_RULES, ITEM_RULES, MALFORMED_RULES, OPTIONAL_RULES

PAGE = (ROOT / "docs" / "rows.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (?:`(\w+)`)?", re.MULTILINE)


SECTIONS = {
    "## Items": ITEM_RULES,
    "## Events": EVENT_RULES,
    "### Service texts": OPTIONAL_RULES["service_texts"],
    "### Impressions and redemptions": OPTIONAL_RULES["impressions"],
    "### Social edges": OPTIONAL_RULES["social_edges"],
    "### Images": OPTIONAL_RULES["images"],
    "## Lines": MALFORMED_RULES,
}


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_reason_is_listed_with_its_column_and_no_other(heading):
    listed = re.split(r"\n##+ ", PAGE.partition(f"\n{heading}\n")[2])[0]
    assert ROW.findall(listed) == [(rule.code, rule.column) for rule in SECTIONS[heading]]


def test_the_page_has_a_section_for_the_rules_of_every_table():
    assert set(map(id, OPTIONAL_RULES.values())) <= set(map(id, SECTIONS.values()))
    found = re.findall(r"^(##+ .+)\n\n(?:[^#|\n].*\n\n)*\| reason", PAGE, re.MULTILINE)
    assert found == list(SECTIONS)
