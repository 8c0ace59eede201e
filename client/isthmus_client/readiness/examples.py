"""Examples of findings that come from the compact rows, and what of them may be shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import duckdb

from isthmus.behaviours import BEHAVIOURS
from isthmus_client.readiness.database import row, rows
from isthmus_client.readiness.findings import Draft, Seen
from isthmus_client.readiness.masking import Masker
from isthmus_client.readiness.results import Example, Finding


def event_seen(connection: duckdb.DuckDBPyConnection, condition: str) -> Seen | None:
    """The first accepted event, by feed and line, for which the SQL condition holds."""
    found = rows(
        connection,
        "SELECT f.name, e.line, u.raw, k.item_id, e.time, e.behaviour, e.price FROM ("
        f"SELECT * FROM accepted_events WHERE {condition} ORDER BY feed, line LIMIT 1) e "
        "LEFT JOIN feed_names f ON f.\"table\" = 'events' AND f.feed = e.feed "
        "LEFT JOIN user_ids u USING (user_id) LEFT JOIN known_items k USING (item)",
    )
    return _event(*found[0]) if found else None


def duplicate_seen(connection: duckdb.DuckDBPyConnection, table: str, reason: str) -> Seen | None:
    """The first row that was rejected as a duplicate; of items their id too."""
    kept, more = ("item_rows_read", "r.item_id") if table == "items" else ("event_rows", "NULL")
    found = rows(
        connection,
        f"SELECT f.name, r.line, {more} FROM {kept} r LEFT JOIN feed_names f "
        'ON f."table" = ? AND f.feed = r.feed WHERE r.reason = ? ORDER BY r.feed, r.line LIMIT 1',
        table,
        reason,
    )
    if not found:
        return None
    name, line, item = found[0]
    if table == "items":
        return Seen(name, line, {"item_id": item})
    values = rows(
        connection,
        "SELECT u.raw, k.item_id, e.time, e.behaviour, e.price FROM event_rows e "
        "LEFT JOIN user_ids u USING (user_id) LEFT JOIN known_items k USING (item) "
        "WHERE e.reason = ? ORDER BY e.feed, e.line LIMIT 1",
        reason,
    )[0]
    return _event(name, line, *values)


def _event(
    name: str, line: int, user: str, item: str, time: int, behaviour: int, price: Any
) -> Seen:
    values = {
        "user_id": user,
        "item_id": item,
        "timestamp": datetime.fromtimestamp(time, UTC).isoformat().replace("+00:00", "Z"),
        "behaviour": BEHAVIOURS[behaviour - 1],
    }
    if price is not None:
        values["price"] = f"{price:g}"
    return Seen(name, line, values)


def published(
    connection: duckdb.DuckDBPyConnection, masker: Masker, made: Draft, *, users_known: bool
) -> Finding:
    """The finding with its example as far as that may be shown.

    Args:
        connection: holds `user_ids`.
        masker: of this report.
        made: the finding.
        users_known: whether all events feeds were read to their ends.

    Guarantees:
        As `Masker.values`, for all users of the events feeds. Where some of these could not be
        read, nobody can tell whether a value is a user's id: then none is shown, only its place.
    """

    def is_user(value: str) -> bool:
        query = "SELECT count(*) FROM user_ids WHERE user_id = hash(?::VARCHAR) AND raw = ?"
        return bool(row(connection, query, value, value)[0])

    if made.seen is None:
        return made.finding
    raw = made.seen.values if users_known else {}
    values = masker.values(raw, is_user)
    example = Example(feed=made.seen.feed, line=made.seen.line, values=values)
    return made.finding.model_copy(update={"example": example})
