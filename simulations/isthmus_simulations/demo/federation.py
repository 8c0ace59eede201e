"""Bring a federation up: a server, three platforms that join it, a run, its first round."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from isthmus.errors import ScenarioError, ServiceError
from isthmus.files import write_text
from isthmus.progress import Progress, Silent
from isthmus_client.home import Home
from isthmus_simulations.demo.commands import run, spawn
from isthmus_simulations.demo.processes import Demo, Process
from isthmus_simulations.demo.shops import open_shops

READY_S: Final = 120.0  # for a process to do its work
ROUND_S: Final = 600.0  # for the first round
POLICY: Final = """\
# Runs that the demo's platforms approve unattended. Its platforms are too small for a noise of
# their own, so that runs without it are let through; the server sees sums only all the same.
max_epsilon = 8.0
max_rounds = 1000
trust = ["none", "local", "pooled"]
require_secure = false
"""
_T = TypeVar("_T")


@dataclass(frozen=True)
class Found:
    """A demo that runs.

    Attributes:
        status: as of `isthmus server run status`.
        seconds: from the command to the first finished round.
    """

    demo: Demo
    status: Mapping[str, Any]
    seconds: float


def bring_up(folder: Path, *, rounds: int, progress: Progress | None = None) -> Found:
    """Make and start everything; returns after the first finished round.

    Args:
        folder: of all that the demo writes; must not be there.
        rounds: of the run.
        progress: shows the steps.

    Raises:
        ScenarioError: the folder is there already.
        ServiceError: a step failed; the processes are ended, the folder stays, with its logs.
    """
    if folder.exists():
        raise ScenarioError(
            f"{folder} is there already", hint="isthmus demo down, or another folder: --dir"
        )
    began, progress = time.monotonic(), progress or Silent()
    homes = open_shops(folder / "platforms", progress)
    demo = Demo(folder, platforms=tuple(home.folder.name for home in homes))
    demo.save()
    try:
        with progress.track("Bringing up server and platforms", 5) as advance:
            status = _Steps(demo, homes, lambda: advance(1)).all(rounds)
    except BaseException:
        Demo.load(folder).stop()
        raise
    return Found(Demo.load(folder), status, time.monotonic() - began)


class _Steps:
    """The steps in their order; each leaves its processes in the note."""

    def __init__(self, demo: Demo, homes: Sequence[Home], done: Callable[[], None]) -> None:
        self._demo, self._homes, self._done = demo, homes, done
        self._server = str(demo.folder / "server")

    def all(self, rounds: int) -> Mapping[str, Any]:
        """Every step; where the run stands after its first round."""
        self._start_server()
        self._done()
        _each(self._join, self._homes)
        self._done()
        for home in self._homes:
            self._start_platform(home)
        self._wait_online()
        self._done()
        self._propose(rounds)
        self._done()
        status = self._first_round()
        self._done()
        return status

    def _start_server(self) -> None:
        run("server", "init", self._server, "--free-ports", "--name", "demo")
        self._spawn("server", "server", "up", "--home", self._server)
        _until(lambda: _said_ready(self._out("server")), READY_S, "the server is ready")

    def _join(self, home: Home) -> None:
        """Take the tables in, join, and be approved by who sees the same fingerprint."""
        name, contract = home.folder.name, str(home.contract)
        run("client", "ingest", "--platform", contract)
        code = str(run("server", "invite", name, "--home", self._server)["code"])
        joined = run("client", "join", code, "--platform", contract)
        fingerprint = str(joined["fingerprint"])
        run("server", "approve", name, "--fingerprint", fingerprint, "--home", self._server)

    def _start_platform(self, home: Home) -> None:
        policy = self._demo.folder / "policy.toml"
        write_text(policy, POLICY)
        contract = str(home.contract)
        up = ("client", "up", "--platform", contract, "--auto-approve", str(policy))
        self._spawn(home.folder.name, *up)

    def _wait_online(self) -> None:
        for home in self._homes:
            name = home.folder.name
            _until(lambda n=name: _said_ready(self._out(n)), READY_S, f"{name} is ready")  # type: ignore[misc]  # bound now

    def _propose(self, rounds: int) -> None:
        asked = ("--rounds", str(rounds), "--privacy", "none", "--no-secure-aggregation", "--home", self._server)
        proposed = run("server", "run", "start", *asked)
        self._demo = replace(self._demo, run=str(proposed["run"]))
        self._demo.save()

    def _first_round(self) -> Mapping[str, Any]:
        def finished() -> Mapping[str, Any] | None:
            status = run("server", "run", "status", self._demo.run, "--home", self._server)
            return status if int(status["round"]) >= 1 else None

        return _until(finished, ROUND_S, "the first round is finished", pause=1.0)

    def _spawn(self, name: str, *arguments: str) -> None:
        pid = spawn(*arguments, out=self._out(name))
        processes = {**self._demo.processes, name: Process.of(pid)}
        self._demo = replace(self._demo, processes=processes)
        self._demo.save()

    def _out(self, name: str) -> Path:
        return self._demo.folder / "logs" / f"{name}.log"


def _each(step: Callable[[Home], None], homes: Sequence[Home]) -> None:
    with ThreadPoolExecutor(len(homes)) as pool:
        for _ in pool.map(step, homes):
            pass


def _said_ready(out: Path) -> bool:
    """Whether the last change of state that a supervisor told is that it is ready."""
    states = [json.loads(line) for line in out.read_text().splitlines() if '"state"' in line]
    return bool(states) and states[-1]["state"] == "ready"


def _until(look: Callable[[], _T | None], seconds: float, what: str, pause: float = 0.2) -> _T:
    """What `look` finds, once it finds something."""
    wait, deadline = threading.Event(), time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise ServiceError(
                f"{what}: not within {seconds:g} s", hint="see the logs in the demo's folder"
            )
        wait.wait(pause)
    return found
