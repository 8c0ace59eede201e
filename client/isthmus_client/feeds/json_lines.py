"""JSON Lines files as feeds: one object a line, its scalars as text exactly as they are written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np
import pyarrow as pa

from isthmus.errors import DataInvalidError
from isthmus_client.feeds.batching import check_columns, in_batches, numbered
from isthmus_client.feeds.feed import BATCH_ROWS, Malformed, OnMalformed
from isthmus_client.feeds.file_feed import FileFeed
from isthmus_client.feeds.file_source import FileSource
from isthmus_client.feeds.text_notes import TextNotes, opening_notes
from isthmus_client.feeds.text_source import TextSource, open_text

_LOOKED_AT: Final = 10_000  # lines whose keys are the columns
_TOLD: Final = 10  # names of later keys in a note
_ROWS: Final = 8_192  # that are held as Python values at a time


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dictionary; which of two values is meant would be a guess."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("the same key twice")
    return made


_DECODER: Final = json.JSONDecoder(
    parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=_without_repeats
)


class JsonLinesFeed(FileFeed):
    """A JSON Lines file.

    Numbers, true and false are text as written; null and "" are null. An object or a list in a
    wanted column makes the line malformed; in any other column it does not matter.

    Args:
        source: the file.
        encoding: of the file.
        wanted: names to look for in all of the file where the first 10 000 lines lack them.

    Raises:
        DataMissingError: it cannot be opened.
        DataInvalidError: it is empty, of another encoding, or its first lines hold no object.
    """

    def __init__(
        self, source: FileSource, *, encoding: str = "utf-8", wanted: Sequence[str] = ()
    ) -> None:
        super().__init__(source)
        self._text = open_text(source, encoding)
        self._columns = _find_columns(self._text, wanted)
        self._seen: tuple[tuple[str, str], ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The keys of the first lines, in the order in which they appear."""
        return self._columns

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """Of "bom"; after reading also "encoding", "blank_lines", "new_columns"."""
        return (*opening_notes(self._text), *self._seen)

    def batches(
        self, columns: Sequence[str], on_malformed: OnMalformed, *, rows: int = BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """As `Feed.batches` says; "json", "encoding" and "nul" are malformed.

        Raises:
            DataMissingError: the file is gone.
            DataInvalidError: it is damaged (says after which line), changed while it was read, or
                lacks a wanted column.
        """
        check_columns(self.name, self._columns, columns)
        notes = TextNotes(self._text.encoding, on_malformed)
        later: dict[str, int] = {}
        yield from in_batches(self._tables(columns, notes, later), rows)
        self._seen = (*notes.told(), *_told_later(later))

    def _tables(
        self, columns: Sequence[str], notes: TextNotes, later: dict[str, int]
    ) -> Iterator[pa.Table]:
        """Tables of some rows each; `later` is filled with {key: the line that brought it}."""
        known = frozenset(self._columns)
        lines: list[int] = []
        values: list[list[str | None]] = [[] for _ in columns]
        for line, row in _objects(self._text, notes):
            if not known.issuperset(row):
                for key in row:
                    if key not in known:
                        later.setdefault(key, line)
            found = _scalars(row, columns, line, notes)
            if found is None:
                continue
            lines.append(line)
            for column, value in zip(values, found, strict=True):
                column.append(value)
            if len(lines) == _ROWS:
                yield _table(columns, values, lines)
                lines, values = [], [[] for _ in columns]
        yield _table(columns, values, lines)


def _table(
    columns: Sequence[str], values: Sequence[list[str | None]], lines: list[int]
) -> pa.Table:
    """The rows of Python values as text; values: (columns, rows)."""
    arrays = [pa.array(each, pa.string()) for each in values]
    return numbered(pa.table(arrays, names=list(columns)), np.array(lines, dtype=np.int64))


def _find_columns(text: TextSource, wanted: Sequence[str]) -> tuple[str, ...]:
    """The keys of the first lines, and those wanted that stand anywhere in the file.

    Raises:
        DataInvalidError: the first lines hold no object.
    """

    def ignored(_: Malformed) -> None:
        """It is told when the rows are read."""

    names: dict[str, None] = {}
    found = False
    for _, row in _objects(text, TextNotes(text.encoding, ignored), until=_LOOKED_AT):
        found = True
        names.update(dict.fromkeys(row))
    if not found:
        raise DataInvalidError(
            f"{text.source.name} is not JSON Lines: its first lines hold no object",
            hint='each line is to be one object, such as {"user_id": "u1", "item_id": "i1"}',
        )
    absent = {name for name in wanted if name not in names}
    for block in text.blocks() if absent else ():
        seen = {name for name in absent if any(s in block.data for s in _spellings(name, text))}
        names.update(dict.fromkeys(name for name in wanted if name in seen))
        absent -= seen
        if not absent:
            break
    return tuple(name for name in names if name.strip())


def _spellings(name: str, text: TextSource) -> Iterator[bytes]:
    """A key as writers of JSON put it: with what is beyond ASCII escaped, or as it is."""
    for escaped in (True, False):
        yield json.dumps(name, ensure_ascii=escaped).encode(text.encoding, "replace")


def _objects(
    text: TextSource, notes: TextNotes, *, until: int | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, object) of every well-formed line; the others are told on."""
    newline = text.newline.decode()
    for block in text.blocks():
        lines = block.data.decode(text.encoding, "surrogateescape").split(newline)
        for line, content in enumerate(lines[: block.lines], start=block.first):
            if until is not None and line > until:
                return
            row = _object(line, content, notes)
            if row is not None:
                yield line, row


def _object(line: int, content: str, notes: TextNotes) -> dict[str, Any] | None:
    """A line's object; None = it is blank or malformed."""
    if not content or content.isspace():
        notes.blank += 1
        return None
    if not notes.well_encoded(line, content):
        return None
    try:
        row = _DECODER.decode(content)
        fault = "" if isinstance(row, dict) else "no object"
    except json.JSONDecodeError as error:
        fault = f"{error.msg} at character {error.colno}"
    except ValueError as error:
        fault = str(error)
    except RecursionError:
        fault = "nested too deeply"
    if fault:
        notes.malformed(line, "json", fault)
        return None
    return row if "\\u" not in content or _escapes_are_text(line, row, notes) else None


def _escapes_are_text(line: int, row: dict[str, Any], notes: TextNotes) -> bool:
    """Whether what was escaped is text that can be stored; nested values are never stored."""
    said = "".join((*row, *(value for value in row.values() if isinstance(value, str))))
    if "\0" in said:
        notes.malformed(line, "nul", "a NUL character")
        return False
    try:
        said.encode()
    except UnicodeEncodeError:
        notes.malformed(line, "json", "half of a surrogate pair")
        return False
    return True


def _scalars(
    row: dict[str, Any], columns: Sequence[str], line: int, notes: TextNotes
) -> list[str | None] | None:
    """The wanted values as text; None = one is nested, which is told on."""
    values = [row.get(name) for name in columns]
    for place, value in enumerate(values):
        if isinstance(value, str):
            values[place] = value or None
        elif isinstance(value, bool):
            values[place] = "true" if value else "false"
        elif value is not None:
            what = "an object" if isinstance(value, dict) else "a list"
            notes.malformed(line, "json", f"column {columns[place]!r} holds {what}")
            return None
    return values


def _told_later(later: dict[str, int]) -> tuple[tuple[str, str], ...]:
    """Keys that were no columns yet when the file was opened."""
    if not later:
        return ()
    named = ", ".join(f"{key!r} (line {line})" for key, line in islice(later.items(), _TOLD))
    more = f" and {len(later) - _TOLD} more" if len(later) > _TOLD else ""
    return (("new_columns", f"first seen after line {_LOOKED_AT}, not read: {named}{more}"),)
