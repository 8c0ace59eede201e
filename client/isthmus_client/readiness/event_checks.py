"""Findings on accepted events: users, behaviours and amounts."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, Final

import duckdb

from isthmus_client.contract.model import Contract
from isthmus_client.readiness.database import row, rows
from isthmus_client.readiness.examples import event_seen
from isthmus_client.readiness.findings import Draft, Seen, draft
from isthmus_client.readiness.results import Statistics

JUMP: Final = 2.5  # factor between prices of the same items that no sale explains
_FEWEST_ITEMS: Final = 5  # of which a day or a file must have prices

# Each item's usual price, and how far the items of one day or file lie from it, in logarithms.
_JUMPS: Final = """
    WITH priced AS (SELECT item, {part} AS part, ln(price) AS p FROM accepted_events
                    WHERE price > 0),
        usual AS (SELECT item, quantile_disc(p, 0.5) AS m FROM priced GROUP BY item),
        apart AS (SELECT part, item, quantile_disc(p, 0.5) - any_value(m) AS d
                  FROM priced JOIN usual USING (item) GROUP BY part, item)
    SELECT part, median(d), count(*) FROM apart GROUP BY part
    HAVING count(*) >= {fewest} AND abs(median(d)) > ln({jump}) ORDER BY part
"""
_SCALE: Final = """
    SELECT median(d), count(*) FROM (
        SELECT median(ln(e.price)) - any_value(ln(i.price)) AS d
        FROM accepted_events e JOIN known_items k USING (item)
        JOIN item_rows_read i ON i.item_id = k.item_id AND i.reason IS NULL
        WHERE e.price > 0 AND i.price > 0 GROUP BY k.item)
"""


def user_findings(connection: duckdb.DuckDBPyConnection, statistics: Statistics) -> list[Draft]:
    """Users with a single event: all of them is an error."""
    (single,) = row(
        connection,
        "SELECT count(*) FROM (SELECT user_id FROM accepted_events GROUP BY user_id "
        "HAVING count(*) = 1)",
    )
    if not single:
        return []
    if single == statistics.users:
        code, what = "single_events", f"each of the {single:,} users has a single event"
    else:
        code, what = (
            "single_event_users",
            f"{single:,} of {statistics.users:,} users have one event",
        )
    return [draft(code, "events", what, column="user_id", count=single, of=statistics.users)]


def bots(connection: duckdb.DuckDBPyConnection, contract: Contract, users: int) -> list[Draft]:
    """Users with more events in one day than the contract takes for a person's."""
    limit = contract.limits.events_a_day
    found = rows(
        connection,
        "SELECT user_id, day, count(*) AS n FROM accepted_events GROUP BY user_id, day "
        "HAVING n > ? ORDER BY n DESC, user_id, day",
        limit,
    )
    if not found:
        return []
    user, day, most = found[0]
    count = len({each[0] for each in found})
    have = "user has" if count == 1 else "users have"
    what = f"{count:,} {have} more than {limit:,} events in a day, at most {most:,} on {day}"
    seen = event_seen(connection, f"user_id = {user} AND day = '{day}'")
    return [draft("bot", "events", what, column="user_id", count=count, of=users, seen=seen)]


def behaviour_findings(words: Counter[str], contract: Contract) -> list[Draft]:
    """Words of the contract that never occur, and words that mean the same.

    Args:
        words: {their word: how often it occurs}.
        contract: maps words to behaviours.
    """
    mapping = contract.events.behaviours
    absent = [word for word in mapping if word not in words]
    findings = [
        draft(
            "behaviour_absent",
            "events",
            f"platform.toml maps {word} to {mapping[word]}, but the word never occurs",
            column="behaviour",
            count=1,
            of=len(mapping),
        )
        for word in absent
    ]
    meanings: dict[str, list[str]] = {}
    for word in sorted({*mapping, *mapping.values()} & words.keys()):
        meanings.setdefault(mapping.get(word, word), []).append(word)
    for ours, same in meanings.items():
        if len(same) > 1:
            what = f"{', '.join(same)} all mean {ours}"
            findings.append(
                draft("behaviour_mapped_twice", "events", what, column="behaviour", count=len(same))
            )
    return findings


def price_findings(
    connection: duckdb.DuckDBPyConnection, contract: Contract, feeds: list[str]
) -> list[Draft]:
    """Zero prices, prices above the limit, jumps between days or files, two scales."""
    findings = [
        *_amounts(connection, "zero_price", "price = 0", "prices are zero"),
        *_above(connection, contract.limits.max_price),
    ]
    return [*findings, *_jumps(connection, feeds), *_scale(connection)]


def _above(connection: duckdb.DuckDBPyConnection, limit: float) -> list[Draft]:
    if not limit:
        return []
    words = f"prices are above {limit:,g}"
    return _amounts(connection, "price_above_limit", f"price > {limit!r}", words)


def _amounts(
    connection: duckdb.DuckDBPyConnection, code: str, condition: str, words: str
) -> list[Draft]:
    """Of events and of items."""
    findings = []
    for table, kept in (
        ("events", "accepted_events"),
        ("items", "(SELECT * FROM item_rows_read WHERE reason IS NULL)"),
    ):
        count, total = row(
            connection,
            f"SELECT count(*) FILTER ({condition}), count(price) FROM {kept}",
        )
        if count:
            seen = (
                event_seen(connection, condition)
                if table == "events"
                else _item_seen(connection, condition)
            )
            what = f"{count:,} of {total:,} {words}"
            findings.append(
                draft(
                    code, table, what, column="price", count=count, of=total,
                    seen=seen,
                )
            )  # fmt: skip
    return findings


def _item_seen(connection: duckdb.DuckDBPyConnection, condition: str) -> Seen:
    name, line, item, price = row(
        connection,
        "SELECT f.name, i.line, i.item_id, i.price FROM item_rows_read i LEFT JOIN feed_names f "
        "ON f.\"table\" = 'items' AND f.feed = i.feed "
        f"WHERE i.reason IS NULL AND {condition} ORDER BY i.feed, i.line LIMIT 1",
    )
    return Seen(name, line, {"item_id": item, "price": f"{price:g}"})


def _jumps(connection: duckdb.DuckDBPyConnection, feeds: list[str]) -> list[Draft]:
    """Between files; where those agree, between days."""
    by_file = _apart(connection, "feed") if len(feeds) > 1 else []
    if by_file:
        return [_jump(f"in {feeds[part]}", apart, 1, len(feeds)) for part, apart in by_file]
    by_day = _apart(connection, "day")
    if not by_day:
        return []
    day, apart = max(by_day, key=lambda pair: abs(pair[1]))
    (days,) = row(connection, "SELECT count(DISTINCT day) FROM accepted_events WHERE price > 0")
    where = f"on {day}" if len(by_day) == 1 else f"on {len(by_day):,} days, most of all {day},"
    return [_jump(where, apart, len(by_day), days)]


def _apart(connection: duckdb.DuckDBPyConnection, part: str) -> list[tuple[Any, float]]:
    query = _JUMPS.format(part=part, fewest=_FEWEST_ITEMS, jump=JUMP)
    return [(place, float(apart)) for place, apart, _ in rows(connection, query)]


def _jump(where: str, apart: float, count: int, of: int) -> Draft:
    what = f"prices {where} are {math.exp(apart):.3g} times the usual ones of the same items"
    return draft("price_jump", "events", what, column="price", count=count, of=of)


def _scale(connection: duckdb.DuckDBPyConnection) -> list[Draft]:
    apart, items = row(connection, _SCALE)
    if items < _FEWEST_ITEMS or abs(apart) <= math.log(JUMP):
        return []
    what = f"prices of events are {math.exp(apart):.3g} times those of the items table"
    return [draft("price_scale", "events", what, column="price", count=items)]
