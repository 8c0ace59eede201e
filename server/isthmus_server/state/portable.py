"""A database's rows as JSON lines that any other database takes back.

Bytes and times say what they are: {"$bytes": base64}, {"$time": ISO 8601}; a column of JSON is
{"$json": value}. Tables are read as they are in the database, so that rows of an older schema can
be put back into tables of that schema, and brought up to date there.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import JSON, Connection, MetaData, Table, func, inspect, select, text

from isthmus.errors import StateError
from isthmus_server.state import tables
from isthmus_server.state.column_types import to_json

BEARERS: Final = {"platforms": ("session", "session_before")}
"""Columns that are not written down: who has their values can pass for a platform."""

_AT_ONCE: Final = 500  # rows of one statement


def table_names() -> tuple[str, ...]:
    """In an order in which rows can be put back: what is referred to comes first."""
    return tuple(table.name for table in tables.metadata.sorted_tables)


def lines_of(connection: Connection, name: str) -> Iterator[bytes]:
    """The rows of a table, one a line."""
    table = _reflected(connection, name)
    hidden = BEARERS.get(name, ())
    json_columns = {each.name for each in table.columns if isinstance(each.type, JSON)}
    rows = connection.execution_options(yield_per=_AT_ONCE).execute(select(table))
    for row in rows.mappings():
        plain = {
            key: {"$json": value} if key in json_columns else _plain(value)
            for key, value in row.items()
        }
        yield to_json(plain | dict.fromkeys(hidden)).encode() + b"\n"


def put_back(connection: Connection, name: str, lines: Iterable[bytes]) -> int:
    """Insert rows; how many.

    Raises:
        StateError: a line is no row of this table.
    """
    if not inspect(connection).has_table(name):
        raise StateError(f"the backup has rows of {name!r}, which is no table of its schema")
    table, count = _reflected(connection, name), 0
    for lot in _lots(lines):
        rows = [_row(line, table, connection.dialect.name) for line in lot]
        connection.execute(table.insert(), rows)
        count += len(rows)
    return count


def require_empty(connection: Connection, place: str) -> None:
    """Refuse a database that is in use.

    Raises:
        StateError: it holds a row.
    """
    for name in table_names():
        if inspect(connection).has_table(name):
            table = _reflected(connection, name)
            if connection.execute(select(func.count()).select_from(table)).scalar():
                raise StateError(
                    f"{place} holds rows of {name}; nothing was changed",
                    hint="restore into an empty database",
                )


def go_on_counting(connection: Connection) -> None:
    """New events are numbered after those that were put back."""
    if connection.dialect.name != "sqlite":
        numbers = "pg_get_serial_sequence('events', 'id')"
        last = "(SELECT coalesce(max(id), 0) + 1 FROM events)"
        connection.execute(text(f"SELECT setval({numbers}, {last}, false)"))


def _lots(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    lot: list[bytes] = []
    for line in lines:
        lot.append(line)
        if len(lot) == _AT_ONCE:
            yield lot
            lot = []
    if lot:
        yield lot


def _reflected(connection: Connection, name: str) -> Table:
    return Table(name, MetaData(), autoload_with=connection, resolve_fks=False)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return {"$time": moment.isoformat()}
    if isinstance(value, bytes | memoryview):
        return {"$bytes": base64.b64encode(value).decode()}
    return value


def _row(line: bytes, table: Table, dialect: str) -> dict[str, Any]:
    try:
        row = {key: _value(value, dialect) for key, value in json.loads(line).items()}
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise StateError(f"the backup has a line that is no row of {table.name}") from error
    if row.keys() != set(table.columns.keys()):
        raise StateError(f"the backup has a row of {table.name} with other columns")
    return row


def _value(value: Any, dialect: str) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "$json":
        return inner
    if kind == "$bytes":
        return base64.b64decode(inner, validate=True)
    if kind != "$time":
        raise ValueError(f"unknown kind of value {kind!r}")
    moment = datetime.fromisoformat(inner)
    return moment.astimezone(UTC).replace(tzinfo=None) if dialect == "sqlite" else moment
