"""What one platform may take of the SuperLink at a time, so that the others get theirs."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

MAX_REQUESTS: Final = 16
"""Of one platform under way; a stock node has about ten."""

MAX_HELD: Final = 256 * 1024 * 1024
"""Bytes of unfinished bodies of one platform: two of the largest that pass."""

TOLD_AGAIN_S: Final = 10.0
"""Between two times that an operator is told the same: each is a write to the state."""

_MAX_TOLD: Final = 1_000  # things that were told; platforms and refusals are few


@dataclass
class _Used:
    """What one platform has in use."""

    requests: int = 0
    held: int = 0  # bytes


class Place:
    """A request under way.

    Args:
        used: by its platform.
    """

    def __init__(self, used: _Used) -> None:
        self._used, self._held = used, 0

    def hold(self, size: int) -> bool:
        """Whether as many more bytes are within the platform's share; they count until the end."""
        self._held += size
        self._used.held += size
        return self._used.held <= MAX_HELD

    def end(self) -> None:
        """The request is over."""
        self._used.held -= self._held
        self._used.requests -= 1


class Shares:
    """All platforms' shares; of one event loop."""

    def __init__(self) -> None:
        self._used: dict[str, _Used] = defaultdict(_Used)

    @contextmanager
    def one(self, platform: str) -> Iterator[Place | None]:
        """A request's place; None = there is none left for this platform."""
        used = self._used[platform]
        if used.requests >= MAX_REQUESTS:
            yield None
            return
        used.requests += 1
        place = Place(used)
        try:
            yield place
        finally:
            place.end()
            if not used.requests:
                self._used.pop(platform, None)


class Told:
    """Which alarms were raised a moment ago, and need not be again.

    Args:
        now: seconds of a clock that never goes back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._last: dict[tuple[str, str], float] = {}

    def is_news(self, platform: str, text: str) -> bool:
        """Whether it was not told for a while; it counts as told from now on."""
        now, key = self._now(), (platform, text)
        if now - self._last.get(key, -TOLD_AGAIN_S) < TOLD_AGAIN_S:
            return False
        if len(self._last) >= _MAX_TOLD:
            self._last.clear()
        self._last[key] = now
        return True
