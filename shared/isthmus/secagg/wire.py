"""Canonical bytes: fixed fields and length-prefixed ones, in one order, read within bounds.

A value has exactly one encoding, and what is left over is refused, so that a signature over bytes
is a signature over the value. Lengths are 4 bytes, big-endian; nothing is allocated by a claim.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, TypeVar

from isthmus.secagg.alarms import Alarm, refuse

MAX_PLATFORMS: Final = 256  # of a cohort
MAX_NAME: Final = 64  # bytes of a platform's name
MAX_RUN: Final = 128  # bytes of a run's name
DIGEST: Final = 32  # bytes of SHA-256 and of raw Curve25519 keys

_PREFIX: Final = 4  # bytes of a length
_T = TypeVar("_T")
Data = bytes | memoryview


def number(value: int) -> bytes:
    """An unsigned number of 8 bytes."""
    return value.to_bytes(8, "big")


def chunk(data: Data) -> bytes:
    """Bytes behind their length."""
    return len(data).to_bytes(_PREFIX, "big") + data


def chunks(parts: Sequence[Data]) -> bytes:
    """Several chunks behind their count."""
    return len(parts).to_bytes(_PREFIX, "big") + b"".join(chunk(part) for part in parts)


class Reader:
    """Reads what the functions above wrote, from the front, without copying.

    Args:
        data: untrusted.
        what: the message, for refusals.
    """

    def __init__(self, data: Data, what: str) -> None:
        self._left = memoryview(data).cast("B").toreadonly()
        self._what = what

    def take(self, size: int) -> memoryview:
        """The next `size` bytes.

        Raises:
            AggregationError: fewer are left.
        """
        if size > len(self._left):
            refuse(Alarm.MALFORMED, f"{self._what} ends {size - len(self._left)} bytes early")
        part, self._left = self._left[:size], self._left[size:]
        return part

    def raw(self, size: int) -> bytes:
        """The same, copied."""
        return bytes(self.take(size))

    def number(self) -> int:
        """An unsigned number of 8 bytes."""
        return int.from_bytes(self.take(8), "big")

    def chunk(self, maximum: int) -> memoryview:
        """A chunk of at most `maximum` bytes."""
        return self.take(self._size(maximum, "a field", "bytes"))

    def name(self, maximum: int = MAX_NAME) -> str:
        """A chunk of UTF-8 text, not empty."""
        try:
            text = str(self.chunk(maximum), "utf-8")
        except UnicodeDecodeError:
            refuse(Alarm.MALFORMED, f"{self._what} has a name that is not UTF-8")
        return text or refuse(Alarm.MALFORMED, f"{self._what} has an empty name")

    def each(self, read: Callable[[Reader], _T]) -> tuple[_T, ...]:
        """As many as a count says, at most one for each platform."""
        return tuple(read(self) for _ in range(self._size(MAX_PLATFORMS, "a list", "platforms")))

    def done(self) -> None:
        """Refuse what is left over.

        Raises:
            AggregationError: something is.
        """
        if len(self._left):
            refuse(Alarm.MALFORMED, f"{self._what} has {len(self._left)} bytes too many")

    def _size(self, maximum: int, what: str, unit: str) -> int:
        size = int.from_bytes(self.take(_PREFIX), "big")
        if size > maximum:
            refuse(Alarm.OVERSIZE, f"{self._what} claims {what} of {size} {unit}, over {maximum}")
        return size


def ascending(names: Sequence[str], what: str) -> None:
    """Refuse names that are not sorted, or not different.

    Raises:
        AggregationError: names the first that is out of order.
    """
    for before, after in pairwise(names):
        if before == after:
            refuse(Alarm.DUPLICATE, f"{what} names {after!r} twice")
        if before > after:
            refuse(Alarm.MALFORMED, f"{what} is not sorted: {after!r} stands after {before!r}")
