"""The SQL that reads a source: names quoted, and of a person's own query that it is one SELECT."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from isthmus.errors import DataInvalidError
from isthmus_client.contract.model import Table

_COMMENT: Final = re.compile(r"\s+|--[^\n]*(\n|$)|/\*.*?\*/|\(", re.DOTALL)
_FIRST_WORD: Final = re.compile(r"[a-z]+", re.IGNORECASE)
_TO_A_FILE: Final = re.compile(r"\binto\s+(outfile|dumpfile)\b", re.IGNORECASE)


def relation(table: Table, mark: str) -> str:
    """What to SELECT from: a quoted name, or the query in parentheses; raises as `one_select`."""
    if table.table:
        return quoted(table.table, mark)
    return f"(\n{one_select(table.query)}\n) AS source"


def quoted(name: str, mark: str) -> str:
    """A name as an identifier; a point divides schema and table.

    Args:
        name: such as "shop.events".
        mark: that the database quotes with.
    """
    parts = (part.replace(mark, mark * 2) for part in name.split("."))
    return ".".join(f"{mark}{part}{mark}" for part in parts)


def identifier(name: str, mark: str) -> str:
    """A column's name as an identifier, points and all."""
    return mark + name.replace(mark, mark * 2) + mark


def selection(columns: Sequence[str], source: str) -> str:
    """SELECT of column expressions; of none, a constant: rows are counted all the same."""
    return f"SELECT {', '.join(columns) or '1'} FROM {source}"  # noqa: S608 - quoted by us


def one_select(query: str) -> str:
    """A query without its last semicolon.

    The transaction is read-only whatever the query says; this tells a person early.

    Raises:
        DataInvalidError: it is no SELECT, or more than one statement.
    """
    bare = query.strip().rstrip(";").rstrip()
    start = 0
    while found := _COMMENT.match(bare, start):
        start = found.end()
    word = _FIRST_WORD.match(bare, start)
    if word is None or word[0].lower() not in {"select", "with"}:
        raise DataInvalidError("a query must be a SELECT", hint="nothing is ever written")
    if ";" in bare:
        raise DataInvalidError(
            "a query must be one SELECT, without a semicolon inside",
            hint="make a view of it, and name the view as the table",
        )
    if _TO_A_FILE.search(bare):
        raise DataInvalidError("a query must not write a file", hint="leave INTO out")
    return bare
