import json
import urllib.request
from urllib.error import HTTPError

import pytest

from isthmus.errors import ServiceError
from isthmus_server.health import HealthServer


def asked(port: int, path: str) -> tuple[int, dict]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_readiness_follows_the_look_and_liveness_does_not():
    found = {"ready": False, "reasons": ["control: killed by signal 9"]}
    server = HealthServer(0, lambda: found)
    try:
        assert asked(server.port, "/healthz") == (200, {"alive": True})
        assert asked(server.port, "/readyz") == (503, found)
        found["ready"] = True
        assert asked(server.port, "/readyz")[0] == 200
        assert asked(server.port, "/etc/passwd")[0] == 404
    finally:
        server.close()


def test_a_port_in_use_is_named():
    first = HealthServer(0, lambda: {"ready": True})
    try:
        with pytest.raises(ServiceError, match=str(first.port)):
            HealthServer(first.port, lambda: {"ready": True})
    finally:
        first.close()
