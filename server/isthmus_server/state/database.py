"""A database, and transactions in it: a committed one survives whatever ends the process.

SQLite: write-ahead log, `synchronous=FULL`, one writer at a time, who waits for the other.
PostgreSQL: a row that is read in order to be changed is locked first.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from isthmus.errors import StateError
from isthmus_server.state.address import parse_address, place_of
from isthmus_server.state.column_types import to_json
from isthmus_server.state.faults import fault

WAIT_S: Final = 15  # for another process's transaction
_CONNECT_S: Final = 10
_PAUSE_S: Final = 0.01
_WRITES: Final = "isthmus_writes"


@dataclass(frozen=True)
class Database:
    """An engine, and what messages call it."""

    engine: Engine
    place: str

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view of everything.

        Raises:
            StateError: the database cannot be reached or read.
        """
        level = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self._told(), self.engine.connect() as plain:
            connection = plain.execution_options(**level)
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """All or nothing; on the disk when it ends.

        Raises:
            StateError: the database cannot be reached or written; nothing was changed, unless it
                went away during the commit itself.
        """
        with self._told(), self.engine.connect() as plain:
            connection = plain.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OverflowError) as error:
            raise fault(self.place, error) from None

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()


def connect(url_or_path: str | Path) -> Database:
    """A database that is there, whatever is in it.

    Raises:
        StateError: it is no database of a kind that we know, or its folder is not there.
    """
    url = parse_address(url_or_path)
    engine = _sqlite(url) if url.drivername == "sqlite" else _postgresql(url)
    return Database(engine, place_of(url))


def _sqlite(url: URL) -> Engine:
    _make_file(Path(str(url.database)))
    engine = create_engine(url, connect_args={"timeout": WAIT_S}, json_serializer=to_json)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_file(path: Path) -> None:
    """An empty file that only its owner can read; its log takes the same mode."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StateError(
            f"the state cannot be opened: {path}: {error.strerror}",
            hint="`isthmus server init` makes a server's folder; name it with --home",
        ) from None


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we begin transactions ourselves
    cursor = connection.cursor()
    try:
        _write_ahead(cursor)
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
    finally:
        cursor.close()


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Turn the write-ahead log on. SQLite waits for nobody here, so that we do."""
    until = time.monotonic() + WAIT_S
    while not _write_ahead_once(cursor, last=time.monotonic() > until):
        time.sleep(_PAUSE_S)


def _write_ahead_once(cursor: sqlite3.Cursor, *, last: bool) -> bool:
    """Whether it is on now; where another process is about it, an error the last time."""
    try:
        (mode,) = cursor.execute("PRAGMA journal_mode").fetchone()
        if mode != "wal":
            cursor.execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError as error:
        if last or error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes its place at once: from a reader it could not become one without a race."""
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql(url: URL) -> Engine:
    engine = create_engine(
        url,
        connect_args={"connect_timeout": _CONNECT_S, "application_name": "isthmus"},
        json_serializer=to_json,
        pool_pre_ping=True,  # a server that was started anew is found again
        hide_parameters=True,
    )
    event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    """A process that hangs in a transaction holds nobody up for ever."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{WAIT_S}s'")
        cursor.execute("SET idle_in_transaction_session_timeout = '60s'")
    connection.commit()
