"""One writer at a time: an advisory lock that dies with the process that holds it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from isthmus.errors import StoreBusyError, StoreError
from isthmus_client.store.calendar import moment

NAME: Final = "lock"
PAUSE: Final = 0.05  # seconds between two tries
READS: Final = 10  # of the holder's signature, before it stays unnamed


@contextmanager
def held(folder: Path, wait: float) -> Iterator[None]:
    """The store's lock, while the context is open.

    Args:
        folder: of the store.
        wait: seconds to wait for a process that has it; 0 = not at all.

    Raises:
        StoreBusyError: another process has it; names it and since when.
        StoreError: the folder cannot be written.
    """
    try:
        descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror}") from error
    try:
        _acquire(descriptor, folder, time.monotonic() + wait)
        _sign(descriptor)
        try:
            yield
        finally:
            _withdraw(descriptor)
    finally:
        os.close(descriptor)  # gives the lock back


def _acquire(descriptor: int, folder: Path, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise _busy(descriptor, folder) from None
            time.sleep(PAUSE)
        else:
            return


def _sign(descriptor: int) -> None:
    """Who has it, for those who are refused; on a full disk it stays unsaid."""
    text = json.dumps({"pid": os.getpid(), "since": moment(time.time())})
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)


def _withdraw(descriptor: int) -> None:
    """Nobody has it, so that no later holder is taken for this one before it has signed."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)


def _busy(descriptor: int, folder: Path) -> StoreBusyError:
    return StoreBusyError(
        f"{folder} is being written by {_holder(descriptor)}",
        hint="try again later, or wait with --wait SECONDS",
    )


def _holder(descriptor: int) -> str:
    """Who has the lock. Between taking it and signing a moment passes, so look more than once."""
    for look in range(READS):
        if look:
            time.sleep(PAUSE)
        try:
            holder = json.loads(os.pread(descriptor, 1000, 0))
            return f"process {int(holder['pid'])} since {holder['since']}"
        except (ValueError, KeyError, TypeError):  # not signed, or half
            continue
    return "another process"  # its disk is full
