"""The figures of a report, out of the accepted rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import duckdb

from isthmus.behaviours import BEHAVIOURS, behaviour_code
from isthmus_client.readiness.database import row, rows
from isthmus_client.readiness.distributions import distribution_of
from isthmus_client.readiness.results import Day, Statistics
from isthmus_client.rows.moments import quoted

_TOP = """
    SELECT coalesce(sum(n) FILTER (place <= greatest(ceil(0.01 * items), 1)) / sum(n), 0)
    FROM (SELECT count(*) AS n, row_number() OVER (ORDER BY n DESC) AS place,
              (SELECT count(*) FROM known_items) AS items
          FROM accepted_events GROUP BY item)
"""
_PRICES = """
    SELECT price AS value FROM item_rows_read WHERE reason IS NULL AND price IS NOT NULL
    UNION ALL
    SELECT price FROM accepted_events
    WHERE price IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM item_rows_read WHERE reason IS NULL AND price IS NOT NULL)
"""


def local(zone: str) -> str:
    """SQL for `time` as the clock shows it in a zone."""
    if zone == "UTC":  # the same, and four times as fast
        return "make_timestamp(time * 1000000)"
    return f"(to_timestamp(time) AT TIME ZONE {quoted(zone)})"


def define_accepted(connection: duckdb.DuckDBPyConnection, zone: str) -> None:
    """Make the view `accepted_events`, with `day` in the platform's zone.

    Raises:
        duckdb.Error: the zone is not known.
    """
    connection.execute(
        f"CREATE TEMP VIEW accepted_events AS SELECT *, {local(zone)}::DATE AS day "
        "FROM event_rows WHERE reason IS NULL"
    )


def statistics_of(connection: duckdb.DuckDBPyConnection, *, timed: bool) -> Statistics:
    """All figures; needs `known_items` and `accepted_events`."""
    users, events, with_events, first, last = row(
        connection,
        "SELECT count(DISTINCT user_id), count(*), count(DISTINCT item), min(time), max(time) "
        "FROM accepted_events",
    )
    (items,) = row(connection, "SELECT count(*) FROM known_items")
    (top,) = row(connection, _TOP)
    by_day = _by_day(connection) if timed else ()
    return Statistics(
        users=users,
        items=items,
        events=events,
        behaviours=_behaviours(connection),
        by_day=by_day,
        by_month=_by_month(by_day),
        first=_iso(first) if timed and events else "",
        last=_iso(last) if timed and events else "",
        days=_span(by_day),
        items_with_events=with_events,
        top_share=min(float(top), 1.0),
        lengths=distribution_of(
            connection, "SELECT count(*) AS value FROM accepted_events GROUP BY user_id"
        ),
        texts=distribution_of(
            connection, "SELECT characters AS value FROM item_rows_read WHERE reason IS NULL"
        ),
        prices=distribution_of(connection, _PRICES),
    )


def _behaviours(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    found = rows(connection, "SELECT behaviour, count(*) FROM accepted_events GROUP BY ALL")
    return {BEHAVIOURS[code - 1]: count for code, count in sorted(found)}


def _by_day(connection: duckdb.DuckDBPyConnection) -> tuple[Day, ...]:
    found = rows(
        connection,
        "SELECT day, behaviour, count(*) FROM accepted_events GROUP BY ALL ORDER BY ALL",
    )
    return _summed((day.isoformat(), code, count) for day, code, count in found)


def _by_month(days: Sequence[Day]) -> tuple[Day, ...]:
    return _summed(
        (day.day[:7], behaviour_code(name), count)
        for day in days
        for name, count in day.events.items()
    )


def _summed(counts: Iterable[tuple[str, int, int]]) -> tuple[Day, ...]:
    """Days or months out of (name, behaviour's code, events), which are in order of their names."""
    found: dict[str, Counter[int]] = {}
    for name, code, count in counts:
        found.setdefault(name, Counter())[code] += count
    return tuple(
        Day(day=name, events={BEHAVIOURS[code - 1]: n for code, n in sorted(events.items())})
        for name, events in found.items()
    )


def _span(by_day: Sequence[Day]) -> int:
    if not by_day:
        return 0
    first, last = (datetime.fromisoformat(day.day) for day in (by_day[0], by_day[-1]))
    return (last - first).days + 1


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
