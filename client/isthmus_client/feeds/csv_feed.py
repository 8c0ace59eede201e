"""CSV files as feeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from isthmus_client.feeds.batching import check_columns, in_batches
from isthmus_client.feeds.csv_dialect import find_header
from isthmus_client.feeds.csv_rows import csv_tables
from isthmus_client.feeds.feed import BATCH_ROWS, OnMalformed
from isthmus_client.feeds.file_feed import FileFeed
from isthmus_client.feeds.file_source import FileSource
from isthmus_client.feeds.text_notes import TextNotes, opening_notes
from isthmus_client.feeds.text_source import open_text


class CsvFeed(FileFeed):
    """A CSV file with a header; all columns are text, an empty field is null.

    Args:
        source: the file.
        delimiter: one character; "" = found by looking at the first rows.
        encoding: of the file.

    Raises:
        DataMissingError: it cannot be opened.
        DataInvalidError: it is empty, of another encoding, or has no usable header.
    """

    def __init__(self, source: FileSource, *, delimiter: str = "", encoding: str = "utf-8") -> None:
        super().__init__(source)
        self._text = open_text(source, encoding)
        self._header = find_header(self._text, delimiter)
        self._seen: tuple[tuple[str, str], ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Their names, in order."""
        return self._header.columns

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """Of "bom", "newlines", "delimiter"; after reading also "encoding", "blank_lines"."""
        delimiter = (("delimiter", self._header.note),) if self._header.note else ()
        return (*opening_notes(self._text), *delimiter, *self._seen)

    def batches(
        self, columns: Sequence[str], on_malformed: OnMalformed, *, rows: int = BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """As `Feed.batches` says; "ragged", "encoding" and "nul" are malformed.

        Raises:
            DataMissingError: the file is gone.
            DataInvalidError: it is damaged (says after which line), changed while it was read, or
                lacks a wanted column.
        """
        check_columns(self.name, self.columns, columns)
        notes = TextNotes(self._text.encoding, on_malformed)
        yield from in_batches(csv_tables(self._text, self._header, columns, notes), rows)
        self._seen = notes.told()
