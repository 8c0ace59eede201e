"""The check's own database: in memory alone, so that no row ever lies on a disk in the clear.

DuckDB could encrypt what it spills, but only with an extension that it fetches over the network
(docs/readiness.md).

Guarantees:
    Nothing is spilled: DuckDB has no folder for temporary files, and fails instead.
    An error's text never repeats a value of a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import duckdb

from isthmus.errors import DataInvalidError
from isthmus_client.relations import connect

# User ids, unknown items' ids and orders are 64-bit hashes: rows stay small, joins fast. With ten
# million ids two share a hash with probability 3e-6.
_TABLES: Final = """
CREATE TEMP TABLE event_rows (
    feed SMALLINT, line BIGINT, user_id UBIGINT, item_id UBIGINT, item INTEGER, time BIGINT,
    behaviour TINYINT, surface TINYINT, price FLOAT, quantity FLOAT, rating FLOAT,
    order_id UBIGINT, reason VARCHAR, "column" VARCHAR);
CREATE TEMP TABLE item_rows_read (
    feed SMALLINT, line BIGINT, item_id VARCHAR, item INTEGER, characters INTEGER, price FLOAT,
    image VARCHAR, reason VARCHAR, "column" VARCHAR);
CREATE TEMP TABLE user_ids (user_id UBIGINT, raw VARCHAR, feed SMALLINT);
CREATE TEMP TABLE stray_items (item_id UBIGINT, raw VARCHAR);
"""


@contextmanager
def open_database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the check's empty tables; whatever DuckDB complains about is told as ours.

    Raises:
        DataInvalidError: the tables do not fit into memory, or DuckDB failed in another way.
    """
    with connect() as connection:
        connection.execute("SET temp_directory = ''")
        for statement in _TABLES.split(";")[:-1]:
            connection.execute(statement)
        try:
            yield connection
        except duckdb.OutOfMemoryException:
            raise DataInvalidError(
                "the check needs more memory than there is",
                hint="some 200 bytes an event are needed; check fewer files at a time",
            ) from None  # the cause could quote a row
        except duckdb.Error as error:
            raise DataInvalidError(
                f"the check failed inside DuckDB ({type(error).__name__})",
                hint="report it, with the kinds of your columns; no row is quoted here on purpose",
            ) from None


def rows(
    connection: duckdb.DuckDBPyConnection, query: str, *parameters: Any
) -> list[tuple[Any, ...]]:
    """All rows of a query; `?` stands for the parameters."""
    found: list[tuple[Any, ...]] = connection.execute(query, list(parameters)).fetchall()
    return found


def row(connection: duckdb.DuckDBPyConnection, query: str, *parameters: Any) -> tuple[Any, ...]:
    """The single row of an aggregate."""
    return rows(connection, query, *parameters)[0]


def quoted(name: str) -> str:
    """A column's name as an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'
