"""A network that does what a test wants: cut, slow, late, or silent; TLS passes as it is."""

import asyncio
import socket
from contextlib import contextmanager
from dataclasses import dataclass

from loopback_proxy import SERVER, LoopbackProxy, both, dropped

_PIECE = 1024  # bytes moved at once
_SMALL = 2048  # bytes of the kernel's buffers, so that whoever sends feels how slow it is


@dataclass(frozen=True)
class Weather:
    """What happens to bytes, in each direction.

    Attributes:
        refuse: connections are cut, and new ones too, as soon as they are there.
        silent: connections stay, and no byte of theirs arrives.
        late_s: after which a byte arrives.
        rate: bytes a second of one connection; 0 = as many as there are.
    """

    refuse: bool = False
    silent: bool = False
    late_s: float = 0.0
    rate: float = 0.0


FINE = Weather()


class BadNetwork(LoopbackProxy):
    """All connections of one platform with the server."""

    def __init__(self, host, ports) -> None:
        super().__init__(host, ports)
        self._weather = FINE
        self._sound = asyncio.Event()
        self._sound.set()
        self._live: set[asyncio.StreamWriter] = set()
        self.connections = 0
        self.moved = 0  # bytes, in both directions

    def set(self, weather: Weather) -> None:
        """From now on; refusing cuts what is there."""
        self.do(self._set(weather))

    def cut(self) -> None:
        """Cut all connections; new ones are let through."""
        self.do(self._cut())

    @contextmanager
    def having(self, weather: Weather):
        """This weather as long as the context lasts."""
        self.set(weather)
        try:
            yield
        finally:
            self.set(FINE)

    async def _set(self, weather):
        self._weather = weather
        (self._sound.clear if weather.silent else self._sound.set)()
        if weather.refuse:
            await self._cut()

    async def _cut(self):
        dropped(*self._live)

    async def listener(self, port):
        listening = _small(socket.socket())
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((self.host, port))

        async def serve(reader, writer):
            await self._serve(reader, writer, port)

        return await asyncio.start_server(serve, sock=listening, limit=_PIECE)

    async def _serve(self, reader, writer, port):
        self.connections += 1
        self._live.add(writer)
        try:
            if not self._weather.refuse:
                await self._joined(reader, writer, port)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._live.discard(writer)
            dropped(writer)

    async def _joined(self, reader, writer, port):
        await self._sound.wait()
        raw = _small(socket.socket())
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, (SERVER, port))
        there, back = await asyncio.open_connection(sock=raw, limit=_PIECE)
        self._live.add(back)
        try:
            await both(self._carry(reader, back), self._carry(there, writer))
        finally:
            self._live.discard(back)
            dropped(back)

    async def _carry(self, reader, writer):
        """Bytes in one direction, in their order; lateness makes them no fewer."""
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        arriving = asyncio.ensure_future(self._arrive(line, writer))
        try:
            while data := await reader.read(_PIECE):
                line.put_nowait((self.loop.time() + self._weather.late_s, data))
                if self._weather.rate:
                    await line.join()  # a slow line that is full takes no more
            line.put_nowait((self.loop.time() + self._weather.late_s, b""))
            await arriving
        finally:
            arriving.cancel()

    async def _arrive(self, line, writer):
        while True:
            due, data = await line.get()
            await asyncio.sleep(max(0.0, due - self.loop.time()))
            await self._sound.wait()
            if not data:
                return
            await self._write(writer, data)
            line.task_done()

    async def _write(self, writer, data):
        rate = self._weather.rate
        step = max(1, int(rate / 10)) if rate else len(data)
        for at in range(0, len(data), step):
            writer.write(data[at : at + step])
            self.moved += len(data[at : at + step])
            await writer.drain()
            if rate:
                await asyncio.sleep(0.1)


def _small(made: socket.socket) -> socket.socket:
    for which in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        made.setsockopt(socket.SOL_SOCKET, which, _SMALL)
    return made
