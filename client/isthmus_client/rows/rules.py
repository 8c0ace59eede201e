"""The rules that a row must keep, as values: one list for each table.

A row's reason is the first rule that it breaks, in the order of the list. A condition is SQL over
the parsed columns of a row (see `events`, `items`, `optional`) and holds where the rule is broken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

EARLIEST: Final = 631_152_000  # 1990-01-01T00:00:00Z in Unix seconds; no shop's log is older
DAY: Final = 86_400  # seconds; how far a platform's clock may run ahead of `now`


@dataclass(frozen=True)
class Rule:
    """One thing that can be wrong with a row.

    Attributes:
        code: of the reason, e.g. "bad_time".
        column: ours, that is at fault; "" where it is the whole row.
        what: the mistake in words, after a count: "rows have no user_id".
        advice: what to do about it.
        condition: SQL, true where the rule is broken; with `{now}` and `{oldest}` in Unix
            seconds. "" where another step finds it: duplicates need all rows, malformed lines
            have no columns.
    """

    code: str
    column: str
    what: str
    advice: str
    condition: str = ""


_PRICE_ADVICE: Final = "Write 12.50, without a currency; leave it empty where it is unknown."

ITEM_RULES: Final = (
    Rule(
        "no_item_id",
        "item_id",
        "rows have no item_id",
        "Every item needs an id: text, or a whole number.",
        "no_item",
    ),
    Rule(
        "no_text",
        "text",
        "items have no text",
        "Give each a title or a text, or leave the item and its events out.",
        "text IS NULL",
    ),
    Rule(
        "bad_price",
        "price",
        "prices are no numbers",
        _PRICE_ADVICE,
        "price_given AND price IS NULL",
    ),
    Rule(
        "negative_price",
        "price",
        "prices are below zero",
        "Leave a price empty where it is unknown.",
        "price < 0",
    ),
    Rule(
        "duplicate_item",
        "item_id",
        "rows repeat an item_id",
        "Keep one row for each item; the first one counts.",
    ),
)

EVENT_RULES: Final = (
    Rule(
        "no_user_id",
        "user_id",
        "rows have no user_id",
        "Leave out events of unknown users; an id is text or a whole number.",
        "no_user",
    ),
    Rule(
        "no_item_id",
        "item_id",
        "rows have no item_id",
        "Leave out events without an item; an id is text or a whole number.",
        "no_item",
    ),
    Rule(
        "unknown_item",
        "item_id",
        "events are on an item that the items table lacks",
        "Add the items, or leave their events out; compare how both tables write an id.",
        "item IS NULL",
    ),
    Rule(
        "unknown_behaviour",
        "behaviour",
        "events have an unknown behaviour",
        'Map your words to ours under [events], e.g. behaviours = { buy = "purchase" }.',
        "behaviour IS NULL",
    ),
    Rule(
        "no_time",
        "timestamp",
        "events have no time",
        "Give each a time; or say timed = false where the order of rows is all that is known.",
        "NOT time_given",
    ),
    Rule(
        "bad_time",
        "timestamp",
        "events have a time that cannot be read",
        "Give Unix seconds or ISO 8601 text such as 2024-03-31T18:05:00+02:00, or say time_format.",
        "time IS NULL",
    ),
    Rule(
        "time_before_1990",
        "timestamp",
        "events have a time before 1990",
        "Leave unknown times out; say timed = false for a mere counter, and time_format where "
        "numbers are not seconds.",
        f"time < {EARLIEST}",
    ),
    Rule(
        "time_in_future",
        "timestamp",
        "events lie more than a day in the future",
        'Say time_format = "ms" for milliseconds; look at the clock and the time zone.',
        f"time > {{now}} + {DAY}",
    ),
    Rule(
        "out_of_retention",
        "timestamp",
        "events are older than the contract lets them be kept",
        "Leave them out of the feed, or change retention_days under [history].",
        "time < {oldest}",
    ),
    Rule(
        "negative_price",
        "price",
        "prices are below zero",
        "Leave a price empty where it is unknown; a return is a behaviour of its own.",
        "price < 0",
    ),
    Rule(
        "bad_price",
        "price",
        "prices are no numbers",
        _PRICE_ADVICE,
        "price_given AND price IS NULL",
    ),
    Rule(
        "bad_quantity",
        "quantity",
        "quantities are no numbers above zero",
        "A return is a behaviour of its own; leave a quantity empty where it is unknown.",
        "quantity_given AND (quantity IS NULL OR quantity <= 0)",
    ),
    Rule(
        "bad_rating",
        "rating",
        "ratings are no numbers",
        "Write 4 or 4.5; leave it empty where there is none.",
        "rating_given AND rating IS NULL",
    ),
    Rule(
        "duplicate_event",
        "",
        "rows repeat an event",
        'Keep one row for each event, or say duplicates = "keep" under [events].',
    ),
)

_NO_USER: Final = Rule(
    "no_user_id",
    "user_id",
    "rows have no user_id",
    "Leave out rows of unknown users; an id is text or a whole number.",
    "no_user_id",
)
_BAD_TIME: Final = Rule(
    "bad_time",
    "timestamp",
    "rows have a time that cannot be read",
    "Write times as the events do: time_format under [events] holds for every table.",
    "time_given AND time IS NULL",
)
_CAMPAIGN_RULES: Final = (
    _NO_USER,
    Rule(
        "no_campaign",
        "campaign",
        "rows name no campaign",
        "Name the campaign of each row, or leave the row out.",
        "no_campaign",
    ),
    Rule("no_time", "timestamp", "rows have no time", "Give each row a time.", "NOT time_given"),
    _BAD_TIME,
)
OPTIONAL_RULES: Final[Mapping[str, Sequence[Rule]]] = {
    "service_texts": (
        Rule("no_text", "text", "texts are empty", "Leave empty texts out.", "no_text"),
        Rule(
            "no_label", "label", "texts have no label", "Label them, or leave them out.", "no_label"
        ),
        _BAD_TIME,
    ),
    "impressions": _CAMPAIGN_RULES,
    "redemptions": _CAMPAIGN_RULES,
    "social_edges": (
        _NO_USER,
        Rule(
            "no_other_id",
            "other_id",
            "edges have no other_id",
            "An edge joins two users: leave out those that lack one.",
            "no_other_id",
        ),
        Rule(
            "self_edge",
            "other_id",
            "edges join a user to itself",
            "Leave them out.",
            "self_edge",
        ),
        _BAD_TIME,
    ),
    "images": (
        Rule(
            "no_item_id",
            "item_id",
            "rows have no item_id",
            "Name the item of each image; an id is text or a whole number.",
            "no_item_id",
        ),
        Rule("no_path", "path", "rows have no path", "Name each image's file.", "no_path"),
        Rule(
            "missing_image",
            "path",
            "images have no file",
            "Correct the paths; they are seen from the folder of platform.toml.",
            "missing_image",
        ),
    ),
}
"""{optional table: its rules}."""

MALFORMED_RULES: Final = (
    Rule("ragged", "", "lines have more or fewer fields than the header", "Quote the delimiter."),
    Rule("encoding", "", "lines are not in the feed's encoding", "Say encoding, or write UTF-8."),
    Rule("json", "", "lines are no JSON object", "Write one JSON object a line."),
    Rule("nul", "", "lines hold a NUL byte", "Write the file anew: it was cut or is no text."),
)


def broken(rules: Sequence[Rule], values: Mapping[str, int]) -> str:
    """SQL for the place in `rules` of the first rule that a row breaks; NULL for none.

    Args:
        rules: in their order; those without a condition are left out.
        values: of the placeholders in their conditions.
    """
    cases = [
        f"WHEN {rule.condition.format(**values)} THEN {place}"
        for place, rule in enumerate(rules)
        if rule.condition
    ]
    return f"CAST(CASE {' '.join(cases)} END AS TINYINT)"
