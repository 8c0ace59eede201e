"""The ledger's file: SQLite, and what its failures mean. It knows rows as text only.

Write-ahead log with full synchronisation: a row is on the disk before `writing` returns. Triggers
forbid changing or deleting rows, so that only who means to do it does.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from isthmus.errors import DataMissingError, LedgerError

Stored = tuple[int, str, str]
"""A row's number, line and hash."""

_APPLICATION: Final = 0x49534C47  # "ISLG", in the file's header
_SCHEMA: Final = f"""
PRAGMA application_id = {_APPLICATION};
CREATE TABLE entries (
    number INTEGER PRIMARY KEY, body TEXT NOT NULL, hash TEXT NOT NULL UNIQUE
) STRICT;
CREATE TRIGGER no_change BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'a ledger is append-only'); END;
CREATE TRIGGER no_removal BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'a ledger is append-only'); END;
"""
_INSERT: Final = "INSERT INTO entries VALUES (?, ?, ?)"
_MEANINGS: Final = (
    (("SQLITE_BUSY", "SQLITE_LOCKED"), "another process holds it", "wait for that process to end"),
    (
        ("SQLITE_FULL", "SQLITE_IOERR"),
        "the disk is full or fails",
        "make room or mend the disk; what was not recorded was not charged and may not leave",
    ),
    (
        ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH"),
        "it cannot be opened for that",
        "check who may read and write the file and its folder",
    ),
    (
        ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_ERROR"),
        "it is damaged, or no ledger",
        "put the newest untouched copy back; never start a new ledger for the same users",
    ),
)


class Store:
    """An open ledger file.

    Args:
        path: an existing ledger.
        read_only: refuse to write; works on a read-only medium too.
        patience: seconds to wait for another process that writes.

    Raises:
        DataMissingError: there is no file.
        LedgerError: it is no ledger, or cannot be opened.
    """

    def __init__(self, path: Path, *, read_only: bool, patience: float) -> None:
        self.path = path
        if not path.is_file():
            raise missing(path)
        self._process = os.getpid()
        with self._explained():
            self._connection = _connected(_address(path, read_only=read_only), patience)
            try:
                self._configure(read_only=read_only)
            except sqlite3.Error:
                self._connection.close()
                raise
        self._identity = _identity(path)

    def _configure(self, *, read_only: bool) -> None:
        found = self._connection.execute("PRAGMA application_id").fetchone()[0]
        if found != _APPLICATION:
            raise sqlite3.DatabaseError("no ledger's application id")
        if read_only:
            self._connection.execute("PRAGMA query_only = ON")
        for name in ("synchronous = FULL", "fullfsync = ON", "trusted_schema = OFF"):
            self._connection.execute(f"PRAGMA {name}")

    def close(self) -> None:
        """Let go of the file."""
        with self._explained():
            self._connection.close()

    def after(self, number: int) -> list[Stored]:
        """All rows after the `number`-th, in order.

        Raises:
            LedgerError: the file cannot be read.
        """
        select = "SELECT number, body, hash FROM entries WHERE number > ? ORDER BY number"
        with self._explained():
            return list(self._connection.execute(select, (number,)))

    def hash_at(self, number: int) -> str | None:
        """The hash stored with a row, if there is such a row.

        Raises:
            LedgerError: the file cannot be read.
        """
        select = "SELECT hash FROM entries WHERE number = ?"
        with self._explained():
            found = self._connection.execute(select, (number,)).fetchone()
        return None if found is None else str(found[0])

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One process at a time in here; what it appended is on the disk afterwards, or nothing.

        Raises:
            LedgerError: the file cannot be written, or is another one than was opened.
        """
        with self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._require_same_file()
            yield
            with self._explained():
                self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                with suppress(sqlite3.Error):  # the first failure is the one to tell
                    self._connection.execute("ROLLBACK")

    def append(self, number: int, body: str, digest: str) -> None:
        """Add a row, inside `writing`.

        Raises:
            LedgerError: the file cannot be written.
        """
        with self._explained():
            self._connection.execute(_INSERT, (number, body, digest))

    def _require_same_file(self) -> None:
        """What is written to a file that was put aside would be lost."""
        if _identity(self.path) != self._identity:
            raise LedgerError(
                f"the ledger {self.path} was replaced while it was in use",
                hint="stop all runs, put the newest copy back and start them again",
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        if self._process != os.getpid():  # SQLite's locks do not survive a fork
            raise LedgerError(
                f"the ledger {self.path} was opened by another process",
                hint="open it again in this one",
            )
        with explained(self.path):
            yield


def create(path: Path, body: str, digest: str) -> None:
    """Make a ledger with its first row, whole or not at all; leave one that is there alone.

    Raises:
        LedgerError: the folder cannot be written, or holds the log of a ledger that is gone.
    """
    log = path.with_name(path.name + "-wal")
    if log.exists() and not path.exists():
        raise LedgerError(
            f"{log} belongs to a ledger that is no longer beside it",
            hint="put the ledger back; never start a new one for the same users",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".ledger-", dir=path.parent) as folder:
            fresh = Path(folder) / path.name
            os.close(os.open(fresh, os.O_CREAT | os.O_EXCL, 0o600))
            with explained(path):
                _fill(fresh, body, digest)
            with suppress(FileExistsError):  # another process was faster
                os.link(fresh, path)
            _sync(path.parent)
    except OSError as error:
        raise LedgerError(
            f"the ledger {path} cannot be made: {error.strerror}",
            hint="name another place, or check the folder's rights and free space",
        ) from error


def _fill(path: Path, body: str, digest: str) -> None:
    with closing(_connected(f"{path.absolute().as_uri()}?mode=rw", 0.0)) as connection:
        connection.executescript(_SCHEMA)
        connection.execute(_INSERT, (1, body, digest))
        connection.execute("PRAGMA journal_mode = WAL")


def _connected(address: str, patience: float) -> sqlite3.Connection:
    return sqlite3.connect(
        address, uri=True, timeout=patience, isolation_level=None, check_same_thread=False
    )


def _address(path: Path, *, read_only: bool) -> str:
    """SQLite reads a log beside a read-only file, but cannot make one there: it needs none then."""
    address = path.absolute().as_uri()
    if not read_only or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return f"{address}?mode=rw"
    has_log = path.with_name(path.name + "-wal").exists()
    return f"{address}?mode=ro" if has_log else f"{address}?mode=ro&immutable=1"


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _sync(folder: Path) -> None:
    """Make the new name itself survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """SQLite's failures as ours."""
    try:
        yield
    except sqlite3.ProgrammingError:  # ours: a closed ledger, for example
        raise
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorname", None) or "SQLITE_ERROR"
        why, hint = _meaning(code)
        raise LedgerError(f"the ledger {path}: {why} ({error})", hint=hint) from error


def _meaning(code: str) -> tuple[str, str]:
    for codes, why, hint in _MEANINGS:
        if code.startswith(codes):
            return why, hint
    return "it cannot be used", "check the file"


def missing(path: Path) -> DataMissingError:
    """There is no ledger."""
    return DataMissingError(
        f"there is no ledger at {path}",
        hint="name it with --ledger; the first private run makes it",
    )
