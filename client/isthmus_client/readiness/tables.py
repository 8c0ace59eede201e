"""Reading each table of a contract: header, rows, what is rejected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import duckdb

from isthmus.progress import Progress
from isthmus_client.contract.model import Contract
from isthmus_client.feeds.feed import Feed
from isthmus_client.readiness import headers
from isthmus_client.readiness.column_types import WrongTypes
from isthmus_client.readiness.examples import duplicate_seen
from isthmus_client.readiness.findings import Draft
from isthmus_client.readiness.intake import Intake, OpenFeed
from isthmus_client.readiness.looks import Labels, Leaks, Units, Words, Zones
from isthmus_client.readiness.optional_tables import OptionalTable
from isthmus_client.readiness.results import TableFacts
from isthmus_client.readiness.row_checks import empty_feeds, rejected_rows, unreadable
from isthmus_client.rows import (
    EventJudge,
    ItemJudge,
    is_header,
    mark_duplicate_events,
    mark_duplicate_items,
)

_KEEP_ITEMS: Final = """
    INSERT INTO item_rows_read
    SELECT {feed}, line, item_id, NULL, length(text), price, image, reason, "column"
    FROM readiness_judged
"""
_KEEP_EVENTS: Final = """
    INSERT INTO event_rows
    SELECT {feed}, line, CASE WHEN user_id IS NOT NULL THEN hash(user_id) END,
        CASE WHEN item_id IS NOT NULL THEN hash(item_id) END, item, time, behaviour, surface,
        price, quantity, rating, CASE WHEN order_id IS NOT NULL THEN hash(order_id) END,
        reason, "column" FROM readiness_judged;
    INSERT INTO user_ids
    SELECT user_id, raw, {feed} FROM (SELECT DISTINCT hash(user_id) AS user_id, user_id AS raw
        FROM readiness_judged WHERE readiness_judged.user_id IS NOT NULL) AS n
    ANTI JOIN user_ids USING (user_id);
    INSERT INTO stray_items
    SELECT item_id, raw FROM (SELECT DISTINCT hash(item_id) AS item_id, item_id AS raw
        FROM readiness_judged WHERE reason = 'unknown_item') AS n
    ANTI JOIN stray_items USING (item_id)
"""
_KNOWN_ITEMS: Final = """
    CREATE TEMP TABLE known_items AS
    SELECT item_id, (row_number() OVER (ORDER BY item_id) - 1)::INTEGER AS item
    FROM item_rows_read WHERE reason IS NULL
"""


@dataclass(frozen=True)
class TableReading:
    """What reading one table gave.

    Attributes:
        complete: whether each of its feeds was read to its end.
    """

    facts: TableFacts
    drafts: list[Draft]
    complete: bool


@dataclass
class EventLooks:
    """What only the events' rows as they came can tell."""

    words: Words
    zones: Zones
    units: Units
    leaks: Leaks
    labels: Labels

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection, contract: Contract, now: int) -> EventLooks:
        """Nothing was seen yet."""
        return cls(
            Words(connection),
            Zones(connection),
            Units(connection, now),
            Leaks(connection),
            Labels(connection, contract),
        )


@dataclass
class _Opened:
    """A table's feeds with their headers read."""

    contract: Contract
    table: str
    intake: Intake
    usable: list[OpenFeed] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    types: WrongTypes = field(default_factory=WrongTypes)


def read_items(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    feeds: Sequence[Feed],
    progress: Progress,
) -> TableReading:
    """Fill `item_rows_read` and make `known_items`."""
    opened = _open(connection, contract, "items", feeds)
    with progress.track("Checking items", len(opened.usable)) as advance:
        for each in opened.usable:
            judge = ItemJudge(connection, contract, each.feed.columns)
            opened.intake.read(each, judge, _KEEP_ITEMS, [opened.types.look])
            advance(1)
    mark_duplicate_items(connection, "item_rows_read")
    connection.execute(_KNOWN_ITEMS)
    return _closed(opened, opened.intake.facts("item_rows_read"))


def read_events(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    feeds: Sequence[Feed],
    progress: Progress,
    *,
    now: int,
    judged: bool,
) -> tuple[TableReading, EventLooks]:
    """Fill `event_rows`, `user_ids` and `stray_items`.

    Args:
        connection: holds `known_items`.
        contract: of the platform.
        feeds: of events.
        progress: shows the files.
        now: Unix seconds.
        judged: false where there are no items to judge events by; headers are read all the same.
    """
    looks = EventLooks.of(connection, contract, now)
    opened = _open(connection, contract, "events", feeds)
    all_looks = [
        opened.types.look,
        looks.words.look,
        looks.zones.look,
        looks.units.look,
        looks.leaks.look,
        looks.labels.look,
    ]
    usable = opened.usable if judged else []
    with progress.track("Checking events", len(usable)) as advance:
        for each in usable:
            judge = EventJudge(connection, contract, each.feed.columns, now=now)
            opened.intake.read(each, judge, _KEEP_EVENTS, all_looks)
            advance(1)
    mark_duplicate_events(connection, contract, "event_rows")
    facts = opened.intake.facts("event_rows")
    reading = (
        _closed(opened, facts) if judged else TableReading(facts, opened.drafts, complete=False)
    )
    return reading, looks


def read_optional(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    name: str,
    feeds: Sequence[Feed],
    progress: Progress,
) -> TableReading:
    """Count one optional table's rows; needs `user_ids` and `known_items`."""
    opened = _open(connection, contract, name, feeds)
    table = OptionalTable(connection, contract, opened.intake)
    with progress.track(f"Checking {name}", len(opened.usable)) as advance:
        for each in opened.usable:
            opened.intake.stream(each, [opened.types.look, table.take])
            advance(1)
    facts = table.facts()
    reading = _closed(opened, facts)
    return TableReading(facts, [*reading.drafts, *table.findings()], reading.complete)


def _open(
    connection: duckdb.DuckDBPyConnection, contract: Contract, table: str, feeds: Sequence[Feed]
) -> _Opened:
    """Read the headers; feeds with an error there are left out."""
    all_feeds = [
        OpenFeed(
            number,
            feed,
            headers.mapped(contract, table, feed),
            is_header(contract, table, feed.columns) and not headers.is_one_column(feed),
        )
        for number, feed in enumerate(feeds)
    ]
    for each in all_feeds:
        name = [table, each.number, each.feed.name]
        connection.execute("INSERT INTO feed_names VALUES (?, ?, ?)", name)
    opened = _Opened(contract, table, Intake(connection, table, all_feeds))
    for each in all_feeds:
        found = headers.read_header(contract, table, each.feed)
        opened.drafts += found
        if not any(made.finding.severity == "error" for made in found):
            opened.usable.append(each)
    named = [(each.feed.name, dict(each.theirs)) for each in opened.usable]
    opened.drafts += headers.differing(table, named)
    return opened


def _closed(opened: _Opened, facts: TableFacts) -> TableReading:
    """All findings on a table's header and rejected rows, after it was read."""
    intake, table = opened.intake, opened.table
    drafts = [*opened.drafts, *opened.types.findings(table, facts), *unreadable(intake)]
    for each in opened.usable:
        drafts += headers.notes(table, each.feed)
    for reason in ("duplicate_item", "duplicate_event"):
        seen = duplicate_seen(intake.connection, table, reason)
        if seen is not None:
            intake.seen[reason, ""] = seen
    drafts += rejected_rows(intake, facts, opened.contract.limits.rejected_share)
    if not any(made.finding.severity == "error" for made in drafts):
        drafts += empty_feeds(facts, needed=table in {"items", "events"})
    complete = len(opened.usable) == len(intake.feeds) and not any(e.broken for e in intake.feeds)
    return TableReading(facts, drafts, complete)
