"""Parquet files as feeds: row groups streamed, only the wanted columns read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from isthmus_client.feeds.arrow import check_names, plain
from isthmus_client.feeds.batching import check_columns, in_batches, numbered
from isthmus_client.feeds.feed import BATCH_ROWS, LINE, OnMalformed
from isthmus_client.feeds.file_feed import FileFeed
from isthmus_client.feeds.file_source import FileSource
from isthmus_client.feeds.text_check import valid_text

_BUFFER: Final = 1 << 20  # bytes of a column chunk that are read ahead; 0 would read it whole


class ParquetFeed(FileFeed):
    """A Parquet file; the number of a row, counted from 1, is its line.

    Args:
        source: the file.

    Raises:
        DataMissingError: it cannot be opened.
        DataInvalidError: it is no Parquet file, is damaged, or repeats a column's name.
    """

    def __init__(self, source: FileSource) -> None:
        super().__init__(source)
        try:
            with self._opened() as file:
                names = file.schema_arrow.names
        except UnicodeDecodeError as error:
            raise source.unreadable(error) from None
        check_names(source.name, names)
        self._columns = tuple(names)

    @property
    def columns(self) -> tuple[str, ...]:
        """Their names, in order."""
        return self._columns

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """Nothing: the format says how it is to be read."""
        return ()

    def batches(
        self, columns: Sequence[str], on_malformed: OnMalformed, *, rows: int = BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """As `Feed.batches` says; text that is not UTF-8 is malformed.

        Raises:
            DataMissingError: the file is gone.
            DataInvalidError: it is damaged (says after which row), changed while it was read, or
                lacks a wanted column.
        """
        check_columns(self.name, self._columns, columns)
        return in_batches(self._tables(list(columns), on_malformed, rows), rows)

    def _tables(
        self, columns: list[str], on_malformed: OnMalformed, rows: int
    ) -> Iterator[pa.Table]:
        done = 0
        with self._opened() as file:
            if not columns:  # Arrow gives no row to a batch without columns
                yield pa.table({LINE: np.arange(1, file.metadata.num_rows + 1)})
                return
            batches = file.iter_batches(batch_size=rows, columns=columns)
            while True:
                try:
                    batch = next(batches, None)
                    if batch is None:
                        return
                    table = plain(pa.Table.from_batches([batch])).select(columns)
                except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                    raise self._source.unreadable(error, f" after row {done}") from None
                lines = np.arange(done + 1, done + 1 + table.num_rows, dtype=np.int64)
                done += table.num_rows
                yield valid_text(numbered(table, lines), on_malformed)

    @contextmanager
    def _opened(self) -> Iterator[pq.ParquetFile]:
        with self._source.opened() as handle:
            try:
                file = pq.ParquetFile(handle, buffer_size=_BUFFER, page_checksum_verification=True)
            except (pa.ArrowException, OSError) as error:
                raise self._source.unreadable(error) from None
            with file:
                yield file
