"""What `isthmus server up` does: keep the SuperLink, the control service and the coordinator going.

The supervisor holds no state of the federation: killed at any moment, it takes its children with it
and is started again.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from threading import Event
from typing import Any, Final

from isthmus.errors import IsthmusError
from isthmus.identity import Authority
from isthmus.supervision import Program, Supervisor, alone
from isthmus_server.health import HealthServer
from isthmus_server.server_certificate import renew_certificate, renewal_due
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import load_settings
from isthmus_server.state import open_state

PROCESSES: Final = {
    "superlink": "isthmus_server.flower.superlink",
    "control": "isthmus_server.control",
    "coordinator": "isthmus_server.coordinator",
}
SERVICES: Final = ("enrolment", "control", "fleet", "private")
"""What listens, by its key in `run/ports.json`."""

_TEND_S: Final = 60.0  # between two looks at the certificate
_PROBE_S: Final = 1.0  # for a port to take a connection
_log = logging.getLogger(__name__)


class Server:
    """A server that runs while the context is open.

    Args:
        home: of a server that was made.

    Raises:
        DataMissingError, ScenarioError: there is no server, or its settings are wrong.
        ServiceError: it runs already, or a port is taken.
        StateError: the state cannot be opened, or is of a newer release.
    """

    def __init__(self, home: ServerHome) -> None:
        self.home = home
        self.settings = load_settings(home)
        self._supervisor = Supervisor(_programs(home), home.logs)
        self._health: HealthServer | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """The processes run until the context is left; then they are ended."""
        with alone(self.home.runtime, f"the server in {self.home.folder}"):
            self.tend()
            open_state(self.settings.database_url(self.home)).close()
            (self.home.runtime / "ports.json").unlink(missing_ok=True)
            self._health = HealthServer(self.settings.health_port, self.look)
            try:
                self._supervisor.start()
                yield
            finally:
                self._supervisor.stop()
                self._health.close()

    def tend(self) -> None:
        """Renew the server's certificate where half of its life is over.

        Raises:
            IdentityError: the certificate or the authority's key is missing or unreadable.
        """
        if not renewal_due(self.home, self.settings):
            return
        renew_certificate(self.home, self.settings, Authority.open(self.home.authority))
        _log.info("the server's certificate was renewed")

    def look(self) -> Mapping[str, Any]:
        """How the processes and ports are; `reasons` is empty where all is ready."""
        children = [asdict(each) for each in self._supervisor.status()]
        ports = self.ports()
        reasons = [f"{c['name']}: {c['reason']}" for c in children if c["state"] != "running"]
        reasons += [f"{name} does not listen yet" for name in SERVICES if not _takes(ports, name)]
        return {"ready": not reasons, "reasons": reasons, "processes": children, "ports": ports}

    def ports(self) -> dict[str, int]:
        """Where the processes said that they listen."""
        health = {"health": self._health.port} if self._health else {}
        try:
            return {**health, **json.loads((self.home.runtime / "ports.json").read_bytes())}
        except (OSError, ValueError):
            return health

    def wait(self, stop: Event) -> None:
        """Tend the server until it is told to stop."""
        while not stop.wait(_TEND_S):
            try:
                self.tend()
            except (
                IsthmusError,
                OSError,
            ) as error:  # the old certificate is good for as long again
                _log.error("the server's certificate could not be renewed: %s", error)


def _programs(home: ServerHome) -> list[Program]:
    """The three processes, one thread each."""
    folder = str(home.folder.resolve())
    calm = {"OMP_NUM_THREADS": "1", "FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
    calm |= {"GRPC_SSL_CIPHER_SUITES": "ECDHE-PSK-AES256-CBC-SHA"}  # see isthmus.control.channel
    return [
        Program(name, (sys.executable, "-m", module, folder), calm)
        for name, module in PROCESSES.items()
    ]


def _takes(ports: Mapping[str, int], name: str) -> bool:
    """Whether a connection to a service's port is taken."""
    if name not in ports:
        return False
    try:
        socket.create_connection(("127.0.0.1", ports[name]), _PROBE_S).close()
    except OSError:
        return False
    return True
