"""CSV lines taken apart into columns of text: blocks that are plain at once, others row by row.

A plain block has no NUL, is of the encoding, its lines all end alike and have as many fields as
the header, and quotation marks stand around whole fields only; Arrow reads it. All others go
through Python's own reader, which knows on which line a row began, and goes on after a row that
is not well formed. Both give the same.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from isthmus_client.feeds.batching import numbered
from isthmus_client.feeds.csv_dialect import Header
from isthmus_client.feeds.text_notes import TextNotes
from isthmus_client.feeds.text_source import Block, TextSource

_SLOW_ROWS: Final = 8_192  # that are held as Python values at a time
_LONGEST_FIELD: Final = 1 << 20  # characters; so far an open quotation mark is followed


def csv_tables(
    text: TextSource, header: Header, wanted: Sequence[str], notes: TextNotes
) -> Iterator[pa.Table]:
    """The wanted columns and `_line`, in order; raises as `TextSource.blocks`.

    Args:
        text: the file.
        header: of it.
        wanted: columns that the header has.
        notes: is told of malformed and blank lines.
    """
    lines = _Lines(text)
    lines.skip_header(header.delimiter)
    slow = _SlowReader(lines, header, wanted, notes)
    while not lines.exhausted:
        if lines.waiting:
            yield slow.table()
            continue
        block = lines.take_block()
        table = _plain_table(block, text, header, wanted)
        if table is None:
            lines.put_block(block)
        else:
            notes.beyond_ascii = notes.beyond_ascii or not block.data.isascii()
            yield table


def _plain_table(
    block: Block, text: TextSource, header: Header, wanted: Sequence[str]
) -> pa.Table | None:
    """A block's rows; None = it is not plain."""
    data = block.data
    if b"\0" in data or not header.delimiter.isascii() or not _even_lines(data, text.newline):
        return None
    if not data.isascii() or text.encoding != "utf-8":
        try:
            data = data.decode(text.encoding).encode()
        except UnicodeDecodeError:
            return None
    if not _quotes_around_fields(data, header.delimiter):
        return None
    table = _parse(data, header, wanted)
    if table is None or table.num_rows != block.lines:  # a blank line, or other line ends
        return None
    lines = np.arange(block.first, block.first + block.lines, dtype=np.int64)
    return numbered(table.select(list(wanted)), lines)


def _even_lines(data: bytes, newline: bytes) -> bool:
    """Whether the lines all end alike, and none is so long that a field could be too long.

    Arrow would begin another row at a carriage return within a line.
    """
    half = _LONGEST_FIELD // 2
    starts = range(0, len(data) - half + 1, half)
    if any(data.find(newline, start, start + half) < 0 for start in starts):
        return False
    if newline == b"\r":
        return b"\n" not in data
    return b"\r" not in data or data.count(b"\r") == data.count(b"\r\n")


def _quotes_around_fields(data: bytes, delimiter: str) -> bool:
    """Whether each quotation mark either opens or closes a field, in turn."""
    if b'"' not in data:
        return True
    characters = np.frombuffer(b"\n" + data + b"\n", np.uint8)
    marks = np.flatnonzero(characters == ord('"'))
    border = np.zeros(256, np.bool_)
    border[[ord(delimiter), ord("\n"), ord("\r")]] = True
    opens, closes = border[characters[marks - 1]], border[characters[marks + 1]]
    in_turn = marks.size % 2 == 0 and opens[::2].all() and closes[1::2].all()
    return bool(in_turn and not opens[1::2].any() and not closes[::2].any())


def _parse(data: bytes, header: Header, wanted: Sequence[str]) -> pa.Table | None:
    """All rows by Arrow's reader; None = they are ragged."""
    read = wanted or header.columns[:1]
    try:
        return pacsv.read_csv(
            pa.BufferReader(data),
            pacsv.ReadOptions(
                use_threads=False, block_size=len(data) + 1, column_names=list(header.columns)
            ),
            pacsv.ParseOptions(delimiter=header.delimiter, quote_char='"'),
            pacsv.ConvertOptions(
                column_types=dict.fromkeys(read, pa.string()),
                include_columns=list(read),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:
        return None


class _Lines:
    """A file's lines one by one, of which the last row's can be put back."""

    def __init__(self, text: TextSource) -> None:
        self._blocks = text.blocks()
        self._encoding = text.encoding
        self._newline = text.newline.decode()
        self._waiting: deque[str] = deque()
        self._taken: list[str] = []
        self._ahead = next(self._blocks, None)
        self.next_line = 1

    @property
    def waiting(self) -> bool:
        """Whether a block has been begun."""
        return bool(self._waiting)

    @property
    def exhausted(self) -> bool:
        """Whether there is no line left."""
        return not self._waiting and self._ahead is None

    def take_block(self) -> Block:
        """The next block as a whole."""
        block = self._ahead
        if block is None:
            raise StopIteration
        self._ahead = next(self._blocks, None)
        self.next_line = block.first + block.lines
        return block

    def put_block(self, block: Block) -> None:
        """Give a block's lines one by one."""
        decoded = block.data.decode(self._encoding, "surrogateescape")
        lines = decoded.split(self._newline)
        last = lines.pop()
        self._waiting.extend(line + "\n" for line in lines)
        if last:
            self._waiting.append(last)
        self.next_line = block.first

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not self._waiting:
            self.put_block(self.take_block())
        line = self._waiting.popleft()
        self._taken.append(line)
        self.next_line += 1
        return line

    def mark(self) -> int:
        """A row begins: the number of its first line."""
        self._taken.clear()
        return self.next_line

    def keep_first(self) -> None:
        """Put back all lines since the mark but the first."""
        back = self._taken[1:]
        self._waiting.extendleft(reversed(back))
        self.next_line -= len(back)
        self._taken.clear()

    def skip_header(self, delimiter: str) -> None:
        """Take the first row that is not blank."""
        next(row for row in csv.reader(self, delimiter=delimiter) if row)


@contextmanager
def long_fields() -> Iterator[None]:
    """Python's reader takes fields as long as we do; its limit is one of the whole process."""
    usual = csv.field_size_limit(_LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(usual)


class _SlowReader:
    """Rows by Python's reader, until no line of a block that was begun is left."""

    def __init__(
        self, lines: _Lines, header: Header, wanted: Sequence[str], notes: TextNotes
    ) -> None:
        self._lines = lines
        self._reader = csv.reader(lines, delimiter=header.delimiter, strict=True)
        self._width = len(header.columns)
        self._wanted = [(name, header.columns.index(name)) for name in wanted]
        self._notes = notes

    def table(self) -> pa.Table:
        """Some of the rows that wait; what is malformed is told on."""
        rows: list[list[str]] = []
        numbers: list[int] = []
        with long_fields():
            while self._lines.waiting and len(rows) < _SLOW_ROWS:
                line = self._lines.mark()
                row = self._row(line)
                if row is not None:
                    rows.append(row)
                    numbers.append(line)
        columns = {
            name: pa.array([row[place] or None for row in rows], pa.string())
            for name, place in self._wanted
        }
        return numbered(pa.table(columns), np.array(numbers, dtype=np.int64))

    def _row(self, line: int) -> list[str] | None:
        """The next row; None = it is blank or malformed."""
        try:
            row = next(self._reader)
        except csv.Error as error:
            self._lines.keep_first()
            self._notes.malformed(line, "ragged", _quoting(error))
            return None
        if not row:
            self._notes.blank += 1
            return None
        if not self._notes.well_encoded(line, "".join(row)):
            return None
        if len(row) != self._width:
            self._notes.malformed(line, "ragged", f"{len(row)} fields instead of {self._width}")
            return None
        return row


def _quoting(error: csv.Error) -> str:
    """The reader's complaint in our words."""
    said = str(error)
    if "field limit" in said:
        return f"a field of over {_LONGEST_FIELD} characters: is a quotation mark never closed?"
    if "unexpected end of data" in said:
        return "a quotation mark that is never closed"
    if "new-line" in said:
        return "a carriage return outside quotation marks"
    return "text behind a closing quotation mark"
