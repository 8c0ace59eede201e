"""Disks that are full in the middle of a run: the server's, then a platform's.

Each is a small file system of its own, so that the fault is the real one. Where this user may not
mount one, the tests are skipped.
"""

import json
import subprocess
from contextlib import ExitStack, contextmanager

import pytest
from deployment import NAMES, Federation
from kills import Disturbance
from nothing_lost import left_over, require_each_round_once, require_logs_hold, require_paid
from waiting import until

pytestmark = pytest.mark.slow

SHORT = ("--max-steps", "2", "--patience", "0", "--minimum", "3", "--deadline", "200")
OPEN = ("--privacy", "none", "--rounds", "8", *SHORT)
PRIVATE = (
    *("--privacy", "pooled", "--epsilon", "8", "--rounds", "8"),
    *("--users", ",".join(f"{name}=250" for name in NAMES), "--accept-noise", *SHORT),
)
MODULES = {"isthmus_server.coordinator", "isthmus_server.control"}
MEBIBYTE = 1024 * 1024


@contextmanager
def small_disk(folder, mebibytes):
    """A file system of this size at the folder."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = f"size={mebibytes}m,mode=700"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount on this machine")
    if done.returncode:
        pytest.skip(f"this user may mount no file system: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(folder):
    """The disk of a folder has no byte left while the context is open."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (MEBIBYTE, 4096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    try:
        yield
    finally:
        ballast.unlink()


@pytest.fixture(scope="module")
def fed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fed")
    made = Federation(folder)
    with ExitStack() as stack:
        stack.enter_context(small_disk(folder / "server", 48))
        stack.enter_context(small_disk(folder / "alder" / "federation", 48))
        stack.callback(made.stop)
        made.make()
        for name in NAMES:
            made.join(name)
            made.start(name)
        for name in NAMES:
            made.ups[name].wait_ready()
        yield made
    assert not left_over(folder), "processes are left"


def test_a_server_whose_disk_is_full_says_so_and_goes_on_when_there_is_room(fed):
    run = fed.propose("server-full", *OPEN)
    fed.wait_round(run, 2)
    with full(fed.home.folder):
        reached = fed.committed(run)
        told = tells(fed, run, "is full")
        assert told["status"] == "running"
        assert fed.server.children().keys() >= MODULES
        require_whole(fed, run)
    assert fed.committed(run) <= reached + 1  # of the one more, all bytes were on the disk before
    Disturbance(fed, run).ends()
    require_each_round_once(fed, run, 8)
    require_logs_hold(fed)


def test_a_platform_whose_disk_is_full_spends_and_sends_nothing_and_goes_on(fed):
    run = fed.propose("platform-full", *PRIVATE)
    fed.wait_round(run, 2)
    with full(fed.folder / "alder" / "federation"):
        told = tells(fed, run, "DiskFullError")
        assert "alder" in told["reason"]
        assert "a disk has no room left" in told["reason"]
        assert told["round"] < 8
    Disturbance(fed, run).ends()
    require_each_round_once(fed, run, 8)
    for name in NAMES:
        require_paid(fed, name, run, range(1, 9))
    require_logs_hold(fed)


def tells(fed, run, words):
    """What `isthmus server run status` tells once these words are in its reason."""

    def look():
        found = fed.status(run)
        assert found["reason"].strip()
        assert found["status"] != "failed", found["reason"]
        return found if words in found["reason"] else None

    return until(look, 60, f"a reason with {words!r}")


def require_whole(fed, run):
    """No file of a round is half written, and none lies beside."""
    folder = fed.home.rounds(run)
    for path in folder.glob("round-*.json"):
        assert json.loads(path.read_text())["checkpoint"]["round"] == int(path.stem[-5:])
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
