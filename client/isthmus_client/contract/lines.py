"""On which line of a TOML file each key stands; its parser does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final

Keys = tuple[str, ...]

_PIECE: Final = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5} | \'\'\'.*?'{3,5}      # text of several lines
    | "(?:\\.|[^"\\])*" | '[^']*'                       # text of one line
    | \#[^\n]* | \n | [\[\]{}=] | [^\[\]{}=\#"'\n]+ | .''',
    re.DOTALL | re.VERBOSE,
)


def key_lines(text: str) -> dict[Keys, int]:
    """{key path: line, counted from 1} of every table header and key of a valid TOML file.

    Keys within an inline table have no entry: they stand where the table begins.
    """
    lines: dict[Keys, int] = {}
    table: Keys = ()
    for line, head in _heads(text):
        if head.startswith("["):
            table = path = _path(head.strip("[]"))
            lines[path] = line
        else:
            path = (*table, *_path(head))
        for length in range(1, len(path) + 1):
            lines.setdefault(path[:length], line)
    return lines


def line_of(lines: Mapping[Keys, int], path: Keys) -> int | None:
    """The line of a key, else of the nearest that holds it; None where that is the whole file."""
    found = (lines.get(path[:length]) for length in range(len(path), 0, -1))
    return next((line for line in found if line is not None), None)


def _heads(text: str) -> Iterator[tuple[int, str]]:
    """Line and text of every `[table]` and of what stands left of every `=`."""
    line, head, depth, in_value = 1, "", 0, False
    for piece in _pieces(text):
        if piece == "\n" and depth == 0:
            if head.startswith("["):
                yield line, head.strip()
            head, in_value = "", False
        elif in_value:
            depth += (piece in "[{") - (piece in "]}")
        elif piece == "=":
            yield line, head.strip()
            in_value = True
            head = ""
        elif not piece.startswith("#"):
            head = (head + piece).lstrip()
        line += piece.count("\n")


def _pieces(text: str) -> Iterator[str]:
    """All of the text in pieces, with a line end after the last line."""
    yield from _PIECE.findall(text)
    yield "\n"


def _path(head: str) -> Keys:
    """The parts of a dotted key, taken apart by the parser itself."""
    value: Any = tomllib.loads(f"{head} = 0")
    parts = []
    while isinstance(value, dict):
        ((part, value),) = value.items()
        parts.append(part)
    return tuple(parts)
