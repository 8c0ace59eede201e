"""The demo's processes, remembered in its folder so that another command can end them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final, Self

from isthmus.errors import ScenarioError, ServiceError
from isthmus.files import write_json

NOTE: Final = "demo.json"
_GRACE_S: Final = 30.0  # for all to end by themselves


@dataclass(frozen=True)
class Process:
    """A process, and when it was started: another one may get its number later."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """A process that runs now."""
        return cls(pid, _started(pid))

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return bool(self.started) and _started(self.pid) == self.started


@dataclass(frozen=True)
class Demo:
    """What `isthmus demo up` made.

    Attributes:
        folder: of everything.
        run: that was started.
        platforms: their names.
        processes: the supervisors, by name; all others end with them.
    """

    folder: Path
    run: str = ""
    platforms: tuple[str, ...] = ()
    processes: dict[str, Process] = field(default_factory=dict)

    def save(self) -> None:
        """Write the note by which `load` finds all."""
        write_json(self.folder / NOTE, {**asdict(self), "folder": str(self.folder)})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The demo in a folder.

        Raises:
            ScenarioError: there is none.
        """
        try:
            value = json.loads((folder / NOTE).read_bytes())
            processes = {name: Process(**each) for name, each in value["processes"].items()}
            return cls(folder, value["run"], tuple(value["platforms"]), processes)
        except (OSError, ValueError, KeyError, TypeError):
            raise ScenarioError(
                f"there is no demo in {folder}", hint="isthmus demo up, or name its folder: --dir"
            ) from None

    def stop(self) -> None:
        """End every process: platforms first, then the server.

        Raises:
            ServiceError: one did not end, not even when it was killed.
        """
        _end([*self.processes.values()][::-1])

    def without(self, names: Collection[str]) -> Self:
        """The demo after these processes were ended.

        Raises:
            ServiceError: as of `stop`.
        """
        _end([process for name, process in self.processes.items() if name in names])
        left = {name: each for name, each in self.processes.items() if name not in names}
        found = replace(self, processes=left)
        found.save()
        return found

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder)


def _end(processes: Sequence[Process]) -> None:
    """Ask, wait, kill."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            _signal(process, number)
        if _gone(processes, _GRACE_S):
            return
    left = [str(process.pid) for process in processes if process.alive]
    raise ServiceError(f"processes {', '.join(left)} do not end")


def _signal(process: Process, number: signal.Signals) -> None:
    if process.alive:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _gone(processes: Sequence[Process], seconds: float) -> bool:
    """Whether all ended within so many seconds."""
    pause, deadline = threading.Event(), time.monotonic() + seconds
    while any(process.alive for process in processes):
        if time.monotonic() > deadline:
            return False
        _reap(processes)
        pause.wait(0.1)
    return True


def _reap(processes: Sequence[Process]) -> None:
    """Take note of own children that ended; those of another command are not ours to wait for."""
    for process in processes:
        with suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)


def _started(pid: int) -> str:
    """When a process was started, in the kernel's count; "" where it does not run."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
