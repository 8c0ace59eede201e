"""Tasks in processes of their own: done, told, failed and stopped."""

from contextlib import contextmanager

import pytest
from pool_tasks import be_killed, break_down, note_process, refuse, tick, write

from isthmus.errors import DataInvalidError, IsthmusError
from isthmus.progress import Silent
from isthmus_simulations.transfer.pool import run_tasks


class Heard:
    """A progress that remembers."""

    def __init__(self):
        self.bars, self.said = {}, []

    @contextmanager
    def track(self, label, total):
        self.bars[label] = [0, total, "open"]

        def advance(steps):
            self.bars[label][0] += steps

        yield advance
        self.bars[label][2] = "closed"

    def say(self, text):
        self.said.append(text)


def test_every_task_is_done_and_told(tmp_path):
    tasks = {f"task {n}": (tmp_path / str(n), f"word {n}") for n in range(3)}
    heard, done = Heard(), []
    run_tasks(write, tasks, workers=2, progress=heard, done=done.append)
    assert [(tmp_path / str(n)).read_text() for n in range(3)] == ["word 0", "word 1", "word 2"]
    assert sorted(done) == sorted(tasks)
    assert heard.bars == {f"task {n}: writing": [2, 2, "closed"] for n in range(3)}
    assert sorted(heard.said) == [f"task {n}: writes word {n}" for n in range(3)]


def test_each_task_has_a_process_of_its_own(tmp_path):
    tasks = {str(n): tmp_path / str(n) for n in range(2)}
    run_tasks(note_process, tasks, workers=1, progress=Silent())
    assert len({path.read_text() for path in tasks.values()}) == 2


def test_our_errors_keep_their_kind_and_hint():
    with pytest.raises(DataInvalidError, match="cell 1: x is wrong") as raised:
        run_tasks(refuse, {"cell 1": "x"}, workers=1, progress=Silent())
    assert raised.value.hint == "make it right"


def test_a_fault_is_told_with_its_trace():
    with pytest.raises(IsthmusError, match=r"(?s)Traceback.*ZeroDivisionError: by nothing"):
        run_tasks(break_down, {"cell": "by nothing"}, workers=1, progress=Silent())


def test_a_killed_process_is_told():
    with pytest.raises(IsthmusError, match="the process of cell was killed by signal 9"):
        run_tasks(be_killed, {"cell": None}, workers=1, progress=Silent())


class Interrupted(Silent):
    """Ctrl-C as soon as something moves."""

    @contextmanager
    def track(self, label, total):  # noqa: ARG002 - the seam's face
        def advance(_):
            raise KeyboardInterrupt

        yield advance


def test_an_interruption_stops_the_tasks(tmp_path):
    file = tmp_path / "process"
    with pytest.raises(KeyboardInterrupt):
        run_tasks(tick, {"cell": file}, workers=1, progress=Interrupted())
    assert not is_at_work(file.read_text())


def is_at_work(process):
    """Whether there is such a process that is not just waiting to be forgotten."""
    try:
        with open(f"/proc/{process}/stat") as stat:  # noqa: PTH123 - no file, a view of the kernel
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
