"""A table or query of a database as a feed: the number of a row in the answer is its line.

Guarantees:
    - An error that a feed of a database raises has no driver's error behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa

from isthmus.errors import IsthmusError
from isthmus_client.feeds.arrow import check_names, plain
from isthmus_client.feeds.batching import check_columns, in_batches, numbered
from isthmus_client.feeds.database_faults import alone
from isthmus_client.feeds.feed import BATCH_ROWS, OnMalformed
from isthmus_client.feeds.text_check import valid_text


class Reader(Protocol):
    """What a database must be able to do; each call is a read-only transaction of its own."""

    def columns(self) -> tuple[str, ...]:
        """Their names, in order."""
        ...

    def tables(self, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        """The rows with the named columns in that order, about `rows` at a time."""
        ...

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """What a person should know of what was read."""
        ...


class TableFeed:
    """A table, view or query.

    Args:
        name: what messages call it.
        reader: of the database.

    Raises:
        DataMissingError: it cannot be reached.
        DataInvalidError: there is no such table, the query fails, or a column's name is repeated.
    """

    def __init__(self, name: str, reader: Reader) -> None:
        self._name = name
        self._reader = reader
        self._columns = _columns(reader)
        check_names(name, self._columns)

    @property
    def name(self) -> str:
        """What it is called; nothing of how it is reached."""
        return self._name

    @property
    def columns(self) -> tuple[str, ...]:
        """Their names, in order."""
        return self._columns

    @property
    def fingerprint(self) -> None:
        """None: only reading all rows tells whether they changed."""
        return

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """Those of the reader."""
        return self._reader.notes

    def batches(
        self, columns: Sequence[str], on_malformed: OnMalformed, *, rows: int = BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """As `Feed.batches` says; text that is not UTF-8 is malformed.

        Raises:
            DataMissingError: the database cannot be reached any more.
            DataInvalidError: the query fails, or lacks a wanted column.
        """
        check_columns(self._name, self._columns, columns)
        return in_batches(self._tables(list(columns), on_malformed, rows), rows)

    def _tables(
        self, columns: list[str], on_malformed: OnMalformed, rows: int
    ) -> Iterator[pa.Table]:
        done = 0
        try:
            for table in self._reader.tables(columns, rows):
                lines = np.arange(done + 1, done + 1 + table.num_rows, dtype=np.int64)
                done += table.num_rows
                yield valid_text(numbered(plain(table).select(columns), lines), on_malformed)
        except IsthmusError as error:
            fault = alone(error)
        else:
            return
        raise fault


def _columns(reader: Reader) -> tuple[str, ...]:
    try:
        return reader.columns()
    except IsthmusError as error:
        fault = alone(error)
    raise fault
