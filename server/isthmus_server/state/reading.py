"""Database rows as our frozen values."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import Row

Value = TypeVar("Value")


def value_of(kind: type[Value], found: Row[Any]) -> Value:
    """The row as a value of `kind`, whose fields are the table's columns."""
    return kind(**found._mapping)  # noqa: SLF001 - SQLAlchemy's public name begins with _


def value_or_none(kind: type[Value], found: Row[Any] | None) -> Value | None:
    """Like `value_of`, where there may be no row."""
    return None if found is None else value_of(kind, found)
