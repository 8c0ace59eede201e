"""The control service as a process: its ports, its end, its health, its restart."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager

import grpc
import pytest
from control_cases import joined, session, settings
from grpc_health.v1 import health_pb2, health_pb2_grpc

from isthmus.errors import ServiceError
from isthmus.identity import Authority
from isthmus_server.new_server import create_server
from isthmus_server.ports import announced
from isthmus_server.roster import open_roster
from isthmus_server.server_home import ServerHome

ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith("GRPC_")
} | {"OMP_NUM_THREADS": "1"}
"""Without what this process has set for itself: the service has to set it."""


class Process:
    """The service's process beside an opened roster: what the operator's commands do."""

    def __init__(self, home, roster):
        self.home, self.roster = home, roster
        self.child = None

    def start(self):
        log = (self.home.logs / "control.log").open("ab")
        with log:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "isthmus_server.control", str(self.home.folder)],
                env=ENVIRONMENT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        self.wait_until(self.serves)

    def serves(self):
        assert self.child.poll() is None, (self.home.logs / "control.log").read_text()
        port = announced(self.home).get("enrolment")
        return port and self.health(port) == health_pb2.HealthCheckResponse.SERVING

    def health(self, port):
        authority = Authority.open(self.home.authority).certificate_pem
        credentials = grpc.ssl_channel_credentials(authority)
        with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            try:
                return stub.Check(health_pb2.HealthCheckRequest(), timeout=5).status
            except grpc.RpcError:
                return None

    def wait_until(self, condition):
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline

    def invitation(self, name="shop"):
        return self.roster.invite(name, 1.0)

    def end(self):
        if self.child is not None:
            if self.child.poll() is None:
                self.child.kill()
            self.child.wait()
            self.child.stdin.close()


@contextmanager
def process(folder):
    home = ServerHome(folder / "server")
    create_server(home, settings())
    with open_roster(home) as roster:
        found = Process(home, roster)
        try:
            found.start()
            yield found
        finally:
            found.end()


def test_a_platform_outlives_a_server_that_is_killed_and_a_server_that_is_stopped(tmp_path):
    with process(tmp_path) as server:
        home = joined(server, tmp_path)
        with session(home) as ours:
            ours.beat()
            ports = announced(server.home)
            server.child.kill()
            server.child.wait()
            with pytest.raises(ServiceError):
                ours.beat()
            server.child.stdin.close()
            server.start()
            assert announced(server.home) == ports
            server.wait_until(lambda: beats(ours))
            server.child.terminate()
            assert server.child.wait(20) == 0
        lines = (server.home.logs / "control.log").read_text().splitlines()
        told = [json.loads(each) for each in lines]
        assert [each["event"] for each in told] == [
            "the control service listens",
            "the control service listens",
            "the control service has stopped",
        ]
        assert server.roster.platform("shop").status == "approved"
        assert server.roster.state.events.list(level="alarm") == ()


def beats(ours):
    try:
        return ours.beat()
    except ServiceError:
        return None


def test_it_ends_with_its_supervisor_and_says_what_is_wrong_with_its_folder(tmp_path):
    with process(tmp_path) as server:
        server.child.stdin.close()
        assert server.child.wait(20) == 0
        (server.home.tls / "server.key").chmod(0o644)
        kept, end = os.pipe()  # a standard input that ends would tell it to stop at once
        done = subprocess.run(
            [sys.executable, "-m", "isthmus_server.control", str(server.home.folder)],
            env=ENVIRONMENT,
            stdin=kept,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        os.close(kept)
        os.close(end)
        assert done.returncode == 17
        (line,) = [json.loads(each) for each in done.stderr.splitlines()]
        assert "open to others" in line["event"]
        assert "chmod 600" in line["hint"]
