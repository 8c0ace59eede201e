"""Keep a command's child processes alive, and end them with it.

A child is started again when it ends, after a pause that grows while it keeps ending at once. Its
standard input is a pipe that the parent never writes to: when the parent dies, however it dies, the
child reads the end of it and stops (see `stop_with_parent`).
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from isthmus.errors import ServiceError

MAX_LOG: Final = 10 * 1024 * 1024  # bytes of a log that is set aside when its process starts
_TURN_S: Final = 0.05  # between two looks whether the process before has ended
_STEADY: Final = 10.0  # seconds alive after which the next pause is the first one again


@dataclass(frozen=True)
class Program:
    """One child.

    Attributes:
        command: as for `subprocess`.
        environment: on top of the parent's.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pauses:
    """Seconds before a child that ended is started again: doubled each time, up to the last."""

    first: float = 0.25
    last: float = 10.0


@dataclass(frozen=True)
class ChildStatus:
    """How a child is.

    Attributes:
        state: `running`, `waiting` (to be started again) or `stopped`.
        reason: why it is not running; how often it ended, where it runs.
        pid: 0 where it does not run.
        starts: how often it was started.
    """

    name: str
    state: str
    reason: str
    pid: int
    starts: int


class Supervisor:
    """Starts the programs and keeps them running until it is told to stop.

    Args:
        programs: started together, stopped in the opposite order.
        logs: folder of `NAME.log`, where a child's output goes; made where it is not.
        pauses: before a child is started again.
        grace: seconds that a child has to end by itself.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        logs: Path,
        *,
        pauses: Pauses | None = None,
        grace: float = 10.0,
    ) -> None:
        self._logs = logs
        self._stop = threading.Event()
        pauses = pauses or Pauses()
        self._keepers = [_Keeper(each, logs, pauses, self._stop, grace) for each in programs]

    def start(self) -> None:
        """Start all.

        Raises:
            ServiceError: the logs cannot be written.
        """
        try:
            self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ServiceError(f"{self._logs} cannot be made: {error.strerror}") from error
        for keeper in self._keepers:
            keeper.thread.start()

    def status(self) -> tuple[ChildStatus, ...]:
        """How each child is."""
        return tuple(keeper.status for keeper in self._keepers)

    def stop(self) -> None:
        """End all, the last one first, and wait for them."""
        self._stop.set()
        for keeper in reversed(self._keepers):
            keeper.end()
        for keeper in self._keepers:
            if keeper.thread.is_alive():
                keeper.thread.join()


class _Keeper:
    """The thread of one child."""

    def __init__(
        self, program: Program, logs: Path, pauses: Pauses, stop: threading.Event, grace: float
    ) -> None:
        self._program, self._pauses, self._stop, self._grace = program, pauses, stop, grace
        self._log = logs / f"{program.name}.log"
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._starts = 0
        self.status = ChildStatus(program.name, "waiting", "not started yet", 0, 0)
        self.thread = threading.Thread(target=self._keep, name=program.name, daemon=True)

    def _keep(self) -> None:
        pause = self._pauses.first
        while not self._stop.is_set():
            began = time.monotonic()
            reason = self._once()
            if time.monotonic() - began > _STEADY:
                pause = self._pauses.first
            if not self._stop.is_set():
                self._tell("waiting", f"{reason}; starts again in {pause:g} s; see {self._log}")
            self._stop.wait(pause)
            pause = min(2 * pause, self._pauses.last)
        self._tell("stopped", "told to stop")

    def _once(self) -> str:
        """Run the child once; why it ended."""
        try:
            child = self._spawn()
        except OSError as error:
            return f"could not start: {error.strerror or error}"
        if child is None:
            return "told to stop"
        code = child.wait()
        if child.stdin:
            child.stdin.close()
        with self._lock:
            self._child = None
        return f"killed by signal {-code}" if code < 0 else f"ended with code {code}"

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        """Start the child unless all is to stop; under the lock, so that `end` misses none."""
        with self._lock:
            if self._stop.is_set():
                return None
            if self._log.exists() and self._log.stat().st_size > MAX_LOG:
                self._log.replace(self._log.with_suffix(".1.log"))
            with self._log.open("ab") as log:
                child = subprocess.Popen(  # noqa: S603 - our own programs
                    list(self._program.command),
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **self._program.environment},
                    start_new_session=True,  # Ctrl-C is the parent's; it tells its children
                )
            self._child = child
            self._starts += 1
        self._tell(
            "running", f"started {self._starts} times" if self._starts > 1 else "", child.pid
        )
        return child

    def end(self) -> None:
        """End the child: ask, wait, kill."""
        with self._lock:
            child = self._child
        if child is None:
            return
        with suppress(ProcessLookupError):
            child.terminate()
        try:
            child.wait(self._grace)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                child.kill()

    def _tell(self, state: str, reason: str, pid: int = 0) -> None:
        self.status = ChildStatus(self._program.name, state, reason, pid, self._starts)


def stop_on_signals(stop: threading.Event, then: Callable[[], None] = lambda: None) -> None:
    """Set the event at SIGTERM or SIGINT; main thread only."""

    def handle(_number: int, _frame: object) -> None:
        stop.set()
        then()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)


def stop_with_parent(stop: threading.Event, then: Callable[[], None] = lambda: None) -> None:
    """Set the event when standard input ends, as it does when a supervisor dies."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        stop.set()
        then()

    threading.Thread(target=watch, name="parent", daemon=True).start()


@contextmanager
def turn(runtime: Path, name: str, stop: threading.Event) -> Iterator[bool]:
    """Hold a process's place, once the one before has ended, however that was.

    A supervisor that is killed takes its children with it, but they end a moment later than it
    does: the next supervisor's would meet them, and both would write, or one would take away what
    the other listens on.

    Args:
        runtime: folder of `NAME.lock`; made where it is not, mode 0700.
        name: of the process, which is one at a time.
        stop: set when this process is to end.

    Yields:
        Whether the place is held; no, where the process was told to stop before it was.
    """
    runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (runtime / f"{name}.lock").open("a+") as lock:
        while not stop.is_set():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stop.wait(_TURN_S)
            else:
                yield True
                return
        yield False


@contextmanager
def alone(runtime: Path, what: str) -> Iterator[None]:
    """Hold a folder's lock, so that there is one supervisor; a dead one holds none.

    Args:
        runtime: the folder; made where it is not, mode 0700.
        what: runs already, where it does.

    Raises:
        ServiceError: another process holds it.
    """
    runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (runtime / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise ServiceError(
                f"{what} runs already, as process {lock.read().strip()}", hint="stop that one first"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
