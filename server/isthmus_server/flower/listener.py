"""Two HTTP listeners in one event loop: the public one knows whose certificate a request is under.

Uvicorn does not tell an application about its peer, so that our protocol class does.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from isthmus.errors import IdentityError, ServiceError
from isthmus.identity import PeerCertificate, platform_of

PEER: Final = "isthmus.peer"
"""Of a request's scope: the platform's certificate; None where it is no platform's."""

_BACKLOG: Final = 256  # connections that wait to be accepted
_GRACE_S: Final = 2  # for requests under way when we stop
_MAX_CONNECTIONS: Final = 2_000
_UNSENT: Final = 64 * 1024  # bytes that wait to be sent at most: so that a slow line is felt
MAX_OF_ONE: Final = 64
"""Connections under one platform's certificates; a node has a handful."""

_log = logging.getLogger(__name__)


class PeerProtocol(H11Protocol):
    """HTTP/1.1 that puts the peer's certificate, as TLS checked it, into each request's scope.

    Guarantees:
        A connection on which no request begins is closed, and so is one too many of a platform,
        were it revoked long ago: nobody can take all places by keeping still.
    """

    holder = ""  # platform whose certificate it is

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Read the certificate once for the connection."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(_UNSENT, _UNSENT * 3 // 4)
        peer, served = _peer_of(transport), self.app
        self.holder = peer.platform if peer is not None else ""
        same = (each for each in self.connections if isinstance(each, PeerProtocol))
        if sum(each.holder == self.holder for each in same) > MAX_OF_ONE:
            transport.abort()
            return
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await served({**scope, PEER: peer}, receive, send)

        self.app = app


def _peer_of(transport: asyncio.Transport) -> PeerCertificate | None:
    shown = transport.get_extra_info("ssl_object")
    certificate = shown.getpeercert(binary_form=True) if shown is not None else None
    if certificate is None:
        return None
    try:
        return platform_of(certificate)
    except IdentityError as error:
        _log.warning("a certificate of our authority is refused: %s", error)
        return None


class Listener(uvicorn.Server):
    """One listener; signals are the program's business, not its."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


def private_listener(app: Any, *, idle_s: float) -> Listener:
    """Plain HTTP, for loopback; it starts and ends the application.

    Args:
        app: an ASGI application.
        idle_s: that a connection without requests is kept.
    """
    return Listener(uvicorn.Config(app, lifespan="on", **_common(idle_s)))


def public_listener(app: Any, context: ssl.SSLContext, *, idle_s: float) -> Listener:
    """TLS with client certificates.

    Args:
        app: an ASGI application; each scope has the peer under `PEER`.
        context: may be given another certificate while it is in use.
        idle_s: that a connection without requests is kept.
    """
    common: dict[str, Any] = {**_common(idle_s), "http": PeerProtocol}
    return Listener(
        uvicorn.Config(app, lifespan="off", ssl_context_factory=lambda *_: context, **common)
    )


def _common(idle_s: float) -> dict[str, Any]:
    return {
        "http": H11Protocol,
        "ws": "none",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,  # nobody may say that he is another
        "timeout_keep_alive": max(1, int(idle_s)),
        "timeout_graceful_shutdown": _GRACE_S,
        "limit_concurrency": _MAX_CONNECTIONS,
    }


def bound(host: str, port: int, *, before: int = 0) -> socket.socket:
    """A socket that listens.

    Args:
        host: address to bind.
        port: 0 = any.
        before: where 0 is asked for: the port of the process before, taken if it is free, so that
            who spoke with that one finds this one.

    Raises:
        ServiceError: the address or port cannot be had.
    """
    if port == 0 and before:
        try:
            return _bound(host, before)
        except OSError:
            _log.info("port %d of the process before is taken", before)
    try:
        return _bound(host, port)
    except OSError as error:
        raise ServiceError(
            f"{host}:{port} cannot be listened on: {error.strerror}",
            hint="another server runs here, or change the port in server.toml",
        ) from error


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small packets at once only where the protocol is named; else each waits 40 ms
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a peer that was cut off
        listening.bind((host, port))
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening
