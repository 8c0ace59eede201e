"""The control service's two listeners, and the life of their process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from isthmus.audit_log import AuditLog
from isthmus.control.channel import server_options
from isthmus.control.limits import MAX_MESSAGE, MAX_STRANGERS
from isthmus.control.services import add_service
from isthmus.errors import ServiceError
from isthmus.identity import Authority, load_signing_key
from isthmus.supervision import turn
from isthmus_server.control.enrolment import EnrolmentService
from isthmus_server.control.federation import Federation
from isthmus_server.control.membership import MembershipService
from isthmus_server.control.refusals import Border
from isthmus_server.control.transport import CertificateSource, prove_tls13
from isthmus_server.ports import announce, announced
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import Settings, load_settings
from isthmus_server.state import State, open_state

SIGNING_KEY: Final = "signing.key"
_THREADS: Final = 32  # calls at work in one listener, of which 8 may be transfers
_CALLS: Final = 256  # calls at work or waiting in one listener; more are turned away
_GRACE_S: Final = 2.0  # for calls under way when the service stops
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Running:
    """A control service that listens.

    Attributes:
        ports: `enrolment` and `control`.
    """

    ports: dict[str, int]
    _servers: tuple[grpc.Server, ...]
    _health: health.HealthServicer

    def stop(self) -> None:
        """Take no more calls, and wait a moment for those under way."""
        self._health.enter_graceful_shutdown()
        for event in [server.stop(_GRACE_S) for server in self._servers]:
            event.wait()


def serve(home: ServerHome, state: State, authority: Authority, settings: Settings) -> Running:
    """Listen, and say where in `run/ports.json`.

    Guarantees:
        No handshake below TLS 1.3 succeeds; that was tried at each port. Members come in with a
        certificate of `authority` alone, and each call is held against the state as it is then.

    Raises:
        ServiceError: a port is taken, or TLS 1.2 gets through.
        IdentityError: a key or certificate is missing or damaged.
        OSError: `run/` cannot be written.
    """
    log = AuditLog(home.audit, load_signing_key(home.identity / SIGNING_KEY))
    federation = Federation(home, state, authority, settings, log)
    told = health.HealthServicer()
    told.set("", health_pb2.HealthCheckResponse.SERVING)
    enrolment = _server(federation, told, MAX_STRANGERS)
    membership = _server(federation, told, MAX_MESSAGE)
    add_service(enrolment, "Enrolment", EnrolmentService(federation))
    add_service(membership, "Membership", MembershipService(federation))
    before = announced(home)
    ports = {
        "enrolment": _bind(
            enrolment,
            settings.listen,
            settings.enrolment_port or before.get("enrolment", 0),
            CertificateSource(home, authority.certificate_pem).credentials(require_client=False),
        ),
        "control": _bind(
            membership,
            settings.listen,
            settings.control_port or before.get("control", 0),
            CertificateSource(home, authority.certificate_pem).credentials(require_client=True),
        ),
    }
    running = Running(ports, (enrolment, membership), told)
    enrolment.start()
    membership.start()
    try:
        for port in ports.values():
            prove_tls13(_own(settings.listen), port)
        announce(home, ports)
    except BaseException:
        running.stop()
        raise
    _log.info("the control service listens", extra={"ports": ports})
    return running


def main(folder: Path, stop: threading.Event, ready: Callable[[], None] = lambda: None) -> None:
    """Serve a server's folder until the event is set.

    Args:
        folder: of a server that was made.
        stop: ends it.
        ready: called when it listens.

    Raises:
        IsthmusError: it cannot start; says why.
    """
    home = ServerHome(folder)
    settings = load_settings(home)
    with (
        turn(home.runtime, "control", stop) as held,
        open_state(settings.database_url(home)) as state,
    ):
        if not held:
            return
        running = serve(home, state, Authority.open(home.authority), settings)
        try:
            ready()
            stop.wait()
        finally:
            running.stop()


def _server(federation: Federation, told: health.HealthServicer, largest: int) -> grpc.Server:
    server = grpc.server(
        ThreadPoolExecutor(_THREADS, thread_name_prefix="control"),
        interceptors=[Border(federation)],
        options=server_options(largest),
        maximum_concurrent_rpcs=_CALLS,
    )
    health_pb2_grpc.add_HealthServicer_to_server(told, server)
    return server


def _bind(server: grpc.Server, listen: str, port: int, credentials: grpc.ServerCredentials) -> int:
    host = f"[{listen}]" if ":" in listen else listen
    try:
        return server.add_secure_port(f"{host}:{port}", credentials)
    except RuntimeError as error:
        raise ServiceError(
            f"port {port} of {listen} is not free",
            hint="another server runs here, or change the port in server.toml",
        ) from error


def _own(listen: str) -> str:
    """An address of this machine at which a listener answers."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen, listen)  # noqa: S104 - no binding
