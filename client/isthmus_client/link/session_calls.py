"""The control service's calls as the platform makes them: values in, values out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from isthmus.audit_log import Anchor
from isthmus.control import control_pb2 as wire
from isthmus.control.channel import open_channel, told_error
from isthmus.control.services import stub
from isthmus.plain_text import plain
from isthmus_client.link.enrolled import Credentials, Enrolment
from isthmus_client.link.session_told import (
    told_head,
    told_key,
    told_pause,
    told_ports,
    told_time,
)

IDLE_S: Final = 60.0  # seconds for a call of at most 1 MiB each way
_WORDS: Final = 2_000  # characters of a text of the server's


@dataclass(frozen=True)
class RunOffer:
    """A run that the platform may take part in.

    Attributes:
        run: its id.
        contract_sha256: of `contract`, hexadecimal.
        contract: canonical JSON; empty where the platform said that it knows it.
        signature: of `contract`, by the server's key.
        status: what the run does now.
        reason: why.
    """

    run: str
    contract_sha256: str
    contract: bytes
    signature: bytes
    status: str
    reason: str


@dataclass(frozen=True)
class ServerFacts:
    """What the server tells of itself.

    Attributes:
        federation: its name.
        signing_key: Ed25519, 32 raw bytes.
        ports: by listener.
    """

    federation: str
    signing_key: bytes
    ports: Mapping[str, int]


@dataclass(frozen=True)
class BeatReply:
    """What a heartbeat brought.

    Attributes:
        time: the server's clock, seconds since 1970.
        audit: how far the server's log had come.
        offers: runs that are not over.
        renew: whether the certificate should be renewed.
        heartbeat_s: until the next heartbeat.
    """

    time: float
    audit: Anchor
    offers: tuple[RunOffer, ...]
    renew: bool
    heartbeat_s: float


class EnrolmentCalls:
    """Calls of who has no certificate; to be closed."""

    def __init__(self, server: str, port: int, authority_pem: bytes) -> None:
        self._where = f"{server}:{port}"
        self._channel = open_channel(server, port, authority_pem)
        self._stub = stub(self._channel, "Enrolment")

    def join(self, request: bytes) -> tuple[str, ServerFacts]:
        """Use an invitation; the platform's status and who the server is."""
        reply = _call(self._stub.Join, wire.JoinRequest(request=request), self._where, IDLE_S)
        return plain(reply.status, _WORDS), _server(reply.server)

    def collect(
        self, name: str, csr_pem: bytes, signature: bytes
    ) -> tuple[str, str, bytes, ServerFacts]:
        """Status, its note, the certificate (empty where not approved), who the server is."""
        request = wire.CollectRequest(name=name, csr_pem=csr_pem, signature=signature)
        reply = _call(self._stub.Collect, request, self._where, IDLE_S)
        status, note = plain(reply.status, _WORDS), plain(reply.note, _WORDS)
        return status, note, reply.certificate_pem, _server(reply.server)

    def close(self) -> None:
        """Let go of the connection."""
        self._channel.close()


class MembershipCalls:
    """Calls of a member; to be closed."""

    def __init__(
        self, enrolment: Enrolment, credentials: Credentials, idle_s: float = IDLE_S
    ) -> None:
        self._idle_s = idle_s
        port = enrolment.ports["control"]
        self._where = f"{enrolment.server}:{port}"
        self._channel = open_channel(
            enrolment.server,
            port,
            enrolment.authority_pem,
            credentials.key_pem,
            credentials.certificate_pem,
        )
        self._stub = stub(self._channel, "Membership")

    def open_session(self, previous: str, ticket: str) -> tuple[ServerFacts, float]:
        """Replace a ticket; who the server is, and seconds between heartbeats."""
        request = wire.OpenSessionRequest(previous=previous, ticket=ticket)
        reply = _call(self._stub.OpenSession, request, self._where, self._idle_s)
        return _server(reply.server), reply.heartbeat_s

    def heartbeat(
        self,
        ticket: str,
        time: float,
        round_trip_s: float,
        facts: Mapping[str, Any],
        audit: Anchor,
        known: Sequence[str],
    ) -> BeatReply:
        """Tell that the platform lives; see the protocol for the fields.

        Raises:
            MessageRefusedError: what the server tells cannot be true.
        """
        request = wire.HeartbeatRequest(
            ticket=ticket,
            time=time,
            round_trip_s=round_trip_s,
            facts_json=json.dumps(facts, sort_keys=True, allow_nan=False),
            audit=wire.Anchor(lines=audit.lines, hash=audit.hash),
            known_contracts=known,
        )
        reply = _call(self._stub.Heartbeat, request, self._where, self._idle_s)
        return BeatReply(
            told_time(reply.time, time),
            told_head(reply.audit.lines, reply.audit.hash),
            tuple(map(_offer, reply.offers)),
            reply.renew,
            told_pause(reply.heartbeat_s),
        )

    def renew(self, ticket: str, csr_pem: bytes) -> bytes:
        """A certificate, PEM."""
        request = wire.RenewRequest(ticket=ticket, csr_pem=csr_pem)
        reply: wire.RenewReply = _call(self._stub.Renew, request, self._where, self._idle_s)
        return reply.certificate_pem

    def decide(
        self,
        ticket: str,
        run: str,
        contract_sha256: str,
        decision: str,
        reason: str,
        signature: bytes,
    ) -> None:
        """The platform's answer to a contract."""
        request = wire.DecideRequest(
            ticket=ticket,
            run=run,
            contract_sha256=contract_sha256,
            decision=decision,
            reason=reason,
            signature=signature,
        )
        _call(self._stub.Decide, request, self._where, self._idle_s)

    def fetch_release(
        self, ticket: str, release: str, run: str
    ) -> tuple[Iterator[wire.ReleaseChunk], Callable[[], None]]:
        """A release's chunks, without a deadline; and what cuts the transfer off."""
        request = wire.FetchReleaseRequest(ticket=ticket, release=release, run=run)
        call = self._stub.FetchRelease(request)
        return self._chunks(call), lambda: call.cancel()  # noqa: PLW0108 - it returns a value

    def _chunks(self, call: Any) -> Iterator[wire.ReleaseChunk]:
        try:
            yield from call
        except grpc.RpcError as error:
            raise told_error(error, self._where) from None

    def close(self) -> None:
        """Let go of the connection."""
        self._channel.close()


def _call(method: Any, request: Message, where: str, idle_s: float) -> Any:
    """Make a call whose answer is one message.

    Raises:
        RefusedError: the server said no, and why.
        ServiceError: it could not be reached, or a message was over its bound.
    """
    try:
        return method(request, timeout=idle_s)
    except grpc.RpcError as error:
        raise told_error(error, where) from None


def _server(told: wire.Server) -> ServerFacts:
    name = plain(told.federation, _WORDS)
    return ServerFacts(name, told_key(told.signing_key), told_ports(told.ports))


def _offer(told: wire.RunOffer) -> RunOffer:
    status, reason = plain(told.status, _WORDS), plain(told.reason, _WORDS)
    return RunOffer(told.run, told.contract_sha256, told.contract, told.signature, status, reason)
