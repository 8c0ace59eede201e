"""Joining: an invitation is used once, and the certificate waits for the operator's approval."""

from __future__ import annotations

import logging

import grpc

from isthmus.control import control_pb2 as wire
from isthmus.control.collecting import collect_message
from isthmus.control.limits import TOLD_AT_ONCE, TOLD_REFILL_S
from isthmus.control.reasons import RefusedError
from isthmus.errors import IdentityError
from isthmus.identity import JoinRequest, is_signed, require_request
from isthmus_server.control.federation import Federation
from isthmus_server.control.places import Allowance
from isthmus_server.control.refusals import require_caller
from isthmus_server.state import PlatformRow

_log = logging.getLogger(__name__)


class EnrolmentService:
    """For callers that have no certificate.

    Guarantees:
        Whoever lacks a good invitation or an enrolled signing key learns nothing of the roster:
        one refusal for every fault, and no name is confirmed.
    """

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._told = Allowance(TOLD_AT_ONCE, TOLD_REFILL_S)

    def Join(self, request: wire.JoinRequest, context: grpc.ServicerContext) -> wire.JoinReply:  # noqa: N802
        """Use an invitation; the same request again gets the same answer."""
        require_caller(context)
        try:
            asked = JoinRequest.from_bytes(request.request)
            row = self._enrolled(asked)
        except IdentityError as error:
            self._note_refusal(str(error))
            raise RefusedError("invitation") from None
        return wire.JoinReply(status=row.status, server=self._federation.server())

    def Collect(  # noqa: N802
        self, request: wire.CollectRequest, context: grpc.ServicerContext
    ) -> wire.CollectReply:
        """The certificate of an approved platform, for the key that it asks for now."""
        require_caller(context)
        row = self._signed_by(request)
        server = self._federation.server()
        if row.status != "approved":
            return wire.CollectReply(status=row.status, note=row.status_note, server=server)
        pem = self._certificate(row, request.csr_pem)
        return wire.CollectReply(status=row.status, certificate_pem=pem, server=server)

    def _enrolled(self, asked: JoinRequest) -> PlatformRow:
        """The platform's row.

        Raises:
            IdentityError: for any fault of the invitation.
            StateError: the state cannot be written.
        """
        platforms, keys = self._federation.state.platforms, asked.keys
        there = platforms.get(asked.name)
        same = there is not None and (there.signing, there.node_key) == (keys.signing, keys.node)
        if there is not None and there.status == "approved" and not same:
            raise IdentityError(f"{asked.name!r} is approved with other keys")
        row = platforms.enrol(
            asked.token,
            asked.name,
            signing=keys.signing,
            node_key=keys.node,
            fingerprint=keys.fingerprint,
            csr=asked.csr_pem,
        )
        if not same:
            self._federation.write("joined", platform=row.name, fingerprint=row.fingerprint)
            text = f"{row.name} asks to join with {row.fingerprint}"
            self._federation.state.events.add("info", "joined", text, platform=row.name)
        return row

    def _signed_by(self, request: wire.CollectRequest) -> PlatformRow:
        row = self._federation.state.platforms.get(request.name)
        authority = self._federation.authority.certificate_pem
        message = collect_message(request.name, request.csr_pem, authority)
        if row is None or not is_signed(row.signing, message, request.signature):
            raise RefusedError("unknown")
        return row

    def _certificate(self, row: PlatformRow, csr_pem: bytes) -> bytes:
        """A certificate; who asks again for the same key gets the one that there is."""
        try:
            require_request(csr_pem, row.name)
        except IdentityError:
            raise RefusedError("invalid") from None
        if row.certificate is not None and csr_pem == row.csr and not self._federation.due(row):
            return row.certificate
        issued = self._federation.issue(row.name, csr_pem).certificate
        if issued is None:
            raise RefusedError("failed")
        return issued

    def _note_refusal(self, why: str) -> None:
        """Tell the operator; what a stranger wrote goes to the log alone, where it fills no table.

        A stranger who tries again and again is told of now and then: each time is a write.

        Neither the token nor any other part of the request is in `why` but the name.
        """
        if not self._told.take(""):
            return
        _log.warning("a request to join was refused: %s", why)
        text = "a request to join was refused; the control service's log says why"
        self._federation.state.events.add("warning", "join-refused", text)
