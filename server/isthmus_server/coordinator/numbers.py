"""Numbers of a run's sessions of secure aggregation: each above all before, whatever is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from isthmus.errors import StateError
from isthmus.files import write_text

SESSIONS = "last-session"
"""In a run's folder: the number of its last session."""


@dataclass(frozen=True)
class SessionNumbers:
    """Numbers that only ever grow: platforms take a smaller one for a replay.

    They are milliseconds of the wall clock, so that they grow over a backup put back too, whose
    state knows nothing of the sessions since; and above the last one that was written down, so that
    they grow over a clock that was set back.

    Attributes:
        path: of the file with the last one.
        clock: Unix seconds.
    """

    path: Path
    clock: Callable[[], float] = time.time

    def __call__(self) -> int:
        """The next number, on the disk before it is used.

        Raises:
            StateError: the file holds no number.
            OSError: it cannot be written.
        """
        number = max(self._last() + 1, int(self.clock() * 1000))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path, f"{number}\n")
        return number

    def _last(self) -> int:
        try:
            text = self.path.read_text()
        except FileNotFoundError:
            return 0
        if not text.strip().isdecimal():
            raise StateError(
                f"{self.path} holds no number of a session",
                hint="delete it: numbers go by the clock then",
            )
        return int(text)
