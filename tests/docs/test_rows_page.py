"""The page on rows lists every reason, in the order in which rows are judged."""

import re

import pytest
from markdown_pages import ROOT

from isthmus_client.rows import EVENT_RULES, ITEM_RULES, MALFORMED_RULES

PAGE = (ROOT / "docs" / "rows.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (?:`(\w+)`)?", re.MULTILINE)


@pytest.mark.parametrize(
    ("section", "rules"),
    [("Items", ITEM_RULES), ("Events", EVENT_RULES), ("Lines", MALFORMED_RULES)],
)
def test_every_reason_is_listed_with_its_column_and_no_other(section, rules):
    listed = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    assert ROW.findall(listed) == [(rule.code, rule.column) for rule in rules]
