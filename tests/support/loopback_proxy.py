"""A middle man on a loopback address of its own, at the server's very ports.

A platform whose invitation names that address as its server's never learns of another, so that all
that it sends, to any of the server's listeners, passes here.
"""

import asyncio
import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from concurrent.futures import Future

SERVER = "127.0.0.1"


class LoopbackProxy(ABC):
    """Listens while the context is open; what becomes of a connection is a subclass's.

    Args:
        host: another address of the loopback net, such as 127.0.0.2.
        ports: of the server, at 127.0.0.1; the same are listened on here.
    """

    def __init__(self, host: str, ports: Iterable[int]) -> None:
        self.host, self._ports = host, tuple(ports)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._servers: list[asyncio.Server] = []

    def __enter__(self):
        self._thread.start()
        self.do(self._listen())
        return self

    def __exit__(self, *_):
        self.do(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    def do(self, coroutine, seconds: float = 20.0):
        """Run something in the proxy's thread; its result."""
        found: Future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        return found.result(seconds)

    async def _listen(self):
        for port in self._ports:
            self._servers.append(await self.listener(port))

    @abstractmethod
    async def listener(self, port: int) -> asyncio.Server:
        """Listens on one port."""

    async def _end(self):
        for server in self._servers:
            server.close()
        mine = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not mine]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def both(one, other):
    """Until either of two directions ends; then the other ends too."""
    tasks = {asyncio.ensure_future(one), asyncio.ensure_future(other)}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def dropped(*writers: asyncio.StreamWriter) -> None:
    """Cut connections off, as a network does, without a goodbye."""
    for writer in writers:
        with contextlib.suppress(RuntimeError, OSError):
            writer.transport.abort()
