"""Messages out, replies in as they come, up to a deadline: over any of Flower's Grids."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from flwr.app import Message
from flwr.serverapp import Grid

from isthmus_server.flower.faults import InterruptedWaitError

News = Generator[Sequence[Message], None, None]


@dataclass(frozen=True)
class Clock:
    """Time, as the strategy sees it; a test gives its own."""

    now: Callable[[], float] = time.monotonic  # seconds
    pause: Callable[[float], None] = time.sleep
    poll_s: float = 1.0  # seconds between two looks at who is online
    reply_poll_s: float = 0.02  # seconds between two looks for replies


@runtime_checkable
class Streaming(Protocol):
    """A Grid that itself waits for news, which takes no polling."""

    def stream(self, messages: Sequence[Message], *, timeout: float) -> News:
        """What came since the last look, again and again; it may be nothing.

        It ends when all have answered or the seconds are over; closing it lets go of the rest.
        """
        ...


@dataclass(frozen=True)
class Exchange:
    """How the strategy talks to platforms.

    Attributes:
        grid: that carries the messages.
        clock: the strategy's.
        interrupt: asked between two looks; a reason to give the round up, or "".
    """

    grid: Grid
    clock: Clock
    interrupt: Callable[[], str] = lambda: ""

    def check(self) -> None:
        """Look whether somebody wants something else.

        Raises:
            InterruptedWaitError: with the reason.
        """
        if reason := self.interrupt():
            raise InterruptedWaitError(reason)

    def replies(self, messages: Sequence[Message], until: float) -> Generator[Message, None, None]:
        """Each reply as it comes; one for each message at most.

        Args:
            messages: to nodes, one each.
            until: time of the clock at which nothing more is waited for.

        Raises:
            InterruptedWaitError: somebody wants something else.
        """
        self.check()
        waiting = {message.metadata.dst_node_id for message in messages}
        with closing(self._stream(messages, until)) as stream:
            for news in stream:
                for reply in news:
                    if reply.metadata.src_node_id in waiting:
                        waiting.remove(reply.metadata.src_node_id)
                        yield reply
                self.check()

    def _stream(self, messages: Sequence[Message], until: float) -> News:
        if isinstance(self.grid, Streaming):
            timeout = max(until - self.clock.now(), 0.0)
            return self.grid.stream(messages, timeout=timeout)
        return self._polled(messages, until)

    def _polled(self, messages: Sequence[Message], until: float) -> News:
        """News of a Grid that has to be asked."""
        waiting = {name for name in self.grid.push_messages(messages) if name}
        while waiting:
            news = list(self.grid.pull_messages(list(waiting)))
            waiting -= {reply.metadata.reply_to_message_id for reply in news}
            yield news
            if waiting and self.clock.now() >= until:
                return
            if waiting and not news:
                self.clock.pause(self.clock.reply_poll_s)
