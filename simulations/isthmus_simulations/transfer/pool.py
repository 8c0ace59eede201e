"""Independent tasks in processes of their own, so many at a time, with their progress.

A task is an importable function and its argument. Its process tells over a pipe how it moves. A
parent that is interrupted ends its children; a child whose parent was killed finds the pipe
closed the next time it has something to tell, and ends too: nothing is left behind at work.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

from isthmus.errors import IsthmusError
from isthmus.progress import Advance, Progress

Task = TypeVar("Task")
Work = Callable[[Task, Progress], None]
_ORPHANED = 3  # exit code of a child whose parent is gone


@dataclass
class PipeProgress:
    """Tells another process how this one moves."""

    pipe: Connection
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _opened: int = 0

    @contextmanager
    def track(self, label: str, total: int) -> Iterator[Advance]:
        """A bar of `total` steps over there while the context is open."""
        with self._lock:
            self._opened += 1
            key = self._opened
        self.send(("open", key, label, total))
        try:
            yield lambda steps: self.send(("advance", key, steps))
        finally:
            self.send(("close", key))

    def say(self, text: str) -> None:
        """One line that stays over there."""
        self.send(("say", text))

    def send(self, message: tuple[Any, ...]) -> None:
        """Hand a message over; end this process if nobody is there to take it."""
        try:
            with self._lock:
                self.pipe.send(message)
        except (BrokenPipeError, ConnectionResetError):
            os._exit(_ORPHANED)


@dataclass
class _Child:
    """A task at work."""

    name: str
    process: SpawnProcess
    pipe: Connection
    bars: ExitStack = field(default_factory=ExitStack)
    advances: dict[int, tuple[ExitStack, Advance]] = field(default_factory=dict)
    failure: tuple[str, str, str] | None = None

    def hear(self, progress: Progress) -> bool:
        """Take one message and show it; False at the end of the pipe."""
        try:
            kind, *rest = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            return False
        if kind == "open":
            key, label, total = rest
            bar = self.bars.enter_context(ExitStack())
            advance = bar.enter_context(progress.track(f"{self.name}: {label}", total))
            self.advances[key] = (bar, advance)
        elif kind == "advance":
            self.advances[rest[0]][1](rest[1])
        elif kind == "close":
            self.advances.pop(rest[0])[0].close()
        elif kind == "say":
            progress.say(f"{self.name}: {rest[0]}")
        else:
            self.failure = (rest[0], rest[1], rest[2])
        return True

    def end(self) -> None:
        """Stop it, whatever it does, and take its bars away."""
        self.process.terminate()
        self.process.join()
        self.pipe.close()
        self.bars.close()


def run_tasks(
    work: Work[Task],
    tasks: Mapping[str, Task],
    *,
    workers: int,
    progress: Progress,
    done: Callable[[str], None] = lambda _: None,
) -> None:
    """Do every task, `workers` at a time, in the order given.

    Args:
        work: an importable top-level function; the process that runs it ends afterwards.
        tasks: by a name that progress shows.
        done: called with the name of each task that is finished.

    Raises:
        IsthmusError: what a task raised, of the same kind where it is one of ours; or that its
            process was killed. The other tasks are stopped.
    """
    waiting = list(tasks)[::-1]
    children: dict[Connection, _Child] = {}
    try:
        while waiting or children:
            while waiting and len(children) < workers:
                name = waiting.pop()
                child = _start(work, name, tasks[name])
                children[child.pipe] = child
            for pipe in wait(list(children)):
                child = children[pipe]  # type: ignore[index]  # wait returns what it was given
                if not child.hear(progress):
                    del children[child.pipe]
                    _finish(child)
                    done(child.name)
    finally:
        for child in children.values():
            child.end()


def finish_tasks(
    work: Work[Task],
    missing: Mapping[str, Task],
    total: int,
    *,
    what: str,
    workers: int,
    progress: Progress,
) -> None:
    """`run_tasks` with a bar for those that are missing of `total`, and a line for each.

    Args:
        work: as in `run_tasks`.
        missing: by a name that progress shows.
        total: the finished ones included.
        what: they are, in the plural.
        workers: at the same time.
        progress: shows all.

    Raises:
        IsthmusError: as in `run_tasks`.
    """
    there = total - len(missing)
    if there:
        progress.say(f"{there} of {total} {what} are finished already")
    with progress.track(what, total) as advance:
        advance(there)

        def done(name: str) -> None:
            advance(1)
            progress.say(f"{name} is finished")

        run_tasks(work, missing, workers=workers, progress=progress, done=done)


def _start(work: Work[Task], name: str, task: Task) -> _Child:
    """A process for one task; it alone holds the pipe's other end."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_main, args=(work, task, theirs), name=name)
    process.start()
    theirs.close()
    return _Child(name, process, ours)


def _finish(child: _Child) -> None:
    """Wait for a process that has nothing more to say, and raise what went wrong in it."""
    child.process.join()
    child.pipe.close()
    child.bars.close()
    code = child.process.exitcode
    if child.failure is not None:
        kind, message, hint = child.failure
        ours = {error.__name__: error for error in IsthmusError.__subclasses__()}
        raise ours.get(kind, IsthmusError)(f"{child.name}: {message}", hint=hint)
    if code:
        said = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        raise IsthmusError(
            f"the process of {child.name} {said}",
            hint="if memory ran out, give --workers 1; the same command goes on from here",
        )


def _main(work: Work[Any], task: Any, pipe: Connection) -> None:
    """The life of a child. Ctrl-C is the parent's business: it ends its children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    progress = PipeProgress(pipe)
    try:
        work(task, progress)
    except IsthmusError as error:
        progress.send(("failed", type(error).__name__, str(error), error.hint))
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - the parent tells it, with the trace
        said = "".join(traceback.format_exception(error))
        hint = "this is a fault in Isthmus: please report it"
        progress.send(("failed", type(error).__name__, said, hint))
        sys.exit(1)
