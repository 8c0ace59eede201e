"""A CSV file's delimiter and header, found by looking at its first lines."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from isthmus.errors import DataInvalidError
from isthmus_client.feeds.arrow import check_names
from isthmus_client.feeds.text_source import TextSource

_DELIMITERS: Final = ",;\t|"
_SUSPECT: Final = ",;\t|:^~"  # in the name of an only column they are likely the delimiter
_NEVER: Final = '"\r\n\0'
_LOOKED_AT: Final = 100  # rows
_ENOUGH: Final = 0.5  # of these rows; what divides fewer of them is within a text by chance
NAMED: Final = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar", " ": "space"}


@dataclass(frozen=True)
class Header:
    """How a file's rows are taken apart.

    Attributes:
        columns: their names, stripped.
        delimiter: one character.
        note: what a person should know of the delimiter; "" = nothing.
    """

    columns: tuple[str, ...]
    delimiter: str
    note: str


def find_header(text: TextSource, delimiter: str) -> Header:
    """The header, by the delimiter given, or by the one that fits the first rows best.

    Raises:
        DataInvalidError: the header is not of the encoding, a name is blank or repeated, or the
            delimiter given cannot be one.
    """
    if delimiter and (delimiter in _NEVER or delimiter.isalnum()):
        raise DataInvalidError(
            f"{delimiter!r} cannot be the delimiter of a CSV file",
            hint='leave `delimiter` out to have it found, or give one such as ";"',
        )
    lines = _lines(text)
    found = delimiter or _best(lines)
    try:
        columns = tuple(name.strip() for name in next(_rows(lines, found), []))
        "".join(columns).encode()
    except csv.Error:
        raise DataInvalidError(
            f"{text.source.name}: the header is not CSV",
            hint="its first line holds a carriage return, or is longer than a header can be",
        ) from None
    except UnicodeEncodeError:
        raise DataInvalidError(
            f"{text.source.name}: the header is not {text.encoding}",
            hint='set encoding in platform.toml, such as encoding = "cp1252"',
        ) from None
    check_names(text.source.name, columns)
    return Header(columns, found, _note(columns, found, given=bool(delimiter)))


def _lines(text: TextSource) -> list[str]:
    """The first lines, without one that is cut off."""
    decoded = text.head.decode(text.encoding, "surrogateescape")
    lines = decoded.split(text.newline.decode())
    whole = lines[:-1] if len(lines) > 1 else lines
    return [line + "\n" for line in whole]


def _rows(lines: Sequence[str], delimiter: str) -> Iterator[list[str]]:
    return (row for row in csv.reader(lines, delimiter=delimiter) if row)


def _best(lines: Sequence[str]) -> str:
    """The delimiter by which most rows are as wide as the header, then the widest."""
    return max(_DELIMITERS, key=lambda delimiter: _fit(lines, delimiter))


def _fit(lines: Sequence[str], delimiter: str) -> tuple[bool, float, int]:
    """Whether it divides most rows; the share of rows as wide as the header; its width."""
    widths = []
    try:
        for row in _rows(lines, delimiter):
            widths.append(len(row))
            if len(widths) == _LOOKED_AT:
                break
    except csv.Error:  # as of a field that is too long: what was seen before it counts
        pass
    width = widths[0] if widths else 0
    share = sum(each == width for each in widths) / max(len(widths), 1)
    return width > 1 and share >= _ENOUGH, share, width


def _note(columns: Sequence[str], delimiter: str, *, given: bool) -> str:
    """That a delimiter is likely wrong, or was found and is not the usual one."""
    if len(columns) == 1:
        inside = [each for each in _SUSPECT if each in columns[0]]
        if inside:
            named = " or ".join(NAMED.get(each, repr(each)) for each in inside)
            return f"wrong? there is one column, and its name holds a {named}"
    elif not given and delimiter != ",":
        return f"{NAMED[delimiter]}, found by looking"
    return ""
