"""So much for each platform, at a time and over time, so that one leaves room for the others."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
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


class Allowance:
    """What leaves a line in the server's tables and logs, for good: so many at once, then slowly.

    Args:
        burst: of one platform at once.
        refill_s: seconds until there is one more.
        now: seconds of a clock that never goes back.
    """

    def __init__(
        self, burst: int, refill_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst, self._refill_s, self._now = burst, refill_s, now
        self._lock = threading.Lock()
        self._full: dict[str, float] = {}  # when all will be there again

    def take(self, platform: str) -> bool:
        """Take one, if there is one; safe in every thread."""
        with self._lock:
            now = self._now()
            full = max(self._full.get(platform, now), now) + self._refill_s
            if full - now > self._burst * self._refill_s:
                return False
            self._full[platform] = full
            return True

    def require(self, platform: str) -> None:
        """Take one.

        Raises:
            RefusedError: there is none.
        """
        if not self.take(platform):
            raise RefusedError("busy")
