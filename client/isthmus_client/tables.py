"""A platform's `events` and `items` tables, from two files to a catalogue and histories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import duckdb

from isthmus.behaviours import BEHAVIOURS
from isthmus.errors import DataMissingError
from isthmus_client.relations import PlatformTables, collect, connect
from isthmus_client.table_checks import Finding, check_events, check_items, refuse
from isthmus_client.table_reading import Table, define_events, define_items, open_table

EVENT_COLUMNS: Final = ("user_id", "item_id", "timestamp", "behaviour")
ITEM_COLUMNS: Final = ("item_id", "title", "text", "description", "category", "brand", "price")

_CHECKED = """
    CREATE TEMP VIEW items AS SELECT item_id, text, category, price FROM raw_items;
    CREATE TEMP VIEW events AS
    SELECT user_id, item_id, coalesce(time, 0) AS time, behaviour, row FROM raw_events;
"""
_CHECKED_UNTIMED = _CHECKED.replace("coalesce(time, 0)", "0")


@dataclass(frozen=True)
class TableOptions:
    """Where a platform's two tables are, and how its words map to ours.

    Attributes:
        events: CSV or Parquet file, one row an event: user_id, item_id, timestamp, behaviour.
        items: CSV or Parquet file, one row an item: item_id, title or text, and where there are
            any description, category, brand, price.
        event_columns: {our name: their name}; what is not named is looked up by our name.
        item_columns: the same for the items table.
        behaviours: {their word: one of `isthmus.behaviours.BEHAVIOURS`}; ours need no entry.
        default_behaviour: of every event where the table has no such column.
        timed: false where events have no times: the order of a user's rows is then the order.
        timestamp_unit: of numeric timestamps.
    """

    events: Path
    items: Path
    event_columns: Mapping[str, str] = field(default_factory=dict)
    item_columns: Mapping[str, str] = field(default_factory=dict)
    behaviours: Mapping[str, str] = field(default_factory=dict)
    default_behaviour: str = "purchase"
    timed: bool = True
    timestamp_unit: Literal["s", "ms"] = "s"


def read_tables(options: TableOptions) -> PlatformTables:
    """A platform's catalogue and histories from its two files.

    Times without a zone are UTC; parts of a second are dropped. Columns that we do not know are
    ignored. Users with a single event are dropped with a warning.

    Raises:
        DataMissingError: a file is not there.
        DataInvalidError: every finding in both tables at once, each with its count, its first row
            and what to do: a missing column, an unparsable time, an unknown item or behaviour, a
            duplicate item, an item without text, an empty table, only single-event users.
    """
    _require_files(options)
    with connect() as connection:
        events = open_table(connection, options.events, options.event_columns, EVENT_COLUMNS)
        items = open_table(connection, options.items, options.item_columns, ITEM_COLUMNS)
        columns = [*_event_columns(events, options), *_item_columns(items, options)]
        refuse([*columns, *_behaviour_options(options)])
        _define(connection, events, items, options)
        refuse(
            [
                *check_items(connection, options.items.name),
                *check_events(connection, options.events.name, timed=options.timed),
            ]
        )
        connection.execute(_CHECKED if options.timed else _CHECKED_UNTIMED)
        return collect(connection, name=options.events.name, timed=options.timed)


def _define(
    connection: duckdb.DuckDBPyConnection, events: Table, items: Table, options: TableOptions
) -> None:
    words = {**{word: word for word in BEHAVIOURS}, **options.behaviours}
    define_items(items)
    define_events(
        connection,
        events,
        words,
        default=options.default_behaviour,
        unit=options.timestamp_unit,
    )


def _require_files(options: TableOptions) -> None:
    missing = [str(path) for path in (options.events, options.items) if not path.is_file()]
    if missing:
        raise DataMissingError(
            f"not there: {', '.join(missing)}",
            hint="paths in a scenario file are relative to that file",
        )


def _event_columns(table: Table, options: TableOptions) -> list[Finding]:
    needed = ["user_id", "item_id", *(["timestamp"] if options.timed else [])]
    return _columns(table, needed, options.event_columns, EVENT_COLUMNS, "event_columns")


def _item_columns(table: Table, options: TableOptions) -> list[Finding]:
    findings = _columns(table, ["item_id"], options.item_columns, ITEM_COLUMNS, "item_columns")
    if not table.names.keys() & {"title", "text"}:
        findings.append(_missing(table, "title or text", "item_columns = { title = 'yours' }"))
    return findings


def _behaviour_options(options: TableOptions) -> list[Finding]:
    """Behaviours in the options that are none of ours."""
    given = {*options.behaviours.values(), options.default_behaviour}
    return [
        Finding(
            options.events.name,
            f"the options name the behaviour {word!r}",
            f"Our behaviours are {', '.join(BEHAVIOURS)}.",
        )
        for word in sorted(given - set(BEHAVIOURS))
    ]


def _columns(
    table: Table,
    needed: list[str],
    mapping: Mapping[str, str],
    known: tuple[str, ...],
    option: str,
) -> list[Finding]:
    """Columns that are needed or named by the mapping but are not there; mistaken mappings."""
    asked = [*needed, *(name for name in mapping if name in known and name not in needed)]
    findings = [
        _missing(table, mapping.get(name, name), f"{option} = {{ {name} = 'yours' }}")
        for name in asked
        if name not in table.names
    ]
    return findings + [
        Finding(table.path.name, f"{option} names {name!r}", f"Our columns are {', '.join(known)}.")
        for name in mapping
        if name not in known
    ]


def _missing(table: Table, column: str, example: str) -> Finding:
    has = ", ".join(table.has)
    return Finding(
        table.path.name, f"there is no column {column} (it has {has})", f"Map it with {example}."
    )
