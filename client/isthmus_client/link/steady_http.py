"""HTTP over TLS that is given up only when no byte moves, as neither httpx nor `ssl` count it.

`ssl` gives one timeout to a whole body that is written, and httpx waits for an answer no longer
than its read timeout, even while the body that it answers is still on its way over a slow line.
Here a body is written in pieces, and the wait for an answer lasts as long as the kernel still has
bytes of ours that go out.
"""

from __future__ import annotations

import fcntl
import ssl
import struct
import termios
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpcore
import httpx

_PIECE: Final = 16 * 1024  # bytes written at once: the longest record of TLS
_SLOWEST: Final = 1024  # bytes a second that count as moving: a record is there whole, or not
_LOOK_S: Final = 1.0  # between two looks whether bytes go out


class SteadyTransport(httpx.BaseTransport):
    """A transport of `httpx.Client`; its timeouts count from the last byte that moved.

    Args:
        context: of TLS.
        kept_s: that a connection is kept for another request; less than the server keeps it.
    """

    def __init__(self, context: ssl.SSLContext, *, kept_s: float) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=context, keepalive_expiry=kept_s, network_backend=_Steady()
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and read its answer whole.

        Raises:
            httpx.TransportError: there is no connection, or no byte moved for too long.
        """
        wanted = httpcore.Request(
            request.method,
            str(request.url),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _told(request):
            found = self._pool.handle_request(wanted)
            try:
                content = found.read()
            finally:
                found.close()
        return httpx.Response(found.status, headers=found.headers, content=content)

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.close()


class _Steady(httpcore.NetworkBackend):
    """Makes connections."""

    def __init__(self) -> None:
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        options = {"local_address": local_address, "socket_options": socket_options}
        return _Stream(self._plain.connect_tcp(host, port, timeout=timeout, **options))  # type: ignore[arg-type]


class _Stream(httpcore.NetworkStream):
    """A connection on which moving bytes start the clock anew."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if timeout is None:
            return self._inner.read(max_bytes)
        left, moved = self._unsent(), time.monotonic()
        while True:
            spare = moved + timeout - time.monotonic()
            try:
                return self._inner.read(max_bytes, max(0.001, min(_LOOK_S, spare)))
            except httpcore.ReadTimeout:
                now = self._unsent()
                if now < left:
                    left, moved = now, time.monotonic()
                elif time.monotonic() >= moved + timeout:
                    raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        whole = memoryview(buffer)
        size = _PIECE if timeout is None else min(_PIECE, max(_SLOWEST, int(timeout * _SLOWEST)))
        for at in range(0, len(whole), size):
            self._inner.write(bytes(whole[at : at + size]), timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def _unsent(self) -> int:
        """Bytes of ours that the other end has not yet taken; 0 where the system does not say."""
        made = self._inner.get_extra_info("socket")
        try:
            told = fcntl.ioctl(made, termios.TIOCOUTQ, bytes(4))
        except (OSError, ValueError):
            return 0
        return int(struct.unpack("i", told)[0])


@contextmanager
def _told(request: httpx.Request) -> Iterator[None]:
    """Errors in httpx's words."""
    try:
        yield
    except httpcore.TimeoutException as error:
        raise httpx.ReadTimeout(str(error), request=request) from error
    except httpcore.ConnectError as error:
        raise httpx.ConnectError(str(error), request=request) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise httpx.NetworkError(str(error), request=request) from error
