"""The border of the services: whoever calls is known, and whatever goes wrong is told in one way.

A handler raises `RefusedError` to say no. Every other error is logged here, and the caller learns
only that the server could not do it: no text of an exception leaves the server.

gRPC gives a call a thread and lets it wait there for its message, as long as the caller likes: a
few dozen calls without a message would end the service. So handlers are given the message by the
border, which looks first at who calls, and does not wait for long.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Final, NoReturn

import grpc

from isthmus.control.idle import watched
from isthmus.control.limits import MEMBER_CALLS, MEMBER_MESSAGE_S, STRANGER_MESSAGE_S
from isthmus.control.reasons import METADATA_KEY, Reason, RefusedError
from isthmus.errors import IdentityError
from isthmus.identity import PeerCertificate, platform_of
from isthmus_server.control.federation import Federation
from isthmus_server.control.places import Places
from isthmus_server.state import PlatformRow

MEMBERSHIP: Final = "/isthmus.control.v1.Membership/"
OURS: Final = "/isthmus.control.v1."
HEALTH: Final = "/grpc.health.v1.Health/Check"
_CODES: Final[dict[Reason, grpc.StatusCode]] = {
    "absent": grpc.StatusCode.NOT_FOUND,
    "busy": grpc.StatusCode.UNAVAILABLE,
    "clock": grpc.StatusCode.FAILED_PRECONDITION,
    "failed": grpc.StatusCode.INTERNAL,
    "invalid": grpc.StatusCode.INVALID_ARGUMENT,
}
_log = logging.getLogger(__name__)

Handler = Callable[[Any, grpc.ServicerContext], Any]


class Border(grpc.ServerInterceptor):  # type: ignore[type-arg]
    """Lets members call `Membership`, and tells every refusal in one form.

    Guarantees:
        Of a method of `Membership`, not a byte of a message is waited for before the caller is
        known as a member, and none is worked on after it ceased to be one. No member has more than
        its share of the service's threads. Nothing but our services and the health check answers.
    """

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._places = Places(MEMBER_CALLS)

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Wrap the handler of a call to one of our services, or to the health check."""
        handler = continuation(handler_call_details)
        method: str = handler_call_details.method
        if handler is None or not (method.startswith(OURS) or method == HEALTH):
            return None
        coding = (handler.request_deserializer, handler.response_serializer)
        if handler.unary_stream is not None:
            stream = self._stream(handler.unary_stream, method)
            return grpc.stream_stream_rpc_method_handler(stream, *coding)
        return grpc.stream_unary_rpc_method_handler(
            self._unary(handler.unary_unary, method), *coding
        )

    def _unary(self, call: Handler, method: str) -> Handler:
        def wrapped(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
            try:
                with ExitStack() as stack:
                    request = self._admitted(requests, context, method, stack)
                    return call(request, context)
            except Exception as error:  # noqa: BLE001 - the border: nothing may pass it as it is
                _refuse(context, _refusal(error, method))

        return wrapped

    def _stream(self, call: Handler, method: str) -> Handler:
        def wrapped(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            try:
                with ExitStack() as stack:
                    request = self._admitted(requests, context, method, stack)
                    yield from call(request, context)
            except Exception as error:  # noqa: BLE001 - as above
                _refuse(context, _refusal(error, method))

        return wrapped

    def _admitted(
        self,
        requests: Iterator[Any],
        context: grpc.ServicerContext,
        method: str,
        stack: ExitStack,
    ) -> Any:
        """The call's message, of a caller that may call; `stack` keeps the caller's place.

        Raises:
            RefusedError: it may not, or has too many calls under way.
        """
        if not method.startswith(MEMBERSHIP):
            return _message(requests, context, STRANGER_MESSAGE_S)
        require_member(self._federation, context)
        stack.enter_context(self._places.one(peer_of(context).platform))
        request = _message(requests, context, MEMBER_MESSAGE_S)
        require_member(self._federation, context)  # it may have taken its time
        return request


def _message(requests: Iterator[Any], context: grpc.ServicerContext, seconds: float) -> Any:
    """The one message of a call; the call is ended where it does not come in time.

    Raises:
        RefusedError: there is none.
    """
    with watched(context.cancel, seconds):
        try:
            return next(requests)
        except (StopIteration, grpc.RpcError):
            raise RefusedError("invalid") from None


def require_member(federation: Federation, context: grpc.ServicerContext) -> None:
    """Refuse whoever is no approved platform with a certificate that counts.

    Guarantees:
        A platform is judged by the state as it is at this call: what was revoked a moment ago is
        refused now.

    Raises:
        RefusedError: says in one word why.
    """
    peer = peer_of(context)
    if peer.expired(federation.now):
        raise RefusedError("expired")
    row = require_approved(federation, peer.platform)
    if f"{peer.serial:x}" not in (row.serial, row.serial_before):
        raise RefusedError("unknown")


def require_approved(federation: Federation, platform: str) -> PlatformRow:
    """The platform's row, if it is approved now; for a transfer that outlives its certificate.

    Raises:
        RefusedError: it is not.
    """
    row = federation.state.platforms.get(platform)
    if row is None:
        raise RefusedError("unknown")
    if row.status != "approved":
        raise RefusedError(row.status)
    return row


def peer_of(context: grpc.ServicerContext) -> PeerCertificate:
    """Whose certificate the caller showed; TLS has checked who issued it.

    Raises:
        RefusedError: it is no platform's.
    """
    shown: Any = context.auth_context().get("x509_pem_cert", ())
    try:
        return platform_of(next(iter(shown)))
    except (StopIteration, IdentityError):
        raise RefusedError("unknown") from None


def require_caller(context: grpc.ServicerContext) -> None:
    """Do nothing more for a caller that is gone, such as a process that was killed.

    Its successor may have opened a session meanwhile; its last words must not look like a clone.

    Raises:
        RefusedError: nobody will read it.
    """
    if not context.is_active():
        raise RefusedError("closed")


def _refusal(error: Exception, method: str) -> RefusedError:
    """What is told of an error, which is logged unless it is a refusal."""
    if isinstance(error, RefusedError):
        return error
    _log.error("%s failed", method, exc_info=error)
    return RefusedError("failed")


def _refuse(context: grpc.ServicerContext, error: RefusedError) -> NoReturn:
    context.set_trailing_metadata(((METADATA_KEY, error.reason),))
    code = _CODES.get(error.reason, grpc.StatusCode.PERMISSION_DENIED)
    context.abort(code, str(error))
    raise AssertionError  # abort does not return
