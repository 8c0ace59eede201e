"""Flower's fleet connection with our own TLS and clock, and our two paths beside it.

The certificate may be replaced while requests are under way: those end on the connection that they
began on, later ones show the new certificate.
"""

from __future__ import annotations

import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from flwr.common.constant import TIMESTAMP_HEADER
from flwr.supercore.constant import FLEET_HTTP_PUBLIC_KEY_HEADER, FLEET_HTTP_SIGNATURE_HEADER
from flwr.supercore.interceptors.http.runtime_version import RuntimeVersionHttpInterceptor
from flwr.supercore.primitives.asymmetric import public_key_to_bytes, sign_message
from flwr.supercore.protobuf.client import (
    ProtobufCall,
    ProtobufClientInterceptor,
    ProtobufRequestContext,
)
from flwr.supernode.fleet_http_client import FleetHttpClient

from isthmus_client.link.steady_http import SteadyTransport

ContextFactory = Callable[[], ssl.SSLContext]
Ahead = Callable[[], float]
"""Seconds by which this machine's clock is ahead of the server's, as last measured."""

_COMPONENT: Final = "SuperNode"
_KEPT_S: Final = 5.0  # that a connection is kept for another request


@dataclass(frozen=True)
class Signer:
    """Signs requests as Flower asks of a node, by the server's time.

    Flower takes a timestamp that is up to 300 s old and 5 s young: with its own clock a machine
    that is 6 s ahead could not speak at all.

    Attributes:
        key: the platform's node key, P-384.
        ahead: of this machine's clock.
    """

    key: EllipticCurvePrivateKey
    ahead: Ahead

    def headers(self) -> dict[str, str]:
        """Of one request."""
        stamp = (datetime.now(UTC) - timedelta(seconds=self.ahead())).isoformat()
        public = public_key_to_bytes(self.key.public_key())
        return {
            FLEET_HTTP_PUBLIC_KEY_HEADER: b64encode(public).decode("ascii"),
            TIMESTAMP_HEADER: stamp,
            FLEET_HTTP_SIGNATURE_HEADER: b64encode(
                sign_message(self.key, stamp.encode("ascii"))
            ).decode("ascii"),
        }

    def intercept(self, context: ProtobufRequestContext, call_next: ProtobufCall) -> httpx.Response:
        """Sign one of Flower's requests."""
        context.request.headers.update(self.headers())
        return call_next(context)


class FleetHttp:
    """Connections to the server's fleet listener.

    Args:
        address: `host:port`.
        signer: of every request.
        context: makes the TLS context from the certificate in use.
        idle_s: seconds in which no byte moves, after which a request is given up; nothing else
            limits a request.
    """

    def __init__(
        self, address: str, signer: Signer, context: ContextFactory, *, idle_s: float
    ) -> None:
        self._url = f"https://{address}"
        self._signer, self._context, self._idle_s = signer, context, idle_s
        self._lock = threading.Lock()
        self._current: _Pair | None = (
            None  # made when it is needed: a new platform has no certificate
        )

    @contextmanager
    def flower(self) -> Iterator[FleetHttpClient]:
        """Flower's client, for the requests of one call."""
        with self._using() as pair:
            yield pair.flower

    def post(self, path: str, body: bytes, **query: str) -> httpx.Response:
        """One of our own requests.

        Raises:
            httpx.TransportError: the server cannot be reached, or no byte moved for too long.
        """
        with self._using() as pair:
            headers = {"content-type": "application/octet-stream", **self._signer.headers()}
            return pair.ours.post(self._url + path, content=body, params=query, headers=headers)

    def renew(self) -> None:
        """Show the certificate that is on the disk now, from the next request on.

        Raises:
            IdentityError: it cannot be used; the old one stays in use.
        """
        fresh = self._pair()
        with self._lock:
            old, self._current = self._current, fresh
            if old is not None:
                old.retired = True
        if old is not None and old.users == 0:
            old.close()

    def move(self, address: str) -> None:
        """Speak to another address from the next request on.

        Raises:
            IdentityError: as of `renew`.
        """
        self._url = f"https://{address}"
        self.renew()

    def close(self) -> None:
        """Let go of the connections."""
        if self._current is not None:
            self._current.close()

    @contextmanager
    def _using(self) -> Iterator[_Pair]:
        with self._lock:
            pair = self._current = self._current or self._pair()
            pair.users += 1
        try:
            yield pair
        finally:
            with self._lock:
                pair.users -= 1
                last = pair.retired and pair.users == 0
            if last:
                pair.close()

    def _pair(self) -> _Pair:
        context, kept_s = self._context(), min(_KEPT_S, self._idle_s / 2)
        version = RuntimeVersionHttpInterceptor(component_name=_COMPONENT)
        interceptors: list[ProtobufClientInterceptor] = [version, self._signer]
        flower = FleetHttpClient(
            self._url, interceptors=interceptors, verify=context, timeout=self._idle_s
        )
        ours = httpx.Client(
            transport=SteadyTransport(context, kept_s=kept_s),
            timeout=self._idle_s,
            trust_env=False,
        )
        return _Pair(flower, ours)


@dataclass
class _Pair:
    """Clients that show one certificate."""

    flower: FleetHttpClient
    ours: httpx.Client
    users: int = 0
    retired: bool = False

    def close(self) -> None:
        self.flower.close()
        self.ours.close()
