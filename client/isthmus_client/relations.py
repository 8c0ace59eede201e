"""The seam between any source of rows and a platform's columns: two relations in DuckDB.

Whoever fills these two gets the same catalogue and histories from `collect`:

- `events(user_id VARCHAR, item_id VARCHAR, time BIGINT, behaviour TINYINT, row BIGINT)`
- `items(item_id VARCHAR, text VARCHAR, category VARCHAR, price FLOAT)`

`time` is in Unix seconds, `row` the original order, `behaviour` a code of `isthmus.behaviours`.
Rows are numbered, joined and sorted inside DuckDB; Python sees arrays only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from isthmus.errors import DataInvalidError
from isthmus_client.catalogue import Catalogue
from isthmus_client.histories import Histories

_ITEM_ROWS = """
    CREATE TEMP TABLE item_rows AS
    SELECT item_id, text, coalesce(category, '') AS category,
        coalesce(price, 'nan'::FLOAT)::FLOAT AS price,
        (row_number() OVER (ORDER BY item_id) - 1)::INTEGER AS item
    FROM items
"""
_USER_COUNTS = """
    CREATE TEMP TABLE user_counts AS
    SELECT user_id, count(*) AS events FROM events GROUP BY user_id
"""
_USER_ROWS = """
    CREATE TEMP TABLE user_rows AS
    SELECT user_id, (row_number() OVER (ORDER BY user_id) - 1)::INTEGER AS user_row
    FROM user_counts WHERE events > 1
"""
_SORTED_EVENTS = """
    SELECT user_row, item, behaviour::TINYINT AS behaviour, time
    FROM events JOIN item_rows USING (item_id) JOIN user_rows USING (user_id)
    ORDER BY user_row, time, row
"""


@dataclass(frozen=True)
class PlatformTables:
    """What a platform's two tables hold, and what a person should know about them.

    Attributes:
        warnings: findings that did not stop the reading, one line each.
    """

    catalogue: Catalogue
    histories: Histories
    warnings: tuple[str, ...] = ()


def connect() -> duckdb.DuckDBPyConnection:
    """A private in-memory database that fetches no extension and thinks in UTC."""
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection


def collect(connection: duckdb.DuckDBPyConnection, *, name: str, timed: bool) -> PlatformTables:
    """The catalogue and histories of the relations `events` and `items`.

    Items are sorted by id, users by id, and a user's events by time and then by row. Users with a
    single event are dropped with a warning: there is nothing to predict from.

    Args:
        connection: holds the two relations; every event's item is in `items`.
        name: of the platform or file, for messages.
        timed: whether `time` is real; if not, the order of rows is the order.

    Raises:
        DataInvalidError: no user has two events.
    """
    connection.execute(_ITEM_ROWS)
    connection.execute(_USER_COUNTS)
    connection.execute(_USER_ROWS)
    catalogue = _catalogue(connection)
    histories = _histories(connection, timed=timed)
    (users,) = _one(connection, "SELECT count(*) FROM user_counts")
    if not histories.users:
        raise DataInvalidError(
            f"{name}: each of the {users} users has a single event",
            hint="a history needs at least two events; check that user_id names the person, "
            "not the order or the session",
        )
    return PlatformTables(catalogue, histories, _warnings(name, users, histories.users))


def _warnings(name: str, users: int, kept: int) -> tuple[str, ...]:
    if users == kept:
        return ()
    return (f"{name}: {users - kept} of {users} users have a single event and were left out",)


def _catalogue(connection: duckdb.DuckDBPyConnection) -> Catalogue:
    columns = connection.execute("SELECT * FROM item_rows ORDER BY item").fetchnumpy()
    return Catalogue(
        item_ids=tuple(columns["item_id"].tolist()),
        texts=tuple(columns["text"].tolist()),
        categories=tuple(columns["category"].tolist()),
        prices=_plain(columns["price"], np.float32),
    )


def _histories(connection: duckdb.DuckDBPyConnection, *, timed: bool) -> Histories:
    ids = connection.execute("SELECT user_id FROM user_rows ORDER BY user_row").fetchnumpy()
    columns = connection.execute(_SORTED_EVENTS).fetchnumpy()
    user_ids = tuple(ids["user_id"].tolist())
    counts = np.bincount(_plain(columns["user_row"], np.int64), minlength=len(user_ids))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    times = _plain(columns["time"], np.int64) if timed else _positions(offsets)
    return Histories(
        user_ids=user_ids,
        offsets=offsets,
        items=_plain(columns["item"], np.int32),
        behaviours=_plain(columns["behaviour"], np.int8),
        times=times,
        timed=timed,
    )


def _positions(offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A counter that starts at 0 with each user. (events,)"""
    return np.arange(offsets[-1], dtype=np.int64) - np.repeat(offsets[:-1], np.diff(offsets))


def _plain(column: Any, kind: Any) -> npt.NDArray[Any]:
    """A DuckDB column without its mask; the relations hold no NULL in it."""
    return np.ascontiguousarray(np.ma.getdata(column), dtype=kind)


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """The single row of an aggregate."""
    row: tuple[Any, ...] = connection.execute(query).fetchall()[0]
    return row
