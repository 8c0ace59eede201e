"""An open ledger file as a chain of rows: reading checks them, writing adds one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from isthmus.errors import LedgerError
from isthmus_client.ledger.decisions import Decision, Draft
from isthmus_client.ledger.rows import Row, altered, sealed, unsealed
from isthmus_client.ledger.state import State
from isthmus_client.ledger.store import Store


class Chain:
    """The rows of a file, checked from the first to the last when it is opened.

    Args:
        path: an existing ledger.
        read_only: only look.
        patience: seconds to wait for another process that writes.
        clock: Unix seconds, for new rows.

    Guarantees:
        - A row that was added is on the disk before `add` returns; a row that could not be written
          is not there.
        - What `add` decides on are all rows that any process or thread wrote before.
        - A row that was changed, dropped, added by others or moved is refused, by its number.

    Raises:
        DataMissingError: there is no file.
        LedgerError: a row was altered, or the file is no ledger or cannot be opened.
    """

    def __init__(
        self, path: Path, *, read_only: bool, patience: float, clock: Callable[[], float]
    ) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.RLock()
        self._state = State()
        self._store = Store(path, read_only=read_only, patience=patience)
        try:
            self._catch_up()
        except BaseException:
            self._store.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._store.close()

    @contextmanager
    def current(self) -> Iterator[State]:
        """All rows up to now, for as long as the context is open in this process.

        Raises:
            LedgerError: the file cannot be read or was altered.
        """
        with self._lock:
            self._catch_up()
            yield self._state

    def add(self, decide: Decision) -> str:
        """Add the row that is decided on, if any; the head afterwards.

        To decide may take seconds the first time an account is seen, so it is done once before
        other processes are held up; what counts is what is decided once they are.

        Raises:
            LedgerError: the row could not be written.
        """
        with self._lock:
            self._catch_up()
            if decide(self._state) is None:
                return self._state.head
            with self._store.writing():
                self._catch_up()
                draft = decide(self._state)
                if draft is None:
                    return self._state.head
                row = self._placed(draft)
                body, digest = sealed(row)
                self._store.append(row.number, body, digest)
            self._state.take(row, digest)
            return digest

    def rows(self) -> list[tuple[Row, str, str]]:
        """All rows, read and checked again, each with its line and hash.

        Raises:
            LedgerError: one was altered, or rows known here are gone.
        """
        with self._lock:
            fresh = State()
            found = list(_read(self._store, fresh))
            if self._state.head not in fresh.hashes:
                raise _rolled_back(self._path, self._state.number)
            return found

    def _catch_up(self) -> None:
        """Take the rows that other processes wrote; make sure that those known are still there."""
        known = self._state.number
        if known and self._store.hash_at(known) != self._state.head:
            raise _rolled_back(self._path, known)
        for _ in _read(self._store, self._state):
            pass
        _ = self._state.limit  # there is a first row

    def _placed(self, draft: Draft) -> Row:
        """The next row."""
        number, previous = self._state.number + 1, self._state.head
        try:
            return draft(number=number, previous=previous, time=float(self._clock()))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise LedgerError(
                f"no row can say {where} = {first['input']!r}: {first['msg']}",
                hint="hashes have 64 hexadecimal digits, names 1 to 200 letters",
            ) from error


def _read(store: Store, state: State) -> Iterator[tuple[Row, str, str]]:
    """Check and take all rows after the state's; each with its line and hash."""
    for number, body, stored in store.after(state.number):
        expected = state.number + 1
        if number != expected:
            raise altered(expected, "it is not there")
        row = unsealed(number, body, stored, previous=state.head)
        state.take(row, stored)
        yield row, body, stored


def _rolled_back(path: Path, number: int) -> LedgerError:
    return LedgerError(
        f"the ledger {path} was rolled back: row {number}, which was there, is gone or another",
        hint="stop all runs and put the newest copy back: what was spent since is spent twice "
        "otherwise",
    )
