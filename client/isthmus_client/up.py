"""What `isthmus client up` does: keep the node and the warm worker of a platform going.

The node speaks with the server and sees no data; the worker holds data, models and the ledger and
has no network. Both end with the supervisor, however it ends.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Literal

from isthmus.errors import IdentityError
from isthmus.policy import load_policy
from isthmus.supervision import Program, Supervisor, alone
from isthmus_client.home import Home
from isthmus_client.worker.status import RUN, read_status

NodeKind = Literal["isthmus", "stock"]
"""`isthmus`: our own loop around Flower's fleet connection; `stock`: Flower's SuperNode loop, which
starts a process for every message."""

MODULES: Final = {
    "isthmus": "isthmus_client.link.node",
    "stock": "isthmus_client.link.stock",
    "worker": "isthmus_client.worker",
}
PASSPHRASE: Final = "ISTHMUS_KEY_PASSPHRASE"  # noqa: S105 - the variable's name


class PlatformProcesses:
    """A platform's two processes, that run while the context is open.

    Args:
        home: of a platform that has joined.
        node: which loop carries the messages.
        passphrase: of the platform's key; handed on in the children's environment.
        policy: approves runs unattended; None = a person does.
        idle_s: without a byte moving, after which the node gives a request up.

    Raises:
        IdentityError: the platform has not joined a federation.
        ServiceError: its processes run already.
        ScenarioError: the policy is none.
    """

    def __init__(
        self,
        home: Home,
        *,
        node: NodeKind = "isthmus",
        passphrase: bytes | None = None,
        policy: Path | None = None,
        idle_s: float = 60.0,
    ) -> None:
        self.home = home
        _require_joined(home)
        if policy is not None:
            load_policy(policy)  # fails here, in words, not in a log
        approves = () if policy is None else ("--auto-approve", str(policy.resolve()))
        idle = ("--idle-s", f"{idle_s:g}")
        given = {PASSPHRASE: passphrase.decode()} if passphrase else {}
        calm = {"OMP_NUM_THREADS": "1", "FLWR_TELEMETRY_ENABLED": "0"}
        environment = {**calm, "FLWR_DISABLE_UPDATE_CHECK": "1", **given}
        contract = str(home.contract.resolve())
        commands = {
            "worker": (sys.executable, "-m", MODULES["worker"], contract),
            "node": (sys.executable, "-m", MODULES[node], contract, *approves, *idle),
        }
        programs = [Program(name, each, environment) for name, each in commands.items()]
        self._supervisor = Supervisor(programs, home.federation / "logs")

    @contextmanager
    def running(self) -> Iterator[None]:
        """The processes run until the context is left; then they are ended."""
        with alone(self._runtime, "this platform"):
            try:
                self._supervisor.start()
                yield
            finally:
                self._supervisor.stop()

    def look(self) -> Mapping[str, Any]:
        """How the processes are; `reasons` is empty where both do their work."""
        children = [
            {**asdict(each), "tells": read_status(self._runtime / f"{each.name}.json")}
            for each in self._supervisor.status()
        ]
        reasons = [why for each in children if (why := _not_ready(each))]
        return {"ready": not reasons, "reasons": reasons, "processes": children}

    @property
    def _runtime(self) -> Path:
        return self.home.federation / RUN


def _require_joined(home: Home) -> None:
    if not (home.federation / "server.json").exists():
        raise IdentityError(
            f"the platform in {home.folder} has joined no federation",
            hint="ask the operator for an invitation, then: isthmus client join TOKEN",
        )


def _not_ready(child: Mapping[str, Any]) -> str:
    """Why a child does not do its work; "" where it does."""
    if child["state"] != "running":
        return f"{child['name']}: {child['reason']}"
    tells = child["tells"]
    if tells is None or tells.get("pid") != child["pid"]:
        return f"{child['name']}: starting"
    if tells["state"] in ("ready", "working"):
        return ""
    return f"{child['name']}: {tells['state']}, {tells['reason']}"
