"""What makes a row usable: one set of rules for checking, storing and simulating alike."""

from isthmus_client.rows.columns import COLUMNS, ColumnFault, is_header, require_columns
from isthmus_client.rows.duplicates import mark_duplicate_events, mark_duplicate_items
from isthmus_client.rows.events import EventJudge
from isthmus_client.rows.items import ItemJudge
from isthmus_client.rows.optional import OptionalJudge
from isthmus_client.rows.rules import (
    EVENT_RULES,
    ITEM_RULES,
    MALFORMED_RULES,
    OPTIONAL_RULES,
    Rule,
)

__all__ = [
    "COLUMNS",
    "EVENT_RULES",
    "ITEM_RULES",
    "MALFORMED_RULES",
    "OPTIONAL_RULES",
    "ColumnFault",
    "EventJudge",
    "ItemJudge",
    "OptionalJudge",
    "Rule",
    "is_header",
    "mark_duplicate_events",
    "mark_duplicate_items",
    "require_columns",
]
