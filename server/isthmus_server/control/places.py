"""So many at a time for each platform, so that one leaves room for the others."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from isthmus.control.reasons import RefusedError


class Places:
    """Places of every platform; safe in every thread.

    Args:
        each: how many one platform has.
    """

    def __init__(self, each: int) -> None:
        self._each, self._lock = each, threading.Lock()
        self._taken: Counter[str] = Counter()

    @contextmanager
    def one(self, platform: str) -> Iterator[None]:
        """Hold a place while the context is open.

        Raises:
            RefusedError: all of this platform's are taken.
        """
        with self._lock:
            if self._taken[platform] >= self._each:
                raise RefusedError("busy")
            self._taken[platform] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[platform] -= 1
                if not self._taken[platform]:
                    del self._taken[platform]
