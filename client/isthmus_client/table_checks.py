"""What can be wrong with a platform's two tables, found all at once and told to a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import duckdb

from isthmus.errors import DataInvalidError

_TIME_ADVICE: Final = "Give Unix seconds or ISO 8601 text such as 2024-03-31T18:05:00+02:00."


@dataclass(frozen=True)
class Finding:
    """One kind of mistake in one file.

    Attributes:
        what: the mistake, e.g. "rows have no user_id".
        advice: what to do about it.
        count: how many rows; 0 where the mistake is not in rows.
        row: the first bad row, counted from 1 without a header; None where not in rows.
        value: what stands there.
    """

    file: str
    what: str
    advice: str
    count: int = 0
    row: int | None = None
    value: str | None = None

    def line(self) -> str:
        """The finding as one line."""
        if self.row is None:
            return f"{self.file}: {self.what}. {self.advice}"
        there = "empty" if self.value is None else repr(self.value)
        where = f"first: row {self.row}, {there}"
        return f"{self.file}: {self.count} {self.what}; {where}. {self.advice}"


@dataclass(frozen=True)
class _Check:
    """`query` gives one row: how many rows are bad, the first of them, and the value there."""

    query: str
    what: str
    advice: str


_ITEM_CHECKS: Final = (
    _Check(
        "SELECT count(*), min(row), NULL FROM raw_items WHERE item_id IS NULL",
        "rows have no item_id",
        "Every item needs an id.",
    ),
    _Check(
        """
        SELECT count(*), min(row), arg_min(item_id, row)
        FROM (SELECT item_id, row, row_number() OVER (PARTITION BY item_id ORDER BY row) AS nth
              FROM raw_items WHERE item_id IS NOT NULL)
        WHERE nth > 1
        """,
        "rows repeat an item_id",
        "Keep one row for each item.",
    ),
    _Check(
        "SELECT count(*), min(row), arg_min(item_id, row) FROM raw_items WHERE text IS NULL",
        "items have no text",
        "Give each a title or a text, or leave the item and its events out.",
    ),
    _Check(
        """
        SELECT count(*), min(row), arg_min(price_text, row) FROM raw_items
        WHERE price_text IS NOT NULL AND (price IS NULL OR NOT isfinite(price))
        """,
        "prices are no numbers",
        "Write 12.50, without a currency; leave it empty where it is unknown.",
    ),
)
_EVENT_CHECKS: Final = (
    _Check(
        "SELECT count(*), min(row), NULL FROM raw_events WHERE user_id IS NULL",
        "rows have no user_id",
        "Leave out events of unknown users.",
    ),
    _Check(
        """
        SELECT count(*), min(row), arg_min(item_id, row) FROM raw_events
        WHERE item_id IS NULL OR item_id NOT IN (
            SELECT item_id FROM raw_items WHERE item_id IS NOT NULL)
        """,
        "events are on an item that the items table lacks",
        "Add the items, or leave their events out.",
    ),
    _Check(
        """
        SELECT count(*), min(row), arg_min(word, row) FROM raw_events WHERE behaviour IS NULL
        """,
        "events have an unknown behaviour",
        "Map your words to ours, e.g. behaviours = { buy = 'purchase' }.",
    ),
)
_TIME_CHECKS: Final = (
    _Check(
        "SELECT count(*), min(row), arg_min(stamp, row) FROM raw_events WHERE time IS NULL",
        "events have a time that cannot be read",
        _TIME_ADVICE,
    ),
    _Check(
        """
        SELECT count(*), min(row), arg_min(stamp, row) FROM raw_events
        WHERE time NOT BETWEEN epoch('1990-01-01'::TIMESTAMP) AND epoch('2100-01-01'::TIMESTAMP)
        """,
        "events have a time before 1990 or after 2100",
        "Say timestamp_unit = 'ms' for milliseconds, or timed = false for a mere counter.",
    ),
)


def check_items(connection: duckdb.DuckDBPyConnection, file: str) -> list[Finding]:
    """What is wrong with `raw_items(item_id, text, price_text, price, row)`."""
    return _empty(connection, "raw_items", file, "items") or _run(connection, file, _ITEM_CHECKS)


def check_events(connection: duckdb.DuckDBPyConnection, file: str, *, timed: bool) -> list[Finding]:
    """What is wrong with `raw_events(user_id, item_id, stamp, time, word, behaviour, row)`."""
    checks = (*_EVENT_CHECKS, *_TIME_CHECKS) if timed else _EVENT_CHECKS
    return _empty(connection, "raw_events", file, "events") or _run(connection, file, checks)


def refuse(findings: Sequence[Finding]) -> None:
    """Stop if there is any finding.

    Raises:
        DataInvalidError: lists them all.
    """
    if findings:
        lines = [f"  {finding.line()}" for finding in findings]
        head = "the platform's tables cannot be used; rows count from 1, without a header:"
        raise DataInvalidError(
            "\n".join([head, *lines]), hint="correct the tables or the options and start again"
        )


def _empty(
    connection: duckdb.DuckDBPyConnection, table: str, file: str, things: str
) -> list[Finding]:
    (count,) = connection.table(table).count("*").fetchall()[0]
    if count:
        return []
    return [Finding(file, f"has no {things}", "A platform needs users, items and events.")]


def _run(
    connection: duckdb.DuckDBPyConnection, file: str, checks: Sequence[_Check]
) -> list[Finding]:
    findings = []
    for check in checks:
        count, row, value = connection.execute(check.query).fetchall()[0]
        if count:
            findings.append(Finding(file, check.what, check.advice, count, row, value))
    return findings
