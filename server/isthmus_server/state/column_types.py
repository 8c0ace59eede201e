"""Columns that hold the same in every database."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator

from isthmus.plain_text import plain


class UtcTime(TypeDecorator[datetime]):
    """A moment: aware going in, UTC coming out. SQLite, which knows no zones, holds it in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """What the database is given."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value}")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """What the database gave."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Words(TypeDecorator[str]):
    """Text that may come from outside: what no database can store of it becomes U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """What the database is given."""
        return None if value is None else storable(value)


def storable(text: str) -> str:
    """The text without what a database refuses, or what acts on the terminal of who reads it.

    PostgreSQL takes no NUL, and UTF-8 has no lone surrogates.
    """
    return plain(text.encode("utf-8", "replace").decode(), lines=True)


def to_json(value: Any) -> str:
    """JSON with sorted keys.

    Raises:
        ValueError, TypeError: NaN, infinity, or no plain value.
    """
    return json.dumps(value, sort_keys=True, allow_nan=False)
