"""Every code that a finding may have: how severe it is, what it means, what to do.

`docs/readiness.md` lists the same, and a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Final

from isthmus_client.readiness.results import Severity
from isthmus_client.rows import (
    EVENT_RULES,
    ITEM_RULES,
    MALFORMED_RULES,
    OPTIONAL_RULES,
    Rule,
)
from isthmus_client.rows.tally import POLICY


@dataclass(frozen=True)
class Code:
    """One kind of finding.

    Attributes:
        severity: "error" where training would be impossible or wrong; the feed is then refused.
        meaning: a sentence without figures.
        advice: what to do about it.
    """

    code: str
    severity: Severity
    meaning: str
    advice: str


_ERRORS: Final = {
    "unreadable_source": (
        "A source is not there or cannot be read.",
        "Correct `source` in platform.toml, or the file that the message names.",
    ),
    "empty_table": (
        "A table that every platform needs has no rows that can be used.",
        "Export events and items; a platform needs both.",
    ),
    "wrong_delimiter": (
        "The header is one column whose name holds another delimiter.",
        "Set `delimiter` of the table in platform.toml.",
    ),
    "no_header": (
        "None of the columns that platform.toml names is in the header.",
        "Write the columns' names into the first line, or correct `columns` in platform.toml.",
    ),
    "missing_column": (
        "A column that is needed, or that platform.toml names, is not there.",
        "Export the column, or correct `columns` in platform.toml.",
    ),
    "renamed_column": (
        "A column is not there, but one with nearly its name is.",
        "Name the column in `columns` of platform.toml.",
    ),
    "wrong_type": (
        "A column has a type that cannot hold what is asked for.",
        "Export the column as text, number or time, or map another one.",
    ),
    "too_many_rejected": (
        "More rows are rejected than `limits.rejected_share` allows.",
        "Correct the export by the findings on its rows; raise the limit only if you know why.",
    ),
    "time_unit": (
        "Times lie far outside of all plausible dates, but fit in another unit.",
        "Set `time_format` of the events in platform.toml to the unit that the finding names.",
    ),
    "single_events": (
        "Every user has a single event: there is no history to learn from.",
        "Map `user_id` to the column of the person, not of the order, session or visit.",
    ),
}
_WARNINGS: Final = {
    "empty_feed": (
        "A file, or an optional table, has no rows.",
        "Export it again, or leave it out of platform.toml.",
    ),
    "column_in_some_feeds": (
        "A column is in some of a table's files and not in others.",
        "Export all files of a table with the same columns.",
    ),
    "mixed_zones": (
        "Some times name a zone and others do not; those are read in the platform's zone.",
        "Export all times with their zone, for example 2024-03-31T18:05:00+02:00.",
    ),
    "one_time": (
        "All events have one and the same time, such as that of the export.",
        "Map `timestamp` to the time of the event.",
    ),
    "clock_skew": (
        "Events, or this computer's clock, do not agree with the server's time.",
        "Synchronise the clocks (NTP), and check the time zone of the export.",
    ),
    "day_gap": (
        "A day in a busy time has no events.",
        "Look whether that day's export or tracking failed, and export it again.",
    ),
    "sudden_drop": (
        "From one week to the next, three quarters of the events are gone.",
        "Look whether an export, an app version or a consent banner lost them.",
    ),
    "leading_zeros": (
        "Ids occur with and without leading zeros: they were a number somewhere on their way.",
        "Export ids as text everywhere; spreadsheets strip zeros.",
    ),
    "float_ids": (
        "Ids occur with a trailing .0: they were a floating-point number on their way.",
        "Export ids as text everywhere; a column with empty cells becomes floating point.",
    ),
    "id_spaces": (
        "Ids begin or end with a space.",
        "Trim them in the export: with the space it is another id.",
    ),
    "test_account": (
        "Users look like test accounts (test, demo, dummy, qa, admin and the like).",
        "Leave out the accounts of your own staff and monitoring.",
    ),
    "bot": (
        "Users have more events in a day than `limits.events_a_day`.",
        "Leave out bots and shared accounts, or raise the limit if these are people.",
    ),
    "behaviour_absent": (
        "platform.toml maps a word that never occurs.",
        "Correct the word (case counts), or drop it from `behaviours`.",
    ),
    "zero_price": (
        "Prices are zero.",
        "Leave the price empty where it is unknown; zero means that it was free.",
    ),
    "price_above_limit": (
        "Prices are above `limits.max_price`.",
        "Look for a missing decimal point, or raise the limit.",
    ),
    "price_jump": (
        "The prices of the same items change by a factor from some days or files to others.",
        "Export all prices in one currency and one unit.",
    ),
    "price_scale": (
        "Events and items state the prices of the same items in different scales.",
        "Export both in one currency and one unit, for example not one in cents.",
    ),
    "label_after_cut": (
        "Labels of events before the validation cut became known only after it.",
        "Leave such labels empty, or cut the table at the time when labels were known.",
    ),
    "label_before_event": (
        "Labels were known before the event that they should tell about.",
        "Map the label to the column with the time when it became known.",
    ),
    "label_leakage": (
        "A column holds, for every user, a count or last time over all events, later ones too.",
        "Do not map it, and never use it as a feature: it knows the future.",
    ),
    "one_label": ("All service texts have the same label.", "Map `label` to another column."),
    "unknown_user": (
        "Rows are on users that have no events.",
        "Check that both tables name the same kind of id.",
    ),
}
_INFOS: Final = {
    "extra_column": (
        "Columns are not mapped and are not read.",
        "Nothing, or map them if they are one of ours.",
    ),
    "bom": ("A file begins with a byte order mark; it was skipped.", "Nothing."),
    "source_note": ("How a source was read.", "Nothing, if that is right."),
    "zone_offsets": (
        "Times name several zones whose offsets differ by more than an hour.",
        "Nothing, if users live in several zones; days are those of `time_zone`.",
    ),
    "dates_only": (
        "Times are dates without a time of day; the order within a day is that of the rows.",
        "Export the time of day if you have it.",
    ),
    "behaviour_mapped_twice": (
        "Two of your words that both occur mean the same behaviour.",
        "Nothing, if it is so; if one event is logged under both words, drop one of them.",
    ),
    "single_event_users": (
        "Users have a single event; they are left out of training.",
        "Nothing; there is nothing to predict from.",
    ),
}


def _of(severity: Severity, found: dict[str, tuple[str, str]]) -> dict[str, Code]:
    return {code: Code(code, severity, *words) for code, words in found.items()}


def _of_rules() -> dict[str, Code]:
    """What a row is rejected for: a warning, until there are too many of them.

    What the contract's own policy leaves out, such as retention, is no fault of the feed.
    """
    found: dict[str, Code] = {}
    optional = chain.from_iterable(OPTIONAL_RULES.values())
    for rule in (*EVENT_RULES, *ITEM_RULES, *optional, *MALFORMED_RULES):
        meaning = f"Rejected: {rule.what}."
        severity: Severity = "info" if rule.code in POLICY else "warning"
        found.setdefault(rule.code, Code(rule.code, severity, meaning, rule.advice))
    return found


CODES: Final[dict[str, Code]] = {
    **_of("error", _ERRORS),
    **_of_rules(),
    **_of("warning", _WARNINGS),
    **_of("info", _INFOS),
}
"""{code: what it is}."""


def rule_of(table: str, code: str) -> Rule | None:
    """The rule that rejected a row of a table; None where it is a check of ours."""
    own = {"events": EVENT_RULES, "items": ITEM_RULES, **OPTIONAL_RULES}.get(table, ())
    return next((rule for rule in (*own, *MALFORMED_RULES) if rule.code == code), None)
