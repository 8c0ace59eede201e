"""What stands between the network and Flower: who may ask, what may be asked, and how much.

A request passes if it is one of a few paths, its certificate is that of an approved platform, the
node key that signs it is that platform's, and its body is within bounds. All but the last is known
before a byte of the body is taken: a signature is of its moment, and a large body may take longer
than that. Flower checks the signature once more on its own paths.
"""

from __future__ import annotations

import asyncio
import json
import logging
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from flwr.proto.fleet_pb2 import PushMessagesRequest
from google.protobuf.message import DecodeError

from isthmus.errors import StateError
from isthmus.identity import PeerCertificate
from isthmus_server.flower.listener import PEER
from isthmus_server.flower.roster import Roster
from isthmus_server.flower.shares import Place, Shares, Told
from isthmus_server.flower.signatures import PUBLIC_KEY, signed_by

MIB: Final = 1024 * 1024
OURS: Final = "/isthmus/fleet/"
_FLOWER: Final = "/v1/fleet/"
_ACTIVATE: Final = _FLOWER + "activate-node"
_PUSH: Final = _FLOWER + "push-messages"

LIMITS: Final[Mapping[str, int]] = {
    _ACTIVATE: 64 * 1024,
    _FLOWER + "deactivate-node": 64 * 1024,
    _FLOWER + "send-node-heartbeat": 64 * 1024,
    _FLOWER + "pull-messages": 64 * 1024,
    _FLOWER + "get-run": 64 * 1024,
    _FLOWER + "get-fab": 64 * 1024,
    _FLOWER + "pull-object": 64 * 1024,
    _FLOWER + "confirm-message-received": 64 * 1024,
    _PUSH: 8 * MIB,
    _FLOWER + "push-object": 8 * MIB,  # an array travels in pieces of 5 MiB
    OURS + "pull": MIB,
    OURS + "push": 128 * MIB,
}
"""Paths that there are for platforms, and bytes of the body of each."""

_CHUNK: Final = 16 * 1024  # bytes written at once: between two chunks, bytes have moved
_SLOWEST: Final = 1024  # bytes a second that count as moving
_log = logging.getLogger(__name__)

Scope = Any
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class RefusedError(Exception):
    """A request does not pass.

    Attributes:
        status: of HTTP.
        reason: a stable word for the platform: `revoked`, `expired`, ...
        event: what the operator is told; "" = nothing.
    """

    def __init__(self, status: int, reason: str, event: str = "") -> None:
        super().__init__(reason)
        self.status, self.reason, self.event = status, reason, event


@dataclass(frozen=True)
class Hooks:
    """What the gate does besides letting through.

    Attributes:
        alarm: told of a platform (or "") and of a refusal, for the operator.
        release: lets a node with this key come back at once.
        node_id: of a node key.
        good_serial: whether a platform may show a certificate of this serial.
    """

    alarm: Callable[[str, str], None]
    release: Callable[[bytes], None]
    node_id: Callable[[bytes], int | None]
    good_serial: Callable[[str, int], bool]


class Gate:
    """The public application.

    Args:
        flower: answers Flower's own paths.
        ours: answers ours; the scope's `isthmus.node` names the node.
        roster: who is approved.
        hooks: see there.
        idle_s: without a byte moving, after which a request is given up.

    Guarantees:
        Nothing reaches Flower or our own paths without a certificate in force of an approved
        platform, its newest or the one before, *and* a request under that very platform's node key;
        a node answers in its own name alone. No platform holds more than its share of requests and
        memory, or fills the operator's table with its refusals.
    """

    def __init__(
        self, flower: App, ours: App, roster: Roster, hooks: Hooks, *, idle_s: float
    ) -> None:
        self._flower, self._ours = flower, ours
        self._roster, self._hooks, self._idle_s = roster, hooks, idle_s
        self._shares, self._told = Shares(), Told()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or say why not."""
        if scope["type"] != "http":
            return
        try:
            await self._pass(scope, receive, self._steady(send))
        except RefusedError as refused:
            peer: PeerCertificate | None = scope[PEER]
            name = peer.platform if peer else ""
            if refused.event and self._told.is_news(name, refused.event):
                await asyncio.to_thread(self._hooks.alarm, name, refused.event)
            await _answer(send, refused.status, refused.reason)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path not in LIMITS or scope["method"] != "POST":
            raise RefusedError(404, "not-found")
        key = await self._identified(scope)
        if not await asyncio.to_thread(signed_by, dict(scope["headers"]), key):
            raise RefusedError(401, "signature", "it did not sign with its node key")
        with self._shares.one(scope[PEER].platform) as place:
            if place is None:
                raise RefusedError(429, "busy", "it asked too much at once")
            body = await self._body(receive, LIMITS[path], _length_of(scope), place)
            await self._answered(scope, await self._identified(scope), body, send)

    async def _answered(self, scope: Scope, key: bytes, body: bytes, send: Send) -> None:
        """Hand the request over; whoever asks was looked at again after its body."""
        path = scope["path"]
        if path == _ACTIVATE:
            await asyncio.to_thread(self._hooks.release, key)
        if path == _PUSH:
            _require_own_name(body)
        if not path.startswith(OURS):
            await self._flower(scope, _given(body), send)
            return
        if (node := await asyncio.to_thread(self._hooks.node_id, key)) is None:
            raise RefusedError(503, "not-registered-yet")
        await self._ours({**scope, "isthmus.node": node}, _given(body), send)

    async def _identified(self, scope: Scope) -> bytes:
        """The node key that the certificate's platform is approved with."""
        peer: PeerCertificate | None = scope[PEER]
        if peer is None:
            raise RefusedError(403, "no-platform", "its certificate is no platform's")
        if peer.expired(datetime.now(UTC)):
            raise RefusedError(403, "expired", "its certificate has expired")
        try:
            stale = self._roster.stale()
            keys = await asyncio.to_thread(self._roster.keys) if stale else self._roster.keys()
        except StateError:
            raise RefusedError(503, "state-unavailable") from None
        if peer.platform not in keys:
            raise RefusedError(403, "not-approved", "it is not approved, and asked nevertheless")
        if _header(scope, PUBLIC_KEY) != keys[peer.platform]:
            raise RefusedError(403, "other-key", "it came with the node key of another")
        await self._require_current(peer)
        return keys[peer.platform]

    async def _require_current(self, peer: PeerCertificate) -> None:
        """Refuse a certificate that was superseded: a copy of it may be in use."""
        try:
            good = await asyncio.to_thread(self._hooks.good_serial, peer.platform, peer.serial)
        except StateError:
            raise RefusedError(503, "state-unavailable") from None
        if not good:
            raise RefusedError(403, "superseded", "it came with a superseded certificate")

    async def _body(self, receive: Receive, limit: int, length: int | None, place: Place) -> bytes:
        """The whole body, which counts as held until the request is over."""
        if length is not None and length > limit:
            raise RefusedError(413, "too-large", f"it announced a body of more than {limit} bytes")
        parts, size, more = [], 0, True
        while more:
            part, more = await self._part(receive)
            parts.append(part)
            size += len(part)
            if size > limit:
                raise RefusedError(413, "too-large", f"it sent a body of more than {limit} bytes")
            if not place.hold(len(part)):
                raise RefusedError(429, "busy", "it sent too much at once")
        return b"".join(parts)

    async def _part(self, receive: Receive) -> tuple[bytes, bool]:
        """A part of the body, and whether there is more."""
        try:
            message = await asyncio.wait_for(receive(), self._idle_s)
        except TimeoutError:
            raise RefusedError(408, "idle") from None
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "gone")
        return message.get("body", b""), message.get("more_body", False)

    def _steady(self, send: Send) -> Send:
        """Write in chunks, and give up when none is taken for `idle_s`."""
        size = min(_CHUNK, max(_SLOWEST, int(self._idle_s * _SLOWEST)))

        async def steady(message: Any) -> None:
            body = message.get("body", b"")
            if len(body) <= size:
                await asyncio.wait_for(send(message), self._idle_s)
                return
            for start in range(0, len(body), size):
                last = start + size >= len(body)
                part = {**message, "body": body[start : start + size]}
                part["more_body"] = message.get("more_body", False) or not last
                await asyncio.wait_for(send(part), self._idle_s)

        return steady


def _require_own_name(body: bytes) -> None:
    """Flower compares a reply's sender with the message's receiver, not with who sends it."""
    try:
        request = PushMessagesRequest.FromString(body)
    except DecodeError:
        raise RefusedError(400, "malformed") from None
    own = request.node.node_id
    if any(message.metadata.src_node_id != own for message in request.messages_list):
        raise RefusedError(403, "other-name", "it answered in the name of another")


def _header(scope: Scope, name: bytes) -> bytes | None:
    values = [value for key, value in scope["headers"] if key == name]
    try:
        return b64decode(values[0], validate=True) if len(values) == 1 else None
    except ValueError:
        return None


def _length_of(scope: Scope) -> int | None:
    values = [value for key, value in scope["headers"] if key == b"content-length"]
    return int(values[0]) if values and values[0].isdigit() else None


def _given(body: bytes) -> Receive:
    """A body that was read already; afterwards, the request is as good as disconnected."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if left:
            return left.pop()
        await asyncio.Event().wait()  # Starlette asks whether the peer left; it is not told
        return {"type": "http.disconnect"}

    return receive


async def _answer(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"refused": reason}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
