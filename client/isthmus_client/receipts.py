"""The platform's own record of all that left it: one JSON line each, chained by hashes.

A line holds the hash of the line before it, and its own. Changing, dropping, adding or reordering
lines breaks the chain at the first line that differs; only cutting lines off the end does not show.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from isthmus.errors import OutboxError
from isthmus.files import digest

ROOT: Final = "0" * 64  # stands where the first line names its predecessor
_BLOCK: Final = 8192  # bytes read at a time from the end
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReceiptCheck:
    """What a look over a receipt file found.

    Attributes:
        lines: whole lines in it.
        first_altered: number of the first line that breaks the chain, from 1; None = no line does.
        torn: bytes of an unfinished last line, left by a crash before anything was sent; 0 = none.
    """

    lines: int
    first_altered: int | None
    torn: int


def append_receipt(path: Path, body: Mapping[str, Any]) -> str:
    """Add one line, on disk before this returns, and return its hash.

    An unfinished last line, left by a crash, is cut off: what it announced was never sent. The new
    line says how many bytes were cut, under "cut".

    Raises:
        OutboxError: the last line was altered; nothing is added.
        OSError: the disk is full or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path) as handle:
        end, torn = _end_of_lines(handle)
        if torn:
            _log.warning("%s: cut %d bytes of an unfinished line", path, torn)
            handle.truncate(end)
        line = {**body, "cut": torn, "previous": _hash_before(handle, end, path)}
        line["hash"] = _hash(line)
        handle.seek(end)
        handle.write(_line(line) + b"\n")
        handle.flush()
        os.fsync(handle.fileno())
    return str(line["hash"])


def verify_receipts(path: Path) -> ReceiptCheck:
    """Look over the whole chain; a file that is not there has no lines.

    Raises:
        OSError: the file cannot be read.
    """
    data = path.read_bytes() if path.exists() else b""
    *lines, rest = data.split(b"\n")
    previous = ROOT
    for number, text in enumerate(lines, start=1):
        receipt = _parsed(text)
        if receipt is None or receipt.get("previous") != previous:
            return ReceiptCheck(len(lines), number, len(rest))
        previous = receipt["hash"]
    return ReceiptCheck(len(lines), None, len(rest))


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The file, for reading and writing, to one process at a time."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle


def _end_of_lines(handle: BinaryIO) -> tuple[int, int]:
    """Where the last whole line ends, and how many bytes come after it."""
    size = handle.seek(0, os.SEEK_END)
    end = _after_newline_before(handle, size)
    return end, size - end


def _after_newline_before(handle: BinaryIO, position: int) -> int:
    """The position just after the last newline before `position`; 0 if there is none."""
    while position > 0:
        start = max(0, position - _BLOCK)
        handle.seek(start)
        found = handle.read(position - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        position = start
    return 0


def _hash_before(handle: BinaryIO, end: int, path: Path) -> str:
    """The hash of the line that ends at `end`."""
    if end == 0:
        return ROOT
    start = _after_newline_before(handle, end - 1)
    handle.seek(start)
    receipt = _parsed(handle.read(end - 1 - start))
    if receipt is None:
        raise OutboxError(
            f"the last receipt in {path} was altered, so nothing more may leave",
            hint="find out who changed the file; move it away to start a new chain",
        )
    return str(receipt["hash"])


def _parsed(text: bytes) -> dict[str, Any] | None:
    """The receipt in a line, or None if it is not byte for byte what was written."""
    try:
        receipt = json.loads(text)
        if not isinstance(receipt, dict) or receipt.get("hash") != _hash(receipt):
            return None
        return receipt if _line(receipt) == text else None
    except ValueError:  # no JSON, or NaN in it
        return None


def _hash(receipt: Mapping[str, Any]) -> str:
    body = {name: value for name, value in receipt.items() if name != "hash"}
    return digest(_line(body))


def _line(receipt: Mapping[str, Any]) -> bytes:
    return json.dumps(receipt, sort_keys=True, allow_nan=False).encode()
