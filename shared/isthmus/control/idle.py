"""The one limit on a transfer: it is cut off when nothing has moved for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Watch:
    """Watches one transfer.

    Attributes:
        stalled: whether it was cut off.
    """

    def __init__(self) -> None:
        self.stalled = False
        self._moved, self._done = threading.Event(), threading.Event()

    def moved(self) -> None:
        """Something has."""
        self._moved.set()

    def run(self, cut: Callable[[], object], idle_s: float) -> None:
        """Watch until `end`, or until nothing has moved for `idle_s`; then `cut`."""
        while self._moved.wait(idle_s):
            if self._done.is_set():
                return
            self._moved.clear()
        self.stalled = True
        cut()

    def end(self) -> None:
        """The transfer is over."""
        self._done.set()
        self._moved.set()


@contextmanager
def watched(cut: Callable[[], object], idle_s: float) -> Iterator[Watch]:
    """Watch a transfer while the context is open.

    Args:
        cut: ends the transfer; called from another thread, once at most.
        idle_s: seconds without `moved`.
    """
    watch = Watch()
    thread = threading.Thread(
        target=watch.run, args=(cut, idle_s), name="transfer watch", daemon=True
    )
    thread.start()
    try:
        yield watch
    finally:
        watch.end()
        thread.join()
