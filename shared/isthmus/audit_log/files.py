"""The end of a file of lines, found and written without reading what is before it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from isthmus.files import sync_folder

_BLOCK: Final = 8192  # bytes read at a time


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """A descriptor to read and write the file, one holder at a time, of all processes and threads.

    Raises:
        OSError: it cannot be opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if fresh:
            sync_folder(path.parent)
        yield descriptor
    finally:
        os.close(descriptor)


def stored_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file with their newlines; the last has none where it is unfinished.

    What is being written meanwhile is left out. A file that is not there has no lines.

    Raises:
        OSError: it cannot be read.
    """
    if not path.exists():
        return
    with path.open("rb") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        left = os.fstat(handle.fileno()).st_size
        fcntl.flock(handle, fcntl.LOCK_UN)
        while left > 0 and (line := handle.readline(left)):
            left -= len(line)
            yield line


def end_of_lines(descriptor: int) -> tuple[int, int]:
    """Where the last whole line ends, and how many bytes come after it."""
    size = os.fstat(descriptor).st_size
    end = after_newline_before(descriptor, size)
    return end, size - end


def after_newline_before(descriptor: int, position: int) -> int:
    """The position just after the last newline before `position`; 0 if there is none."""
    while position > 0:
        start = max(0, position - _BLOCK)
        found = os.pread(descriptor, position - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        position = start
    return 0


def last_line(descriptor: int, end: int) -> bytes:
    """The line that ends at `end`, without its newline."""
    start = after_newline_before(descriptor, end - 1)
    return os.pread(descriptor, end - 1 - start, start)


def newlines_before(descriptor: int, end: int) -> int:
    """How many lines end at or before `end`; reads them all."""
    count, position = 0, 0
    while position < end:
        block = os.pread(descriptor, min(_BLOCK, end - position), position)
        if not block:
            break
        count, position = count + block.count(b"\n"), position + len(block)
    return count


def write_line(descriptor: int, end: int, line: bytes) -> None:
    """Put a line and its newline at `end`, on the disk before this returns.

    Raises:
        OSError: the disk is full, or another fault; the file then ends where it did before.
    """
    data, position = line + b"\n", end
    try:
        while data:
            done = os.pwrite(descriptor, data, position)
            data, position = data[done:], position + done
        os.ftruncate(descriptor, position)
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, end)
        raise
