"""What members call. The border has let in only approved platforms with a certificate in force."""

from __future__ import annotations

import hmac
import logging
import threading
import time
from collections.abc import Iterator
from typing import Final

import grpc

from isthmus.control import control_pb2 as wire
from isthmus.control.anchoring import told_anchor
from isthmus.control.idle import watched
from isthmus.control.limits import (
    LINES_REFILL_S,
    MAX_KNOWN,
    MAX_REASON,
    MAX_TICKET,
    MEMBER_LINES,
    MEMBER_TRANSFERS,
)
from isthmus.control.reasons import RefusedError
from isthmus.errors import IdentityError
from isthmus.federation_contract_signing import Answer, verify_answer
from isthmus.identity import require_request
from isthmus_server.control.federation import Federation
from isthmus_server.control.heartbeats import Heartbeats
from isthmus_server.control.offers import members, offers
from isthmus_server.control.places import Allowance, Places
from isthmus_server.control.refusals import peer_of, require_approved, require_caller
from isthmus_server.control.releases import find_release, release_chunks
from isthmus_server.state import PlatformRow, ReleaseRow, RunRow

TRANSFERS: Final = 8  # releases sent at the same time
_log = logging.getLogger(__name__)


class MembershipService:
    """For approved platforms."""

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._heartbeats = Heartbeats(federation)
        self._transfers = threading.BoundedSemaphore(TRANSFERS)
        self._places = Places(MEMBER_TRANSFERS)
        self._lines = Allowance(MEMBER_LINES, LINES_REFILL_S)

    def OpenSession(  # noqa: N802
        self, request: wire.OpenSessionRequest, context: grpc.ServicerContext
    ) -> wire.OpenSessionReply:
        """Replace the ticket of the session before; an old one is a clone's."""
        name = peer_of(context).platform
        if not 0 < len(request.ticket) <= MAX_TICKET or len(request.previous) > MAX_TICKET:
            raise RefusedError("invalid")
        require_caller(context)
        answer = self._federation.state.platforms.open_session(
            name, request.previous, request.ticket
        )
        if answer == "clone":
            self._federation.write("clone", platform=name)
        if answer != "opened":
            raise RefusedError(answer)
        heartbeat = self._federation.settings.heartbeat_s
        return wire.OpenSessionReply(server=self._federation.server(), heartbeat_s=heartbeat)

    def Heartbeat(  # noqa: N802
        self, request: wire.HeartbeatRequest, context: grpc.ServicerContext
    ) -> wire.HeartbeatReply:
        """Note that a platform lives; tell it of its runs."""
        name = peer_of(context).platform
        if len(request.ticket) > MAX_TICKET or len(request.known_contracts) > MAX_KNOWN:
            raise RefusedError("invalid")
        require_caller(context)
        self._heartbeats.note(name, request)
        federation, row = self._federation, self._row(name)
        head, known = told_anchor(federation.log), frozenset(request.known_contracts)
        told = offers(federation.state, name, known, federation.wall())
        return wire.HeartbeatReply(
            time=federation.wall(),
            audit=wire.Anchor(lines=head.lines, hash=head.hash),
            offers=told,
            renew=federation.due(row),
            heartbeat_s=federation.settings.heartbeat_s,
        )

    def Renew(self, request: wire.RenewRequest, context: grpc.ServicerContext) -> wire.RenewReply:  # noqa: N802
        """A new certificate for a new key; the one in use stays good until that is followed."""
        name = peer_of(context).platform
        self._require_session(name, request.ticket, context)
        try:
            require_request(request.csr_pem, name)
        except IdentityError:
            raise RefusedError("invalid") from None
        self._lines.require(name)
        return wire.RenewReply(
            certificate_pem=self._federation.issue(name, request.csr_pem).certificate
        )

    def Decide(  # noqa: N802
        self, request: wire.DecideRequest, context: grpc.ServicerContext
    ) -> wire.DecideReply:
        """A platform's answer to a contract, which it signed."""
        row = self._require_session(peer_of(context).platform, request.ticket, context)
        run = self._run(request.run, row.name)
        if len(request.reason) > MAX_REASON:
            raise RefusedError("invalid")
        if request.contract_sha256 != run.contract_sha256:
            raise RefusedError("absent")
        self._decide(run.id, row, _answer(request), request)
        return wire.DecideReply()

    def FetchRelease(  # noqa: N802
        self, request: wire.FetchReleaseRequest, context: grpc.ServicerContext
    ) -> Iterator[wire.ReleaseChunk]:
        """The files of a release of a run that the platform takes part in, while it may."""
        row = self._require_session(peer_of(context).platform, request.ticket, context)
        found = find_release(self._federation.state, request.release, request.run)
        self._run(found.run, row.name)
        self._lines.require(row.name)
        with self._places.one(row.name):
            if not self._transfers.acquire(blocking=False):
                raise RefusedError("busy")
            try:
                yield from self._sent(found, row.name, context)
            finally:
                self._transfers.release()
        self._federation.write("release-fetched", release=found.id, platform=row.name)

    def _sent(
        self, release: ReleaseRow, platform: str, context: grpc.ServicerContext
    ) -> Iterator[wire.ReleaseChunk]:
        """A release's chunks, to whom is still a member: looked at as often as it should beat."""
        settings, looked = self._federation.settings, time.monotonic()
        with watched(context.cancel, settings.idle_s) as watch:
            for chunk in release_chunks(self._federation.home, release):
                yield chunk
                watch.moved()
                if time.monotonic() - looked > settings.heartbeat_s:
                    require_approved(self._federation, platform)
                    looked = time.monotonic()

    def _decide(
        self, run: str, row: PlatformRow, answer: Answer, request: wire.DecideRequest
    ) -> None:
        """Note an answer, if the platform signed it."""
        contract, reason, signature = request.contract_sha256, request.reason, request.signature
        try:
            verify_answer(contract, row.name, answer, reason, signature, row.signing)
        except IdentityError:
            raise RefusedError("invalid") from None
        self._lines.require(row.name)
        state = self._federation.state
        state.runs.decide(run, row.name, answer, reason, signature)
        text = f"{row.name} {answer} the contract" + (f": {reason}" if reason else "")
        state.events.add("info", f"contract-{answer}", text, run=run, platform=row.name)
        self._federation.write("decision", decision=answer, run=run, platform=row.name)

    def _row(self, name: str) -> PlatformRow:
        row = self._federation.state.platforms.get(name)
        if row is None:
            raise RefusedError("unknown")
        return row

    def _run(self, run: str, platform: str) -> RunRow:
        """A run of which the platform is a member; others are as if they were not."""
        row = self._federation.state.runs.get(run)
        if row is None or platform not in members(row.contract):
            raise RefusedError("absent")
        return row

    def _require_session(
        self, name: str, ticket: str, context: grpc.ServicerContext
    ) -> PlatformRow:
        """The platform's row, if the ticket is of its open session; another ticket is a clone's.

        Raises:
            RefusedError: it is another, or none is open.
        """
        require_caller(context)
        row = self._row(name)
        if row.session is None or _same(ticket, row.session_before):
            raise RefusedError("closed")  # as where one thread opened anew while another called
        if not _same(ticket, row.session):
            self._suspend(name)
            raise RefusedError("clone")
        return row

    def _suspend(self, name: str) -> None:
        note = "its identity is in use twice: a call came with the ticket of another session"
        self._federation.state.platforms.set_status(name, "suspended", note)
        text = f"{name} is suspended: {note}; approve it again when only one is left"
        self._federation.state.events.add("alarm", "clone", text, platform=name)
        self._federation.write("clone", platform=name)


def _same(ticket: str, other: str | None) -> bool:
    return other is not None and hmac.compare_digest(ticket.encode(), other.encode())


def _answer(request: wire.DecideRequest) -> Answer:
    """What the platform says.

    Raises:
        RefusedError: neither yes nor no.
    """
    if request.decision == "approved":
        return "approved"
    if request.decision == "refused":
        return "refused"
    raise RefusedError("invalid")
