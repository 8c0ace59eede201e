"""A platform of a deployed federation whose node and worker are a test's own programs."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deployment import POLICY, Federation
from tiny_encoder import HashEncoder
from waiting import until

from isthmus.progress import Silent
from isthmus_client.home import Home
from isthmus_client.store import Store
from isthmus_client.text_encoder import HuggingFaceEncoder
from isthmus_client.vault import load_keys
from isthmus_client.vector_cache import encode_cached
from isthmus_client.worker.own_data import VECTORS
from isthmus_client.worker.status import RUN, read_status

CONTENT = 16
ENCODER = f"content={CONTENT},dim=16,layers=2,heads=2,expansion=2,max_events=20"
SUPPORT = Path(__file__).parent


def cheap_texts(home: Home) -> None:
    """Give a platform's texts vectors of a few numbers, so that no text encoder is loaded."""
    with Store.open(home.store, load_keys(home.keys), writable=False) as store:
        texts = store.tables().catalogue.texts
    cheap = HashEncoder(HuggingFaceEncoder().fingerprint, CONTENT)
    encode_cached(texts, cheap, home.federation / VECTORS, Silent())


class CheapFederation(Federation):
    """One whose platforms have vectors of a few numbers."""

    def settle(self, name):
        super().settle(name)
        cheap_texts(Home(self.contract(name)))


class OwnParts:
    """The two processes of one platform; `stop` ends them."""

    def __init__(self, fed: Federation, name: str) -> None:
        self.home = Home(fed.contract(name))
        self._out = fed.folder / "out"
        policy = fed.folder / "policy.toml"
        policy.write_text(POLICY)
        self._policy = str(policy)
        self.children: dict[str, subprocess.Popen[bytes]] = {}

    def worker(self, *program: str) -> None:
        """Start the worker: a script with its arguments; none = the real one."""
        command = program or ("-m", "isthmus_client.worker")
        self._start("worker", [*command, str(self.home.contract)])

    def node(self, *program: str, idle_s: float = 60.0) -> None:
        """Start the node, as `worker`."""
        command = program or ("-m", "isthmus_client.link.node")
        options = ["--auto-approve", self._policy, "--idle-s", f"{idle_s:g}"]
        self._start("node", [*command, str(self.home.contract), *options])

    def _start(self, part: str, command: Sequence[str]) -> None:
        self._out.mkdir(parents=True, exist_ok=True)
        with (self._out / f"{self.home.folder.name}-{part}.log").open("ab") as log:
            self.children[part] = subprocess.Popen(
                [sys.executable, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

    def state(self, part: str) -> str:
        """What a process says that it does."""
        told = read_status(self.home.federation / RUN / f"{part}.json") or {}
        return str(told.get("state")) if told.get("pid") == self.children[part].pid else "starting"

    def wait_ready(self) -> None:
        for part in self.children:
            until(lambda part=part: self.state(part) == "ready", 90, f"{part}: {self.log(part)}")

    def log(self, part: str) -> str:
        return (self._out / f"{self.home.folder.name}-{part}.log").read_text()[-3000:]

    @contextlib.contextmanager
    def stopped(self, part: str):
        """The process does nothing as long as the context lasts."""
        os.kill(self.children[part].pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.children[part].pid, signal.SIGCONT)

    def end(self, part: str) -> None:
        child = self.children.pop(part)
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(15)
        child.kill()
        child.wait(15)
        child.stdin.close()

    def stop(self) -> None:
        for part in list(self.children):
            self.end(part)
