"""PostgreSQL and MySQL: one read-only transaction, its rows streamed as Arrow tables.

PostgreSQL is read by ADBC, MySQL and MariaDB by PyMySQL; SQLAlchemy reads their URLs. They are
imported only where such a source is named, and come with the extra `sources`.

Guarantees:
    - Each transaction is declared read-only before the query: the server refuses whatever writes.
    - Neither a password nor a driver's own message is in an error or its chain.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from isthmus.errors import DataInvalidError, IsthmusError, NotInstalledError
from isthmus_client.contract.model import Table
from isthmus_client.feeds.credentials import Password
from isthmus_client.feeds.database_faults import failed, postgres_failed, unreachable
from isthmus_client.feeds.sql import identifier, relation, selection
from isthmus_client.feeds.table_feed import Reader

_CONNECT: Final = 10  # seconds until a server that does not answer is given up
_LOCK: Final = 30  # seconds to wait for somebody else's lock
_ROWS: Final = 16_384  # of MySQL that are held as Python values at a time
_BEGIN: Final = (
    "SET time_zone = '+00:00'",
    f"SET innodb_lock_wait_timeout = {_LOCK}",
    f"SET lock_wait_timeout = {_LOCK}",
    "SET SESSION TRANSACTION READ ONLY",
    "START TRANSACTION READ ONLY",
)
_PORTS: Final = {"postgresql": 5432, "mysql": 3306}

# Codes of MySQL's protocol for types of columns; all others become text.
_INTEGERS: Final = frozenset({1, 2, 3, 8, 9, 13})
_FLOATS: Final = frozenset({4, 5})
_TIMESTAMP, _DATE, _DATETIME, _BIT = 7, 10, 12, 16


def open_database(scheme: str, table: Table, password: Password) -> Reader:
    """What reads the table or query.

    Args:
        scheme: "postgresql" or "mysql".
        table: with the URL.
        password: of the user in the URL.

    Raises:
        DataInvalidError: the URL or the query is not well formed.
        NotInstalledError: the extra `sources` is not installed.
    """
    try:
        from sqlalchemy.engine import make_url  # noqa: PLC0415 - only where a database is read
        from sqlalchemy.exc import ArgumentError  # noqa: PLC0415 - the same
    except ImportError:
        raise _not_installed() from None
    try:
        url = make_url(table.source)
    except (ArgumentError, ValueError):
        url = None  # the error would repeat it
    if url is None:
        raise DataInvalidError(
            f"the {scheme} URL is not well formed",
            hint=f"write it as {scheme}://user@host:{_PORTS[scheme]}/database",
        )
    if url.password is not None:
        raise DataInvalidError(
            f"the {scheme} URL holds a password",
            hint="take it out: `credentials` names a file for it",
        )
    place = f"{scheme} at {url.host or 'this machine'}:{url.port or _PORTS[scheme]}"
    make = _Postgres if scheme == "postgresql" else _MySQL
    return make(url, table, password, place)


def _not_installed() -> NotInstalledError:
    return NotInstalledError(
        "reading a database needs packages that are not installed",
        hint='pip install "isthmus[sources]"',
    )


class _Postgres:
    """PostgreSQL by ADBC, which copies rows in the server's binary form."""

    notes = ()

    def __init__(self, url: Any, table: Table, password: Password, place: str) -> None:
        self._url = url
        self._password = password
        self._source = relation(table, '"')
        self._place = place

    def columns(self) -> tuple[str, ...]:
        """As `Reader.columns` says."""
        with self._cursor() as cursor:
            return tuple(cursor.adbc_execute_schema(selection(["*"], self._source)).names)

    def tables(self, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:  # noqa: ARG002 - the driver cuts by bytes
        """As `Reader.tables` says; types beyond numbers, times and text become text."""
        with self._cursor() as cursor:
            schema = cursor.adbc_execute_schema(selection(["*"], self._source))
            shown = [_postgres_column(schema.field(name)) for name in columns]
            cursor.execute(selection(shown, self._source))
            for batch in cursor.fetch_record_batch():
                yield pa.Table.from_batches([batch])

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        """A cursor in a read-only transaction."""
        try:
            import adbc_driver_manager  # noqa: PLC0415 - only where such a database is read
            from adbc_driver_postgresql import dbapi  # noqa: PLC0415 - the same
        except ImportError:
            raise _not_installed() from None
        try:
            connection = dbapi.connect(self._conninfo())
        except adbc_driver_manager.Error as error:
            raise unreachable(self._place, str(error)) from None
        with closing(connection), closing(connection.cursor()) as cursor:
            try:
                cursor.execute("SET TRANSACTION READ ONLY")
                cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK}s'")
                yield cursor
            except (adbc_driver_manager.Error, pa.ArrowException, OSError) as error:
                raise postgres_failed(self._place, error) from None

    def _conninfo(self) -> str:
        """For libpq, which looks into `~/.pgpass` itself where no password is given."""
        url = self._url
        values = {
            "connect_timeout": _CONNECT,
            "application_name": "isthmus",
            **url.query,
            "host": url.host,
            "port": url.port,
            "user": url.username,
            "dbname": url.database,
            "password": self._password.value,
        }
        return " ".join(
            f"{key}={_conninfo_value(value)}" for key, value in values.items() if value is not None
        )


def _conninfo_value(value: object) -> str:
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _postgres_column(field: pa.Field) -> str:
    """The column as it is, or as text where Arrow has no type of its own for it."""
    column = identifier(field.name, '"')
    usual = (
        pa.types.is_string(field.type)
        or pa.types.is_integer(field.type)
        or pa.types.is_floating(field.type)
        or pa.types.is_boolean(field.type)
        or pa.types.is_date(field.type)
        or pa.types.is_timestamp(field.type)
    )
    return column if usual else f"{column}::text AS {column}"


class _MySQL:
    """MySQL or MariaDB by PyMySQL, whose cursor leaves the rows at the server until wanted."""

    def __init__(self, url: Any, table: Table, password: Password, place: str) -> None:
        self._url = url.set(drivername="mysql+pymysql", password=password.value)
        self._password = password
        self._table = table
        self._source = relation(table, "`")
        self._place = place
        self._dates_of_zero = 0

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """Of "zero_dates", where there were any."""
        if not self._dates_of_zero:
            return ()
        return (("zero_dates", f"{self._dates_of_zero} dates of zero are taken as missing"),)

    def columns(self) -> tuple[str, ...]:
        """As `Reader.columns` says."""
        with self._cursor() as cursor:
            cursor.execute(selection(["*"], self._source) + " LIMIT 0")
            return tuple(name for name, *_ in cursor.description)

    def tables(self, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        """As `Reader.tables` says.

        DECIMAL is text, exactly as stored; TIMESTAMP is in UTC; binary values are hexadecimal.
        A query is sent as it is, since MySQL forgets the order of a query within another. Who
        stops early waits until the driver has thrown away the rows that are left: MySQL's protocol
        knows no other end.
        """
        self._dates_of_zero = 0
        shown = [identifier(name, "`") for name in columns]
        with self._cursor() as cursor:
            cursor.execute(selection(shown, self._source) if self._table.table else self._query())
            while part := cursor.fetchmany(min(rows, _ROWS)):
                yield self._as_table(cursor.description, part)

    def _as_table(self, description: Sequence[Any], rows: Sequence[Any]) -> pa.Table:
        columns = zip(*rows, strict=True)
        return pa.table(
            {
                name: self._array(name, int(code), values)
                for (name, code, *_), values in zip(description, columns, strict=True)
            }
        )

    def _query(self) -> str:
        return self._source.removeprefix("(\n").removesuffix("\n) AS source")

    def _array(self, name: str, code: int, values: Sequence[Any]) -> pa.Array:
        try:
            if code in _INTEGERS:
                return pa.array(values, pa.int64())
            if code in _FLOATS:
                return pa.array(values, pa.float64())
            if code in {_TIMESTAMP, _DATETIME}:
                zone = "UTC" if code == _TIMESTAMP else None
                return pa.array(self._times(values, dt.datetime), pa.timestamp("us", zone))
            if code == _DATE:
                return pa.array(self._times(values, dt.date), pa.date32())
            as_text = _bits if code == _BIT else _text
            return pa.array([as_text(value) for value in values], pa.string())
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            raise DataInvalidError(
                f"{self._place}: column {name!r} holds values that fit no type of ours",
                hint="name a query that makes them text: CAST(... AS CHAR)",
            ) from None

    def _times(self, values: Sequence[Any], kind: type) -> list[Any]:
        """The values; the driver gives what is no date, such as 0000-00-00, as text."""
        found = [value if isinstance(value, kind) else None for value in values]
        self._dates_of_zero += found.count(None) - values.count(None)
        return found

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        """A cursor in a read-only transaction that leaves the rows at the server."""
        try:
            import pymysql  # noqa: PLC0415 - only where such a database is read
            from pymysql.cursors import SSCursor  # noqa: PLC0415 - the same
        except ImportError:
            raise _not_installed() from None
        try:
            connection = pymysql.connect(**self._arguments(), cursorclass=SSCursor)
        except (pymysql.Error, OSError) as error:
            raise unreachable(self._place, str(error)) from None
        except (TypeError, ValueError, AttributeError, RuntimeError):  # the last: not supported
            raise DataInvalidError(
                f"{self._place} cannot be connected to with the parameters of the source's URL",
                hint="the driver does not know one of them, or not its value: see PyMySQL's list",
            ) from None
        try:
            with closing(connection), connection.cursor() as cursor:
                for statement in _BEGIN:
                    cursor.execute(statement)
                yield cursor
        except (pymysql.Error, OSError) as error:
            raise _mysql_failed(self._place, error) from None

    def _arguments(self) -> dict[str, Any]:
        """Of the driver; `~/.my.cnf` may know a password where none is given."""
        _, arguments = self._url.get_dialect()().create_connect_args(self._url)
        own = {} if self._password.value else {"read_default_file": "~/.my.cnf"}
        return {"connect_timeout": _CONNECT, "charset": "utf8mb4", **own, **arguments}


def _mysql_failed(place: str, error: Exception) -> IsthmusError:
    code, said = (*error.args, "", "")[:2]
    return failed(place, str(code), str(said))


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _bits(value: bytes | None) -> str | None:
    return None if value is None else str(int.from_bytes(value, "big"))
