"""Wake requests that wait for news, from any thread, so that nobody has to ask again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

Key = int | str
T = TypeVar("T")

MAX_WAIT_S: Final = 20.0
"""For which a request is kept waiting at most."""

_LOOK_S: Final = 1.0  # between two looks without a bell: a message may have expired


class Bells:
    """One bell for each key; of the event loop in which requests wait."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[Key, set[asyncio.Event]] = {}
        self._closed = False

    def start(self) -> None:
        """Belong to the running event loop."""
        self._loop = asyncio.get_running_loop()

    def ring(self, key: Key) -> None:
        """There is news for those who wait for this key; safe in every thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ring, key)

    def close(self) -> None:
        """Let nobody wait any more."""
        self._closed = True
        for key in list(self._waiting):
            self._ring(key)

    async def first(
        self, key: Key, wait_s: float, look: Callable[[], Awaitable[T | None]]
    ) -> T | None:
        """What `look` finds, at the latest after `wait_s` seconds.

        Args:
            key: whose bell may bring it.
            wait_s: 0 = one look.
            look: None = nothing yet.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + min(wait_s, MAX_WAIT_S)
        while True:
            bell = asyncio.Event()  # hung up before the look, so that no news is missed
            self._waiting.setdefault(key, set()).add(bell)
            try:
                found, left = await look(), until - loop.time()
                if found is not None or left <= 0 or self._closed:
                    return found
                await _heard(bell, min(left, _LOOK_S))
            finally:
                self._waiting[key].discard(bell)

    def _ring(self, key: Key) -> None:
        for bell in self._waiting.get(key, ()):
            bell.set()


async def _heard(bell: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(bell.wait(), seconds)
    except TimeoutError:
        return
