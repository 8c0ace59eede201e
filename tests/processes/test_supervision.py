"""Children are kept alive, end with their parent, and say why they do not run."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import until

from isthmus.errors import ServiceError
from isthmus.supervision import Pauses, Program, Supervisor, alone

STAYS = """
import pathlib, sys, threading
from isthmus.supervision import stop_on_signals, stop_with_parent
stop = threading.Event()
stop_on_signals(stop)
stop_with_parent(stop)
with open(sys.argv[1], "a") as file:
    print(__import__("os").getpid(), file=file, flush=True)
print("up", flush=True)
stop.wait()
pathlib.Path(sys.argv[1] + ".clean").touch()
"""
DEAF = """
import signal, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
threading.Event().wait()
"""
PARENT = """
import sys, threading
from pathlib import Path
from isthmus.supervision import Program, Supervisor
child = Program("child", [sys.executable, "-c", sys.argv[1], sys.argv[2]])
keeper = Supervisor([child], Path(sys.argv[3]))
keeper.start()
threading.Event().wait()
"""


def pids(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def staying(tmp_path):
    told = tmp_path / "pids"
    program = Program("child", [sys.executable, "-c", STAYS, str(told)])
    keeper = Supervisor([program], tmp_path / "logs", pauses=Pauses(0.01, 0.05))
    keeper.start()
    yield keeper, told
    keeper.stop()


def test_a_killed_child_is_started_again_and_its_status_says_so(staying):
    keeper, told = staying
    first = until(lambda: pids(told))[0]
    os.kill(first, signal.SIGKILL)
    second = until(lambda: pids(told)[1:])[0]
    status = until(lambda: [s for s in keeper.status() if s.state == "running"])[0]
    assert (status.pid, status.starts) == (second, 2)
    assert not alive(first)


def test_stopping_lets_a_child_end_by_itself(staying, tmp_path):
    keeper, told = staying
    pid = until(lambda: pids(told))[0]
    keeper.stop()
    assert not alive(pid)
    assert (tmp_path / "pids.clean").exists()
    assert [s.state for s in keeper.status()] == ["stopped"]
    assert "up" in (tmp_path / "logs" / "child.log").read_text()


def test_a_child_that_ignores_the_signal_is_killed(tmp_path):
    code = DEAF
    keeper = Supervisor([Program("deaf", [sys.executable, "-c", code])], tmp_path, grace=0.2)
    keeper.start()
    until(lambda: (tmp_path / "deaf.log").exists() and (tmp_path / "deaf.log").read_text())
    pid = keeper.status()[0].pid
    keeper.stop()
    assert not alive(pid)


def test_a_child_that_cannot_start_says_why(tmp_path):
    keeper = Supervisor([Program("gone", ["/no/such/program"])], tmp_path, pauses=Pauses(9, 9))
    keeper.start()
    status = until(lambda: [s for s in keeper.status() if "could not start" in s.reason])[0]
    assert (status.state, status.pid) == ("waiting", 0)
    assert "No such file" in status.reason
    keeper.stop()


def test_a_child_that_ends_says_with_what(tmp_path):
    program = Program("brief", [sys.executable, "-c", "raise SystemExit(7)"])
    keeper = Supervisor([program], tmp_path, pauses=Pauses(9, 9))
    keeper.start()
    until(lambda: "ended with code 7" in keeper.status()[0].reason)
    keeper.stop()


def test_children_end_when_their_parent_is_killed(tmp_path):
    told = tmp_path / "pids"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, STAYS, str(told), str(tmp_path / "logs")]
    )
    try:
        pid = until(lambda: pids(told))[0]
        parent.kill()
        parent.wait()
        until(lambda: not alive(pid))
        assert (tmp_path / "pids.clean").exists()
    finally:
        parent.kill()
        parent.wait()


def test_there_is_one_supervisor_and_the_lock_of_a_dead_one_is_free(tmp_path):
    code = (
        "import sys, threading; from pathlib import Path; from isthmus.supervision import alone\n"
    )
    code += (
        "with alone(Path(sys.argv[1]), 'it'): print('held', flush=True); threading.Event().wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(ServiceError, match=f"it runs already, as process {holder.pid}"),
            alone(tmp_path, "it"),
        ):
            pass
        holder.kill()
    with alone(tmp_path, "it"):
        pass


HOLDS = """
import sys, threading
from pathlib import Path
from isthmus.supervision import stop_on_signals, turn
stop = threading.Event()
stop_on_signals(stop)
with turn(Path(sys.argv[1]), "worker", stop) as held:
    print("held" if held else "told to stop", flush=True)
    stop.wait()
"""


def holder(folder):
    return subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(folder)], stdout=subprocess.PIPE, text=True
    )


def test_a_place_is_held_by_one_process_until_it_ends_however_it_ends(tmp_path):
    first = holder(tmp_path)
    assert first.stdout.readline() == "held\n"
    second, third = holder(tmp_path), holder(tmp_path)
    try:
        third.terminate()
        told, _ = third.communicate(timeout=20)
        assert told in {"told to stop\n", ""}  # "": before it could hear
        assert second.poll() is None
        first.kill()
        assert second.stdout.readline() == "held\n"
    finally:
        for each in (first, second, third):
            each.kill()
            each.communicate()
