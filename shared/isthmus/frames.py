"""Several byte strings in one body: each with its length before it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from isthmus.errors import MessageRefusedError

_LENGTH: Final = 4  # bytes of a length, big-endian

MAX_FRAME: Final = 2**31 - 1
"""Bytes of one part."""


def join(parts: Iterable[bytes]) -> bytes:
    """One body of the parts.

    Raises:
        MessageRefusedError: a part has more than `MAX_FRAME` bytes.
    """
    pieces: list[bytes] = []
    for part in parts:
        if len(part) > MAX_FRAME:
            raise MessageRefusedError(f"a part of {len(part)} bytes is too long to be sent")
        pieces += (len(part).to_bytes(_LENGTH, "big"), part)
    return b"".join(pieces)


def split(body: bytes) -> list[bytes]:
    """The parts of a body.

    Raises:
        MessageRefusedError: it is cut off.
    """
    parts: list[bytes] = []
    at = 0
    while at < len(body):
        start = at + _LENGTH
        end = start + int.from_bytes(body[at:start], "big")
        if start > len(body) or end > len(body):
            raise MessageRefusedError(f"a body of {len(body)} bytes is cut off at byte {at}")
        parts.append(body[start:end])
        at = end
    return parts
