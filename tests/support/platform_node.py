"""A real platform of a test federation: a filled store, an identity, the node and the worker."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from fleet_server import SETTINGS, TestServer
from tiny_encoder import HashEncoder
from waiting import until

from isthmus.encoder_config import EncoderConfig
from isthmus.federation_contract import contract_from
from isthmus.federation_contract_signing import sign_contract
from isthmus.identity import load_signing_key
from isthmus.messages import RoundPlan
from isthmus.progress import Silent
from isthmus_client.approvals import decide, keep_offer
from isthmus_client.contract.loading import load_contract
from isthmus_client.home import CONTRACT, Home
from isthmus_client.link.enrolled import load_keys as load_identity
from isthmus_client.link.enrolment import collect, join
from isthmus_client.new_platform import create_platform
from isthmus_client.store import Store, ingest
from isthmus_client.text_encoder import HuggingFaceEncoder
from isthmus_client.vault import load_keys
from isthmus_client.vector_cache import encode_cached
from isthmus_client.worker.own_data import VECTORS
from isthmus_server.flower.private_link import PrivateLink
from isthmus_server.flower.remote_grid import RemoteGrid
from isthmus_server.roster import Roster

CONTENT = 16
TINY = EncoderConfig(content=CONTENT, dim=8, layers=1, heads=2, expansion=2, max_events=20)
WITHOUT = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


class PlatformNode:
    """One platform's folder and its processes; `close` ends them."""

    def __init__(self, folder: Path, name: str):
        self.home = Home(folder / CONTRACT)
        self.name = name
        create_platform(self.home, name=name, example=True)
        self.keyring = load_keys(self.home.keys)
        contract = load_contract(self.home.contract)
        with Store.open(self.home.store, self.keyring, writable=True) as store:
            ingest(contract, self.home.folder, store, Silent(), now=int(time.time()))
        with Store.open(self.home.store, self.keyring, writable=False) as store:
            self.tables = store.tables()
        cheap = HashEncoder(HuggingFaceEncoder().fingerprint, CONTENT)
        vectors = self.home.federation / VECTORS
        encode_cached(self.tables.catalogue.texts, cheap, vectors, Silent())
        self.children: dict[str, subprocess.Popen[bytes]] = {}

    def join(self, server):
        """Join and be approved, as with the commands."""
        roster = Roster(server.home, server.settings, server.state)
        joined = join(self.home, self.keyring, roster.invite(self.name, 1).to_code())
        roster.approve(self.name, joined.enrolment.fingerprint)
        self.identity = load_identity(self.home, self.keyring)
        assert collect(self.home, self.identity).credentials is not None

    def approve(self, server, contract, *, answer=True):
        """Keep a contract as the server offers it, and answer."""
        key = load_signing_key(server.home.identity / "signing.key")
        signature = sign_contract(contract, key)
        keep_offer(self.home, contract=contract.to_bytes(), signature=signature, status="running")
        decide(self.home, contract.run, approve=answer, reason="test", key=self.identity.signing)

    def start(self, process: str, *arguments: str):
        """The `worker`, the `node` or the `stock` node."""
        modules = {"worker": "isthmus_client.worker"}
        module = modules.get(process, f"isthmus_client.link.{process}")
        if process in self.children:
            self.children[process].stdin.close()
        logs = self.home.federation / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with (logs / f"{process}.log").open("ab") as log:
            self.children[process] = subprocess.Popen(
                [sys.executable, "-m", module, str(self.home.contract), *arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **WITHOUT, "OMP_NUM_THREADS": "1"},
            )
        return self.children[process]

    def up(self):
        self.start("worker")
        self.start("node")
        self.wait_for("worker")
        self.wait_for("node")

    def status(self, process: str):
        path = self.home.federation / "run" / f"{process}.json"
        return json.loads(path.read_text()) if path.exists() else {"state": "none", "pid": 0}

    def is_at(self, process: str, state: str) -> bool:
        child, found = self.children[process], self.status(process)
        assert child.poll() is None, self.log(process)
        return (found["state"], found["pid"]) == (state, child.pid)

    def wait_for(self, process: str, state: str = "ready", seconds: float = 60.0):
        with contextlib.suppress(AssertionError):
            return until(lambda: self.is_at(process, state), seconds, process)
        raise AssertionError(f"{process}: {self.status(process)}\n{self.log(process)}")

    def log(self, process: str) -> str:
        path = self.home.federation / "logs" / f"{process}.log"
        return path.read_text() if path.exists() else ""

    def audit(self):
        path = self.home.federation / "audit.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def kill(self, process: str):
        child = self.children[process]
        child.kill()
        child.wait(20)
        child.stdin.close()

    def close(self):
        for child in self.children.values():
            if child.poll() is None:
                child.terminate()
        for child in self.children.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(15)
            if child.poll() is None:
                child.kill()
                child.wait(15)
            child.stdin.close()


@contextlib.contextmanager
def control_server(folder: Path, settings=SETTINGS, *, superlink=False):
    """A server to join: its control service runs while the context is open."""
    running = TestServer(folder, names="", settings=settings)
    running.settings = settings
    try:
        if superlink:
            running.superlink()
        running.start("control")
        until(lambda: running.port("enrolment"), 60, f"control: {running.log('control')}")
        yield running
    finally:
        running.close()


@contextlib.contextmanager
def approved_node(folder: Path, server):
    """A platform that joined a server and approved the run `spring` of its own; none is started."""
    made = PlatformNode(folder, "anvil")
    try:
        made.join(server)
        made.contract = plain_run([made])
        made.approve(server, made.contract)
        yield made
    finally:
        made.close()


def plain_run(platforms, run="spring", **changes):
    """A contract without privacy between these platforms."""
    members = {
        each.name: {"signing": each.identity.public.signing.hex(), "users": 150}
        for each in platforms
    }
    seed = changes.pop("seed", 5)
    values = {
        "run": run,
        "name": "a trial",
        "encoder": TINY,
        "seed": seed,
        "rounds": 5,
        "plan": RoundPlan(run, 0, seed, batch_size=64, negatives=16, max_steps=2),
        "optimiser": {"name": "fedavg", "learning_rate": 1.0},
        "aggregation": {"name": "mean", "weights": "users"},
        "members": members,
        "secure": False,
        "minimum": 1,
        "metrics": (
            "loss",
            "steps",
            "seconds",
            "validation/hr@10",
            "validation/mrr",
            "validation/ndcg@10",
            "validation/users",
        ),
        "deadline_s": 60.0,
    }
    return contract_from(values | changes)


def grid_of(server):
    """The coordinator's Grid, and what closes it."""
    link = PrivateLink(server.home)
    return RemoteGrid(link), link


def online(grid, names):
    """Nodes by name once all are there."""

    def found():
        nodes = {node.name: node.node_id for node in grid.get_nodes()}
        return nodes if set(names) <= nodes.keys() else None

    return until(found, 60, f"{names} being online")


def zeros(shapes):
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
