"""What a process of a platform does now, in a file that anybody on the machine's side can read."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

State = Literal["starting", "ready", "working", "waiting", "refused", "stopped"]
"""`waiting`: cannot go on, and why; `refused`: the server does not take this platform, and why."""

RUN: Final = "run"
"""Folder of all status files, in `federation/`."""


class StatusFile:
    """One process's status, replaced whole at each change.

    A full disk leaves the old one: a process does not stop for its status.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._told: dict[str, Any] = {}

    def tell(self, state: State, reason: str = "", **facts: Any) -> None:
        """Say what the process does.

        Args:
            state: one of the words.
            reason: never empty where the state is `waiting` or `refused`.
            facts: more, such as `run` and `round`; JSON values.
        """
        with self._lock:
            value = {"state": state, "reason": reason, **facts}
            if value == self._told:
                return
            self._told = value
            since = datetime.now(UTC).isoformat(timespec="milliseconds")
            text = json.dumps({**value, "pid": os.getpid(), "since": since}, sort_keys=True)
            self._replace(text + "\n")

    def _replace(self, text: str) -> None:
        """Without `fsync`: after a power cut no process is left of which it speaks."""
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside.write_text(text)
            beside.replace(self._path)


def read_status(path: Path) -> dict[str, Any] | None:
    """What was told last; None = nothing was."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
