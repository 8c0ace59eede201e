"""What time it is, as an argument."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives an aware datetime."""


def utc_now() -> datetime:
    """The time, by this machine's clock."""
    return datetime.now(UTC)
