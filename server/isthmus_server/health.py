"""Liveness and readiness over HTTP, on loopback, for whoever watches the server's processes.

GET /healthz   200 while the supervisor lives
GET /readyz    200 where every process runs and every port answers, else 503 with the reasons
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from isthmus.errors import ServiceError

Look = Callable[[], Mapping[str, Any]]
"""How the server is: `ready` says whether it is, all else is told as it stands."""


class HealthServer:
    """Answers until it is closed.

    Args:
        port: on loopback; 0 takes any free one.
        look: how the server is now.

    Raises:
        ServiceError: the port is taken.
    """

    def __init__(self, port: int, look: Look) -> None:
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(look))
        except OSError as error:
            raise ServiceError(
                f"port {port} of 127.0.0.1, for health checks, is not free: {error.strerror}",
                hint="another server runs here, or change health_port in server.toml",
            ) from error
        self._thread = Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it answers."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


def _handler(look: Look) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/healthz":
                self._answer(HTTPStatus.OK, {"alive": True})
            elif self.path == "/readyz":
                found = look()
                good = HTTPStatus.OK if found["ready"] else HTTPStatus.SERVICE_UNAVAILABLE
                self._answer(good, found)
            else:
                self._answer(HTTPStatus.NOT_FOUND, {"paths": ["/healthz", "/readyz"]})

        def _answer(self, status: HTTPStatus, value: Mapping[str, Any]) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: probes come every second."""

    return Handler
