"""Whether a certificate is the one that its platform has now, or the one before it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

FRESH_S: Final = 1.0
"""Seconds for which a good answer counts; a bad one is looked up again each time."""

_MOST: Final = 1024  # remembered answers

Look = Callable[[str], tuple[str | None, str | None] | None]
"""A platform's serial and the one before, hexadecimal; None = there is no such platform."""


class Serials:
    """Knows superseded certificates, which are good until their hours are over otherwise.

    Args:
        look: reads the state.
        now: seconds of a clock that never goes back.
    """

    def __init__(self, look: Look, now: Callable[[], float] = time.monotonic) -> None:
        self._look, self._now = look, now
        self._good: dict[tuple[str, int], float] = {}
        self._lock = threading.Lock()

    def good(self, platform: str, serial: int) -> bool:
        """Whether the platform may show a certificate of this serial.

        Raises:
            StateError: the state cannot be read.
        """
        key = (platform, serial)
        with self._lock:
            if self._now() - self._good.get(key, -FRESH_S) < FRESH_S:
                return True
        found = self._look(platform)
        if found is None or f"{serial:x}" not in found:
            return False
        with self._lock:
            if len(self._good) >= _MOST:
                self._good.clear()
            self._good[key] = self._now()
        return True
