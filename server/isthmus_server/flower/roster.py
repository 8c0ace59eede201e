"""Which platforms may speak to the SuperLink now: read from the state, at most a moment old."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from isthmus.errors import StateError

FRESH_S: Final = 0.5
"""Seconds for which what was read counts: a revocation holds within this time and one reading."""

_GIVE_UP_S: Final = 10.0  # without a reading, after which nobody is let in
_log = logging.getLogger(__name__)


class Roster:
    """Public node keys of the approved platforms, by name.

    Args:
        load: reads them.
        changed: told of them after each reading.
        now: seconds of a clock that never goes back.

    Guarantees:
        A state that cannot be read for 10 s lets nobody in.
    """

    def __init__(
        self,
        load: Callable[[], Mapping[str, bytes]],
        changed: Callable[[Mapping[str, bytes]], None] = lambda _: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load, self._changed, self._now = load, changed, now
        self._keys: Mapping[str, bytes] = {}
        self._read = -float("inf")
        self._lock = threading.Lock()

    def keys(self) -> Mapping[str, bytes]:
        """The approved platforms' keys.

        Raises:
            StateError: the state cannot be read for longer than a moment.
        """
        with self._lock:
            if self._now() - self._read >= FRESH_S:
                self._refresh()
            return self._keys

    def stale(self) -> bool:
        """Whether `keys` would read the state."""
        return self._now() - self._read >= FRESH_S

    def _refresh(self) -> None:
        try:
            keys = dict(self._load())
        except StateError as error:
            if self._now() - self._read > _GIVE_UP_S:
                raise
            _log.warning("the roster is read again later: %s", error)
            return
        self._changed(keys)
        self._keys, self._read = keys, self._now()
