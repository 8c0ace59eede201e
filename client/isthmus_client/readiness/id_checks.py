"""Findings on ids: how they are written, and whose they seem to be. Raw ids stay in memory."""

from __future__ import annotations

from typing import Final

import duckdb

from isthmus_client.readiness.database import row, rows
from isthmus_client.readiness.examples import event_seen
from isthmus_client.readiness.findings import Draft, Seen, draft

_TEST: Final = (
    r"(^|[^a-z])(test|tests|tester|testing|testuser|testaccount|demo|dummy|qa|fake|sample|admin|"
    r"administrator|root|example|staging|selenium)([^a-z]|$)"
)
_PADDED: Final = "^0+[1-9][0-9]*$"
_DIGITS: Final = "^[0-9]+$"
_FLOAT: Final = r"^[0-9]+\.0$"
_ITEM_IDS: Final = (
    "(SELECT item_id AS raw FROM known_items UNION ALL SELECT raw FROM stray_items) AS ids"
)


def id_findings(connection: duckdb.DuckDBPyConnection) -> list[Draft]:
    """All of them, for users and items."""
    return [
        *_user_zeros(connection),
        *_item_zeros(connection),
        *_written(connection, "float_ids", f"regexp_full_match(raw, '{_FLOAT}')", "end with .0"),
        *_written(connection, "id_spaces", "raw <> trim(raw, E' \\t')", "have spaces around them"),
        *_test_accounts(connection),
    ]


def _user_zeros(connection: duckdb.DuckDBPyConnection) -> list[Draft]:
    """Users that occur with and without leading zeros; files that pad ids beside some that do not.

    The second is told where a file has ids of digits alone, all equally long and some with a
    leading zero, and another one has ids of digits alone that are shorter.
    """
    (both,) = row(
        connection,
        "SELECT count(*) FROM user_ids a JOIN user_ids b ON b.raw = ltrim(a.raw, '0') "
        "WHERE regexp_full_match(a.raw, ?)",
        _PADDED,
    )
    if not both and not _padded_files(connection):
        return []
    (users,) = row(connection, "SELECT count(*) FROM user_ids")
    if both:
        what = f"{both:,} user ids occur with and without leading zeros"
        key = (
            "user_id IN (SELECT a.user_id FROM user_ids a JOIN user_ids b ON b.raw = "
            f"ltrim(a.raw, '0') WHERE regexp_full_match(a.raw, '{_PADDED}'))"
        )
        seen = event_seen(connection, key)
        return [
            draft(
                "leading_zeros",
                "events",
                what,
                column="user_id",
                count=both,
                of=users,
                seen=seen,
            )
        ]
    what = "user ids have leading zeros in some files and have lost them in others"
    return [draft("leading_zeros", "events", what, column="user_id", count=users)]


def _padded_files(connection: duckdb.DuckDBPyConnection) -> bool:
    (found,) = row(
        connection,
        """
        WITH forms AS (
            SELECT feed, min(length(raw)) AS low, max(length(raw)) AS high,
                bool_or(raw LIKE '0_%') AS padded
            FROM user_ids WHERE regexp_full_match(raw, ?) GROUP BY feed)
        SELECT count(*) FROM forms a JOIN forms b ON a.feed <> b.feed
        WHERE a.padded AND a.low = a.high AND NOT b.padded AND b.low < a.low
        """,
        _DIGITS,
    )
    return bool(found)


def _item_zeros(connection: duckdb.DuckDBPyConnection) -> list[Draft]:
    """Unknown items that the items table knows with more or fewer leading zeros."""
    condition = (
        "item_id IN (SELECT s.item_id FROM stray_items s JOIN known_items k "
        "ON ltrim(s.raw, '0') = ltrim(k.item_id, '0') "
        f"WHERE regexp_full_match(s.raw, '{_DIGITS}') "
        f"AND regexp_full_match(k.item_id, '{_DIGITS}'))"
    )
    (count,) = row(
        connection,
        f"SELECT count(*) FROM event_rows WHERE reason = 'unknown_item' AND {condition}",
    )
    if count:
        what = f"{count:,} events are on items that are known with other leading zeros"
        (events,) = row(connection, "SELECT count(*) FROM event_rows")
        return [draft("leading_zeros", "events", what, column="item_id", count=count, of=events)]
    (both,) = row(
        connection,
        "SELECT count(*) FROM known_items a JOIN known_items b ON b.item_id = ltrim(a.item_id, '0')"
        " WHERE regexp_full_match(a.item_id, ?)",
        _PADDED,
    )
    if not both:
        return []
    what = f"{both:,} items occur with and without leading zeros"
    return [draft("leading_zeros", "items", what, column="item_id", count=both)]


def _written(
    connection: duckdb.DuckDBPyConnection, code: str, condition: str, words: str
) -> list[Draft]:
    findings = []
    for column, ids in (("user_id", "user_ids"), ("item_id", _ITEM_IDS)):
        count, total = row(
            connection,
            f"SELECT count(*) FILTER ({condition}), count(*) FROM {ids}",
        )
        if count:
            what = f"{count:,} of {total:,} {column.removesuffix('_id')} ids {words}"
            findings.append(draft(code, "events", what, column=column, count=count, of=total))
    return findings


def _test_accounts(connection: duckdb.DuckDBPyConnection) -> list[Draft]:
    found = rows(
        connection,
        "SELECT user_id FROM user_ids WHERE regexp_matches(lower(raw), ?) ORDER BY user_id",
        _TEST,
    )
    if not found:
        return []
    connection.execute("CREATE TEMP TABLE test_accounts (user_id UBIGINT)")
    connection.execute(
        "INSERT INTO test_accounts SELECT user_id FROM user_ids "
        "WHERE regexp_matches(lower(raw), ?)",
        [_TEST],
    )
    inside = "user_id IN (SELECT user_id FROM test_accounts)"
    (events,) = row(connection, f"SELECT count(*) FROM accepted_events WHERE {inside}")
    (users,) = row(connection, "SELECT count(*) FROM user_ids")
    plural = (
        "user looks like a test account" if len(found) == 1 else "users look like test accounts"
    )
    what = f"{len(found):,} {plural}, with {events:,} events"
    seen: Seen | None = event_seen(connection, inside)
    return [
        draft(
            "test_account",
            "events",
            what,
            column="user_id",
            count=len(found),
            of=users,
            seen=seen,
        )
    ]
