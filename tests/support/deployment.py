"""A whole federation as real processes, for tests: a server, platforms that joined it, runs.

Everything is done through the commands that people type. Use `federation(folder)` as a context:
whatever happens, no process is left.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from waiting import until

from isthmus.parameters import Shared
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.server_home import ServerHome

NAMES = ("alder", "birch", "cedar")
POLICY = """\
max_epsilon = 100.0
max_rounds = 1000
trust = ["none", "local", "pooled"]
require_secure = false
min_platforms = 2
"""
QUICK = {"heartbeat_s": "0.5", "retry_s": "0.2"}
"""Lines of server.toml, so that nothing waits for long."""


def isthmus(*arguments: str, code: int = 0) -> Mapping[str, Any]:
    """What a command prints with `--json`; its error where it ends with another code."""
    done = subprocess.run(
        [sys.executable, "-m", "isthmus", *arguments, "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == code, f"isthmus {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return json.loads((done.stdout if code == 0 else done.stderr.splitlines()[-1]) or "{}")


@dataclass
class Up:
    """A supervisor that runs: `isthmus server up` or `isthmus client up`."""

    name: str
    arguments: Sequence[str]
    out: Path
    runtime: Path
    process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start it; does not wait."""
        self.out.parent.mkdir(parents=True, exist_ok=True)
        with self.out.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "isthmus", *self.arguments, "--json"],
                stdout=stream,
                stderr=stream,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

    def wait_ready(self, seconds: float = 90) -> None:
        """Until it says that all its processes do their work."""
        until(self._ready, seconds, f"{self.name} is ready: {self.out.read_text()[-2000:]}")

    def _ready(self) -> bool:
        lines = [
            json.loads(text) for text in self.out.read_text().splitlines() if '"state"' in text
        ]
        return bool(lines) and lines[-1]["state"] == "ready"

    def children(self) -> dict[str, int]:
        """Process ids of the children, by the module that they run."""
        assert self.process is not None
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        found = {}
        for child in {number for task in tasks for number in _text(task).split()}:
            command = _text(Path(f"/proc/{child}/cmdline")).split("\0")
            if "-m" in command:
                found[command[command.index("-m") + 1]] = int(child)
        return found

    def kill(self, module: str = "") -> bool:
        """Kill a child by (part of) its module's name, or the supervisor; whether it ran."""
        assert self.process is not None
        pids = [pid for name, pid in self.children().items() if module in name]
        for pid in pids if module else [self.process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not module:
            self.process.wait()
        return bool(pids) or not module

    def stop(self) -> int:
        """End it as an operator would; its exit code."""
        if self.process is None:
            return 0
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def _text(path: Path) -> str:
    """What stands in a file of `/proc`; "" where its process is gone."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@dataclass
class Federation:
    """A server and its platforms."""

    folder: Path
    names: Sequence[str] = NAMES
    ups: dict[str, Up] = field(default_factory=dict)

    @property
    def home(self) -> ServerHome:
        return ServerHome(self.folder / "server")

    @property
    def server(self) -> Up:
        return self.ups["server"]

    def contract(self, name: str) -> Path:
        """A platform's `platform.toml`."""
        return self.folder / name / "platform.toml"

    def on_server(self, *arguments: str, code: int = 0) -> Mapping[str, Any]:
        """A command of the operator's."""
        return isthmus("server", *arguments, "--home", str(self.home.folder), code=code)

    def on_platform(self, name: str, *arguments: str, code: int = 0) -> Mapping[str, Any]:
        """A command of a platform's engineer."""
        return isthmus("client", *arguments, "--platform", str(self.contract(name)), code=code)

    def make(self, settings: Mapping[str, str] | None = None, database: str = "") -> None:
        """Make server and platforms, and start the server."""
        where = ("--database", database) if database else ()
        isthmus("server", "init", str(self.home.folder), "--free-ports", *where)
        text = self.home.config.read_text()
        for key, value in {**QUICK, **(settings or {})}.items():
            text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        self.home.config.write_text(text)
        up = ("server", "up", "--home", str(self.home.folder))
        out, runtime = self.folder / "out", self.home.runtime
        self.ups["server"] = Up("server", up, out / "server.log", runtime)
        self.server.start()
        for name in self.names:
            self.settle(name)
        self.server.wait_ready()

    def settle(self, name: str) -> None:
        """Make a platform's folder, and read its tables into the store."""
        isthmus("client", "init", str(self.folder / name), "--example")
        self.on_platform(name, "ingest")

    def join(self, name: str, host: str = "") -> None:
        """Let a platform join, by an address of the server's, and approve it."""
        by = ("--host", host) if host else ()
        code = self.on_server("invite", name, *by)["code"]
        joined = self.on_platform(name, "join", code)
        self.on_server("approve", name, "--fingerprint", joined["fingerprint"])

    def start(self, name: str, *more: str) -> Up:
        """Start a platform's processes; does not wait."""
        policy = self.folder / "policy.toml"
        policy.write_text(POLICY)
        contract = str(self.contract(name))
        up = ("client", "up", "--platform", contract, "--auto-approve", str(policy), *more)
        runtime = self.folder / name / "federation" / "run"
        self.ups[name] = Up(name, up, self.folder / "out" / f"{name}.log", runtime)
        self.ups[name].start()
        return self.ups[name]

    def propose(self, *options: str) -> str:
        """Propose a run; its id."""
        return str(self.on_server("run", "start", *options)["run"])

    def status(self, run: str) -> Mapping[str, Any]:
        """Where a run stands."""
        return self.on_server("run", "status", run)

    def wait_round(self, run: str, number: int, seconds: float = 120) -> None:
        """Until a run has committed a round."""
        until(lambda: self.committed(run) >= number, seconds, f"round {number} of {run}")

    def wait_status(self, run: str, word: str, seconds: float = 120) -> Mapping[str, Any]:
        """Until a run has a status."""

        def look() -> Mapping[str, Any] | None:
            found = self.status(run)
            return found if found["status"] == word else None

        return until(look, seconds, f"{run} is {word}")

    def committed(self, run: str) -> int:
        """The last committed round, by its files."""
        rounds = self.home.rounds(run).glob("round-*.json")
        return max((int(path.stem.removeprefix("round-")) for path in rounds), default=-1)

    def parameters(self, run: str, number: int) -> Shared:
        """What a round committed."""
        return CheckpointStore(self.home.rounds(run)).parameters(number)

    def stop(self) -> None:
        """End everything, platforms first."""
        for each in self.ups.values():
            if each is not self.ups.get("server") and each.process is not None:
                each.process.terminate()  # all of them end at the same time
        for each in [*self.ups.values()][::-1]:
            each.stop()


@contextmanager
def federation(
    folder: Path,
    *,
    names: Sequence[str] = NAMES,
    settings: Mapping[str, str] | None = None,
    database: str = "",
) -> Iterator[Federation]:
    """A federation whose processes run while the context is open, all platforms online."""
    made = Federation(folder, names)
    try:
        made.make(settings, database)
        for name in names:
            made.join(name)
            made.start(name)
        for name in names:
            made.ups[name].wait_ready()
        yield made
    finally:
        made.stop()
