"""What stands between the network and Flower: who may ask, what may be asked, and how much.

A request passes if it is one of a few paths, its body is within bounds, its certificate is that of
an approved platform, and the node key that signs it is that platform's. Flower itself checks the
signature on its own paths; on ours (`fleet_api`) the gate does.
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

_CHUNK: Final = 256 * 1024  # bytes written at once: between two chunks, bytes have moved
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
    """

    alarm: Callable[[str, str], None]
    release: Callable[[bytes], None]
    node_id: Callable[[bytes], int | None]


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
        platform *and* a request under that very platform's node key; a node answers in its own
        name alone.
    """

    def __init__(
        self, flower: App, ours: App, roster: Roster, hooks: Hooks, *, idle_s: float
    ) -> None:
        self._flower, self._ours = flower, ours
        self._roster, self._hooks, self._idle_s = roster, hooks, idle_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or say why not."""
        if scope["type"] != "http":
            return
        try:
            await self._pass(scope, receive, self._steady(send))
        except RefusedError as refused:
            if refused.event:
                peer: PeerCertificate | None = scope[PEER]
                name = peer.platform if peer else ""
                await asyncio.to_thread(self._hooks.alarm, name, refused.event)
            await _answer(send, refused.status, refused.reason)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path not in LIMITS or scope["method"] != "POST":
            raise RefusedError(404, "not-found")
        key = await self._identified(scope)
        body = await self._body(receive, LIMITS[path], _length_of(scope))
        if path == _ACTIVATE:
            await asyncio.to_thread(self._hooks.release, key)
        if path == _PUSH:
            _require_own_name(body)
        if path.startswith(OURS):
            node = await asyncio.to_thread(self._authenticated, scope, key)
            await self._ours({**scope, "isthmus.node": node}, _given(body), send)
        else:
            await self._flower(scope, _given(body), send)

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
        return keys[peer.platform]

    def _authenticated(self, scope: Scope, key: bytes) -> int:
        if not signed_by(dict(scope["headers"]), key):
            raise RefusedError(401, "signature", "it did not sign with its node key")
        if (node := self._hooks.node_id(key)) is None:
            raise RefusedError(503, "not-registered-yet")
        return node

    async def _body(self, receive: Receive, limit: int, length: int | None) -> bytes:
        if length is not None and length > limit:
            raise RefusedError(413, "too-large", f"it sent a body of {length} bytes")
        parts, size = [], 0
        while True:
            try:
                message = await asyncio.wait_for(receive(), self._idle_s)
            except TimeoutError:
                raise RefusedError(408, "idle") from None
            if message["type"] == "http.disconnect":
                raise RefusedError(400, "gone")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise RefusedError(413, "too-large", f"it sent a body of more than {limit} bytes")
            if not message.get("more_body"):
                return b"".join(parts)

    def _steady(self, send: Send) -> Send:
        """Write in chunks, and give up when none is taken for `idle_s`."""

        async def steady(message: Any) -> None:
            body = message.get("body", b"")
            if len(body) <= _CHUNK:
                await asyncio.wait_for(send(message), self._idle_s)
                return
            for start in range(0, len(body), _CHUNK):
                last = start + _CHUNK >= len(body)
                part = {**message, "body": body[start : start + _CHUNK]}
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
