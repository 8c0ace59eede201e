"""Bring a federation up: a server, platforms that join it, a run, its first round."""

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
            status = _steps(LocalFederation(demo, homes), rounds, lambda: advance(1))
    except BaseException:
        Demo.load(folder).stop()
        raise
    return Found(Demo.load(folder), status, time.monotonic() - began)


def _steps(federation: LocalFederation, rounds: int, done: Callable[[], None]) -> Mapping[str, Any]:
    """Every step; where the run stands after its first round."""
    federation.start_server()
    done()
    federation.join_all()
    done()
    federation.start_platforms()
    done()
    name = federation.propose("--rounds", str(rounds), "--privacy", "none")
    done()
    status = federation.wait_round(name, 1)
    done()
    return status


class LocalFederation:
    """A server and platforms as processes on this machine, each step by the commands for it.

    Args:
        demo: where all is; its note names every process from the moment that it runs.
        homes: the platforms' folders, with their tables.
        policy: by which the platforms approve runs, TOML.
    """

    def __init__(self, demo: Demo, homes: Sequence[Home], policy: str = POLICY) -> None:
        self.demo, self._homes, self._policy = demo, homes, policy
        self.server = str(demo.folder / "server")

    def start_server(self) -> None:
        """Make the server, start it, and wait until it is ready."""
        run("server", "init", self.server, "--free-ports", "--name", "demo")
        self._spawn("server", "server", "up", "--home", self.server)
        self._wait_ready("server")

    def join_all(self) -> None:
        """Take the platforms' tables in; let each join, and approve it."""
        with ThreadPoolExecutor(len(self._homes)) as pool:
            for _ in pool.map(self._join, self._homes):
                pass

    def start_platforms(self, *options: str) -> None:
        """Start every platform's processes and wait until they do their work.

        Args:
            options: more of `isthmus client up`.
        """
        policy = self.demo.folder / "policy.toml"
        write_text(policy, self._policy)
        for home in self._homes:
            up = ("client", "up", "--platform", str(home.contract), "--auto-approve", str(policy))
            self._spawn(home.folder.name, *up, *options)
        for home in self._homes:
            self._wait_ready(home.folder.name)

    def stop_platforms(self) -> None:
        """End the platforms' processes; the server runs on."""
        names = [home.folder.name for home in self._homes]
        self.demo = self.demo.without(names)

    def propose(self, *options: str) -> str:
        """Propose a run; its id.

        Args:
            options: of `isthmus server run start`.
        """
        proposed = run("server", "run", "start", *options, "--home", self.server)
        self.demo = replace(self.demo, run=str(proposed["run"]))
        self.demo.save()
        return self.demo.run

    def wait_round(self, name: str, number: int) -> Mapping[str, Any]:
        """Where a run stands once it has finished a round.

        Raises:
            ServiceError: that took too long, or the run ended before.
        """

        def finished() -> Mapping[str, Any] | None:
            status = run("server", "run", "status", name, "--home", self.server)
            if int(status["round"]) >= number:
                return status
            refused = status["status"] == "proposed" and "refused by" in status["reason"]
            if refused or status["status"] in ("failed", "stopped"):
                raise ServiceError(f"{name} is {status['status']}: {status['reason']}")
            return None

        return _until(finished, ROUND_S, f"round {number} of {name} is finished", pause=1.0)

    def _join(self, home: Home) -> None:
        """Who approves sees the fingerprint that the platform shows."""
        name, contract = home.folder.name, str(home.contract)
        run("client", "ingest", "--platform", contract)
        code = str(run("server", "invite", name, "--home", self.server)["code"])
        joined = run("client", "join", code, "--platform", contract)
        fingerprint = str(joined["fingerprint"])
        run("server", "approve", name, "--fingerprint", fingerprint, "--home", self.server)

    def _wait_ready(self, name: str) -> None:
        _until(lambda: _said_ready(self._out(name)), READY_S, f"{name} is ready")

    def _spawn(self, name: str, *arguments: str) -> None:
        out = self._out(name)
        out.unlink(missing_ok=True)  # what an earlier process said is not what this one says
        pid = spawn(*arguments, out=out)
        processes = {**self.demo.processes, name: Process.of(pid)}
        self.demo = replace(self.demo, processes=processes)
        self.demo.save()

    def _out(self, name: str) -> Path:
        return self.demo.folder / "logs" / f"{name}.log"


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
