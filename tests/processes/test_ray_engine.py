"""Flower's Simulation Engine on Ray: the same bytes, quiet, and nothing is left behind."""

import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from toy_platforms import INITIAL, server_config, toy_from_folder

from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.optimisers import FedAdam
from isthmus_simulations.engines.platforms import FolderOutboxes
from isthmus_simulations.engines.runner import run_federation

PROGRAM = Path(__file__).parents[1] / "support" / "federation_program.py"

ISTHMUS = Path(sys.executable).with_name("isthmus")

pytestmark = pytest.mark.slow


def offspring(token, patience=0):
    """Command lines of processes that inherited the token and outlive `patience` seconds each.

    An actor ends when it finds its driver gone, which takes a busy machine a moment.
    """
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if token in (path / "environ").read_bytes():
                line = (path / "cmdline").read_bytes()
                if not ends(int(path.name), patience):
                    found.append(line)
        except OSError:
            continue  # it ended while we looked
    return found


def ends(pid, patience):
    """Whether a process ends within so many seconds."""
    descriptor = os.pidfd_open(pid)
    try:
        return bool(select.select([descriptor], [], [], patience)[0])
    finally:
        os.close(descriptor)


@pytest.fixture(scope="module")
def on_ray(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ray")
    with tempfile.TemporaryDirectory(prefix="t") as short:  # Ray's sockets need a short path
        token = f"ISTHMUS_TEST_RUN={short}"
        name, _, value = token.partition("=")
        done = subprocess.run(
            [sys.executable, PROGRAM, folder, "--engine", "ray", "--loopback-only"],
            env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": short, name: value},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        return done, offspring(token.encode(), patience=30), list(Path(short).iterdir())


def test_it_gives_the_same_bytes_as_the_memory_engine(on_ray, tmp_path):
    done = on_ray[0]
    assert done.returncode == 0, done.stderr
    here = run_federation(
        "memory",
        server_config=server_config(rounds=4, optimiser=FedAdam()),
        initial=INITIAL,
        store=CheckpointStore(tmp_path / "rounds"),
        outboxes=FolderOutboxes(tmp_path / "receipts"),
        folders=[tmp_path / name for name in ("a", "bb", "ccc")],
        trainer_factory=toy_from_folder,
    )
    assert done.stdout.splitlines() == [here.final.fingerprint(), str(here.validation[-1])]


def test_it_is_quiet(on_ray):
    assert on_ray[0].stderr == ""


def test_no_process_and_no_folder_is_left(on_ray):
    _, processes, files = on_ray
    assert processes == []
    assert files == []


def test_the_look_for_processes_sees_a_child():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(["cat"], env={"ISTHMUS_TEST_RUN": "child"}, **pipes) as child:
        child.stdin.write(b"there?\n")
        child.stdin.flush()
        assert child.stdout.readline() == b"there?\n"  # only now it is surely the program
        found = offspring(b"ISTHMUS_TEST_RUN=child")
        child.kill()
    assert found == [b"cat\x00"]


def test_an_engine_that_cannot_start_ends_at_once(tmp_path):
    done = subprocess.run(
        [sys.executable, PROGRAM, tmp_path, "--engine", "ray", "--workers", "0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert "FederationError: Flower's Simulation Engine failed: ActorPool is empty" in done.stderr


def test_the_real_trainer_gives_the_same_bytes_on_both_engines():
    small = ["--parameters", "1", "--steps", "2", "--users", "4", "--rounds", "1"]
    done = subprocess.run(
        [ISTHMUS, "benchmark", "rounds", "--platforms", "3", *small, "--json"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    memory, ray = json.loads(done.stdout)["comparisons"]
    assert (memory["engine"], ray["engine"]) == ("memory", "ray")
    assert memory["fingerprint"] == ray["fingerprint"]
