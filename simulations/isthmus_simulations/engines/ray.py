"""Flower's Simulation Engine: the same apps, with platforms in Ray's worker processes.

`flwr.simulation.run_simulation` is deprecated, names no nodes, reports to telemetry and hides the
server's exceptions. This composes the same parts of Flower 1.41 (`simulation.run_simulation`,
`_main_loop`) without that.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.constant import (
    HEARTBEAT_INTERVAL_INF,
    NOOP_ACCOUNT_NAME,
    NOOP_FLWR_AID,
    SUPERLINK_NODE_ID,
)
from flwr.proto.task_pb2 import Task
from flwr.server.superlink.fleet import vce
from flwr.server.superlink.fleet.vce.metrics import VceMetrics
from flwr.server.superlink.linkstate import InMemoryLinkState, LinkStateFactory
from flwr.server.superlink.linkstate.in_memory_linkstate import RunRecord
from flwr.serverapp import ServerApp
from flwr.supercore.constant import FLWR_IN_MEMORY_DB_NAME, NOOP_FEDERATION_ID
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.federation import NoOpFederationManager
from flwr.superlink.grid import InMemoryGrid

from isthmus.errors import FederationError, NotInstalledError

_MAX_TEMPORARY = 40  # characters; Ray's socket names below it must stay under 107
_POLL_S = 0.02  # seconds between two looks for replies; Flower's default is 0.1


def run_on_ray(
    server_app: ServerApp, client_app: ClientApp, platforms: Sequence[str], *, workers: int = 2
) -> None:
    """Run both apps until the server's is done; Ray starts before and ends after.

    Args:
        server_app: runs in a thread of this process.
        client_app: is pickled by Ray to its own workers, so it must be built from importable parts.
        platforms: names, in the order of the partition ids in the contexts.
        workers: processes, each with one CPU.

    Raises:
        Exception: what the server app raised, unchanged.
        FederationError: Ray itself failed.
        NotInstalledError: Ray is not there.
    """
    if find_spec("ray") is None:
        raise NotInstalledError(
            "engine ray needs the package ray", hint="pip install 'isthmus[simulation]'"
        )
    run = _new_run()
    factory = LinkStateFactory(
        FLWR_IN_MEMORY_DB_NAME, NoOpFederationManager(), ObjectStoreFactory()
    )
    nodes = _register(factory, run, platforms)
    server = _ServerThread(server_app, factory, run)
    with _quiet(), _environment(), _temporary_folder() as folder:
        server.start()
        try:
            vce.start_vce(
                backend_name="ray",
                backend_config_json_stream=json.dumps(_backend(folder, workers)),
                app_dir="",
                is_app=False,
                f_stop=server.stopped,
                run=run,
                metrics=VceMetrics(),
                client_app=client_app,
                state_factory=factory,
                existing_nodes_mapping=nodes,
            )
        except RuntimeError as error:
            raise FederationError(
                f"Flower's Simulation Engine failed: {error.__cause__ or error}",
                hint="resume the run with the memory engine",
            ) from error
        finally:
            server.stopped.set()
            server.join()
    if server.error is not None:
        raise server.error


class _EndingGrid(InMemoryGrid):
    """Flower's Grid, which does not wait for replies of an engine that has ended."""

    def __init__(self, factory: LinkStateFactory, ended: threading.Event) -> None:
        super().__init__(factory, pull_interval=_POLL_S)
        self._ended = ended

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The replies that are there by now.

        Raises:
            FederationError: the engine has ended.
        """
        if self._ended.is_set():
            raise FederationError("the engine ended within a round")
        return super().pull_messages(message_ids)


class _ServerThread(threading.Thread):
    """Runs the server app and keeps what it raised."""

    def __init__(self, app: ServerApp, factory: LinkStateFactory, run: Run) -> None:
        super().__init__(name="server-app")
        self.stopped = threading.Event()
        self.error: BaseException | None = None
        self._app = app
        self._grid = _EndingGrid(factory, self.stopped)
        self._grid.set_run(run)
        self._context = Context(run.run_id, SUPERLINK_NODE_ID, {}, RecordDict(), {})

    def run(self) -> None:
        """The thread's work."""
        try:
            self._app(self._grid, self._context)
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            self.error = error
        finally:
            self.stopped.set()


def _new_run() -> Run:
    run = Run.create_empty(run_id=1)
    run.primary_task_id = 1
    run.federation_id = NOOP_FEDERATION_ID
    TaskIdentity.run_id = run.run_id  # Flower fills every message's metadata from these
    TaskIdentity.task_id = run.primary_task_id
    TaskIdentity.node_id = SUPERLINK_NODE_ID
    return run


def _register(factory: LinkStateFactory, run: Run, platforms: Sequence[str]) -> dict[int, int]:
    """Enter the run and a node for each platform; partition ids by node."""
    state = factory.state()
    assert isinstance(state, InMemoryLinkState)
    state.run_ids[run.run_id] = RunRecord(run=run)
    state.task_store[1] = Task(task_id=1, run_id=run.run_id)
    nodes: dict[int, int] = {}
    for place, name in enumerate(platforms):
        node = state.create_node(
            NOOP_FLWR_AID,
            NOOP_ACCOUNT_NAME,
            secrets.token_bytes(32),
            heartbeat_interval=HEARTBEAT_INTERVAL_INF,
            name=name,
        )
        state.acknowledge_node_heartbeat(node, HEARTBEAT_INTERVAL_INF)
        nodes[node] = place
    return nodes


def _backend(folder: Path, workers: int) -> dict[str, Any]:
    """Settings of Flower's Ray backend."""
    return {
        "init_args": {
            "_temp_dir": str(folder),
            "include_dashboard": False,
            "log_to_driver": False,
            "logging_level": "error",
            "num_cpus": workers,
            "num_gpus": 0,
        },
        "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
        "actor": {"tensorflow": 0},
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Let only errors of Flower and Ray through."""
    loggers = [logging.getLogger(name) for name in ("flwr", "ray")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _environment() -> Iterator[None]:
    """What Ray and Flower read or change in the environment, put back afterwards."""
    changed = {
        "OMP_NUM_THREADS": "1",  # a worker has one CPU, and sums must keep the order they have here
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),  # Flower adds the whole of sys.path to it
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # without it Ray warns and hides accelerators
    }
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A folder with a short name, gone afterwards."""
    usual = tempfile.gettempdir()
    parent = usual if len(usual) < _MAX_TEMPORARY else None
    folder = Path(tempfile.mkdtemp(prefix="isthmus", dir=parent or "/tmp"))  # noqa: S108 - mkdtemp
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
