"""A platform's feeds straight into a catalogue and histories, in memory and without keys.

For the trial and the simulation, whose data is public or stays in this process. Rows are judged by
the same rules as in `isthmus client check` and `ingest`, and `relations.collect` builds the rest.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import duckdb
import pyarrow as pa

from isthmus.errors import FeedRefusedError
from isthmus_client.contract.model import Contract
from isthmus_client.feeds import Feed, open_feeds
from isthmus_client.relations import PlatformTables, collect, connect
from isthmus_client.rows import (
    COLUMNS,
    EventJudge,
    ItemJudge,
    mark_duplicate_events,
    mark_duplicate_items,
    require_columns,
)
from isthmus_client.rows.duplicates import EVENT_KEY, compares_events
from isthmus_client.rows.tally import Tally

NO_SPILL: Final = "SET temp_directory = ''"  # DuckDB would write what is too large in the clear
_ITEM_COLUMNS: Final = ("item_id", "text", "category", "price", "reason", "column", "line")
_EVENT_COLUMNS: Final = ("user_id", "item_id", "time", "behaviour", "line")
_COMPARED_COLUMNS: Final = (*EVENT_KEY, "reason", "column", "line")

_KNOWN: Final = """
    CREATE TEMP TABLE known_items AS
    SELECT item_id, (row_number() OVER (ORDER BY item_id) - 1)::INTEGER AS item
    FROM judged_items
"""
_ITEMS: Final = """
    CREATE TEMP VIEW items AS
    SELECT item_id, text, category, price FROM judged_items
"""
_EVENTS: Final = """
    CREATE TEMP VIEW events AS
    SELECT user_id, item_id, time, behaviour, feed::BIGINT * (1::BIGINT << 40) + line AS row
    FROM judged_events
"""


def read_tables(contract: Contract) -> PlatformTables:
    """What `read_platform` makes of the feeds that the contract names.

    Raises:
        DataMissingError, DataInvalidError, NotInstalledError: a source cannot be read.
        FeedRefusedError: as `read_platform` says.
    """
    items = open_feeds(contract.items, contract.folder, COLUMNS["items"].all)
    events = open_feeds(contract.events, contract.folder, COLUMNS["events"].all)
    return read_platform(contract, events, items)


def read_platform(
    contract: Contract, events: Sequence[Feed], items: Sequence[Feed], *, now: int | None = None
) -> PlatformTables:
    """The catalogue and histories of a platform's feeds.

    Rows that break a rule are left out, with a warning for each reason; a feed that has more of
    them than `limits.rejected_share` is refused, and so is an empty table.

    Args:
        contract: says what the columns, words and times mean.
        events: in order; a row's place decides where times are equal, or none are known.
        items: of an item that comes twice the first row counts.
        now: Unix seconds; None = the clock's.

    Raises:
        DataInvalidError: a feed cannot be read on, or no user has two events.
        FeedRefusedError: lists the findings of every feed that is not fit for use.

    Guarantees:
        No value of a row is in a message, and nothing is written to a disk.
    """
    _refuse(
        [*_column_faults(contract, "items", items), *_column_faults(contract, "events", events)]
    )
    moment = int(time.time()) if now is None else now
    with connect() as connection:
        connection.execute(NO_SPILL)
        tallies = _items(connection, contract, items)
        connection.execute(_KNOWN)
        tallies += _events(connection, contract, events, moment)
        _refuse(_findings(contract, tallies))
        connection.execute(_ITEMS)
        connection.execute(_EVENTS)
        name = events[0].name if len(events) == 1 else contract.platform.name
        tables = collect(connection, name=name, timed=contract.events.timed)
    told = tuple(f"{tally.name}: left out: {line}" for tally in tallies for line in tally.lines())
    return replace(tables, warnings=(*told, *tables.warnings))


def _items(
    connection: duckdb.DuckDBPyConnection, contract: Contract, feeds: Sequence[Feed]
) -> list[Tally]:
    """Make `judged_items`, without the rows that are out."""
    tallies, parts = [], []
    for number, feed in enumerate(feeds):
        judge = ItemJudge(connection, contract, feed.columns)
        tallies.append(tally := Tally("items", feed.name))
        for batch in feed.batches(judge.columns, tally.malformed):
            accepted = tally.take(judge.judge(batch)).select(_ITEM_COLUMNS)
            parts.append(_of_feed(accepted, number))
    rows = _together(parts, ItemJudge.SCHEMA, _ITEM_COLUMNS)
    connection.from_arrow(rows).create("judged_items")
    mark_duplicate_items(connection, "judged_items")
    _count_marked(connection, "judged_items", tallies)
    connection.execute("DELETE FROM judged_items WHERE reason IS NOT NULL")
    return tallies


def _events(
    connection: duckdb.DuckDBPyConnection, contract: Contract, feeds: Sequence[Feed], now: int
) -> list[Tally]:
    """Make `judged_events`, without the rows that are out."""
    compared = compares_events(contract)
    columns = _COMPARED_COLUMNS if compared else _EVENT_COLUMNS
    tallies, parts = [], []
    for number, feed in enumerate(feeds):
        judge = EventJudge(connection, contract, feed.columns, now=now)
        tallies.append(tally := Tally("events", feed.name))
        for batch in feed.batches(judge.columns, tally.malformed):
            accepted = tally.take(judge.judge(batch)).select(columns)
            parts.append(_of_feed(accepted, number))
    rows = _together(parts, EventJudge.SCHEMA, columns)
    if not compared:  # then nothing is to be written into them, and they are not copied
        connection.register("judged_events", rows)
        return tallies
    connection.from_arrow(rows).create("judged_events")
    mark_duplicate_events(connection, contract, "judged_events")
    _count_marked(connection, "judged_events", tallies)
    connection.execute("DELETE FROM judged_events WHERE reason IS NOT NULL")
    return tallies


def _of_feed(judged: pa.Table, number: int) -> pa.Table:
    """The rows with the place of their feed."""
    return judged.append_column("feed", pa.repeat(pa.scalar(number, pa.int32()), judged.num_rows))


def _together(parts: Sequence[pa.Table], schema: pa.Schema, columns: Sequence[str]) -> pa.Table:
    """All parts as one; with no row where there are none."""
    return pa.concat_tables([_of_feed(schema.empty_table().select(columns), 0), *parts])


def _count_marked(
    connection: duckdb.DuckDBPyConnection, table: str, tallies: Sequence[Tally]
) -> None:
    """Put the duplicates into their feeds' counts."""
    query = f"""
        SELECT feed, reason, count(*), min(line) FROM {table}
        WHERE reason IS NOT NULL GROUP BY feed, reason ORDER BY feed
    """  # noqa: S608 - a name of ours
    for feed, reason, count, first in connection.execute(query).fetchall():
        tallies[feed].reject(reason, count, first)


def _column_faults(contract: Contract, table: str, feeds: Sequence[Feed]) -> list[str]:
    return [
        f"{feed.name}: {fault.line()}"
        for feed in feeds
        for fault in require_columns(contract, table, feed.columns)
    ]


def _findings(contract: Contract, tallies: Sequence[Tally]) -> list[str]:
    """What makes the feeds unfit: an empty table, too many rows that are out, or all of them."""
    limit = contract.limits.rejected_share
    lines = [line for table in ("items", "events") for line in _empty(table, tallies)]
    for tally in tallies:
        if tally.beyond(limit):
            lines.append(f"{tally.name}: more than {limit:.2%} of {tally.read} rows are rejected")
            lines += [f"  {line}" for line in tally.lines()]
    return lines or _nothing_left([tally for tally in tallies if tally.table == "events"])


def _nothing_left(events: Sequence[Tally]) -> list[str]:
    """Told where all events are out for reasons that are no fault of theirs, as of age."""
    if any(tally.accepted for tally in events):
        return []
    lines = [f"{tally.name}: {line}" for tally in events for line in tally.lines()]
    return ["no event is left:", *(f"  {line}" for line in lines)]


def _empty(table: str, tallies: Sequence[Tally]) -> list[str]:
    """Told where none of a table's feeds has a row."""
    own = [tally for tally in tallies if tally.table == table]
    if any(tally.read for tally in own):
        return []
    return [f"{', '.join(tally.name for tally in own) or 'its source'}: has no {table}"]


def _refuse(findings: Sequence[str]) -> None:
    """Stop if there is any finding.

    Raises:
        FeedRefusedError: lists them all.
    """
    if findings:
        head = "the platform's feeds are not fit for use:"
        raise FeedRefusedError(
            "\n".join([head, *(f"  {line}" for line in findings)]),
            hint="correct the feeds or the contract and start again",
        )
