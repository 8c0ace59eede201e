"""The border of the services: whoever calls is known, and whatever goes wrong is told in one way.

A handler raises `RefusedError` to say no. Every other error is logged here, and the caller learns
only that the server could not do it: no text of an exception leaves the server.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

import grpc

from isthmus.control.reasons import METADATA_KEY, Reason, RefusedError
from isthmus.errors import IdentityError
from isthmus.identity import PeerCertificate, platform_of
from isthmus_server.control.federation import Federation

MEMBERSHIP: Final = "/isthmus.control.v1.Membership/"
OURS: Final = "/isthmus.control.v1."
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
    """Lets members call `Membership`, and tells every refusal in one form."""

    def __init__(self, federation: Federation) -> None:
        self._federation = federation

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Wrap the handler of a call to one of our services; others pass."""
        handler = continuation(handler_call_details)
        method: str = handler_call_details.method
        if handler is None or not method.startswith(OURS):
            return handler
        members = method.startswith(MEMBERSHIP)
        if handler.unary_stream is not None:
            return handler._replace(unary_stream=self._stream(handler.unary_stream, method))
        return handler._replace(unary_unary=self._unary(handler.unary_unary, method, members))

    def _unary(self, call: Handler, method: str, members: bool) -> Handler:
        def wrapped(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                if members:
                    require_member(self._federation, context)
                return call(request, context)
            except Exception as error:  # noqa: BLE001 - the border: nothing may pass it as it is
                _refuse(context, _refusal(error, method))

        return wrapped

    def _stream(self, call: Handler, method: str) -> Handler:
        def wrapped(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            try:
                require_member(self._federation, context)
                yield from call(request, context)
            except Exception as error:  # noqa: BLE001 - as above
                _refuse(context, _refusal(error, method))

        return wrapped


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
    row = federation.state.platforms.get(peer.platform)
    if row is None:
        raise RefusedError("unknown")
    if row.status != "approved":
        raise RefusedError(row.status)
    if f"{peer.serial:x}" not in (row.serial, row.serial_before):
        raise RefusedError("unknown")


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
