"""How a command speaks: progress, errors and warnings on standard error, for a person.

Standard output belongs to results, so that it can be piped.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, RenderableType
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from isthmus.errors import IsthmusError
from isthmus.files import write_text
from isthmus.progress import Advance, Progress, Silent


def progress_for(*, as_json: bool) -> Progress:
    """Bars for a person; silence beside JSON, for a program."""
    return Silent() if as_json else RichProgress()


def show_result(shown: RenderableType, report: Path) -> None:
    """What a command found, on standard output, and where its report is."""
    console = Console(highlight=False)
    console.print(shown)
    console.print(Text(f"Report: {report.resolve()}"), soft_wrap=True)  # a path is no markup


def publish_json(value: object, out: Path | None, *, as_json: bool) -> None:
    """Write JSON where that was asked for, and print it where that was.

    Raises:
        OSError: `out` cannot be written.
    """
    document = json.dumps(value, indent=2)
    if out is not None:
        write_text(out, document + "\n")
    if as_json:
        print(document)  # noqa: T201 - a console prints


def error_console() -> Console:
    """A console on standard error; plain text where that is no terminal."""
    return Console(stderr=True, soft_wrap=not sys.stderr.isatty(), highlight=False)


class RichProgress:
    """Progress for a person: bars that vanish, or a line per finished task where no terminal is.

    Tasks may nest and may run in several threads. In a log only the outermost tasks get a line,
    so that a run of a thousand rounds does not fill it.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or error_console()
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._lock = threading.Lock()
        self._open = 0  # tasks now open

    @contextmanager
    def track(self, label: str, total: int) -> Iterator[Advance]:
        """A bar of `total` steps while the context is open."""
        outermost = self._enter()
        started = time.perf_counter()
        task = self._bars.add_task(label, total=total)
        try:
            yield lambda steps: self._bars.advance(task, steps)
        finally:
            self._bars.remove_task(task)
            self._leave()
        if outermost and not self._console.is_terminal:
            self.say(f"{label}: {total:,} done in {time.perf_counter() - started:.1f} s")

    def say(self, text: str) -> None:
        """One line that stays."""
        self._console.print(Text(text))

    def _enter(self) -> bool:
        """Count a task in; the first one draws. Whether no other task was open."""
        with self._lock:
            self._open += 1
            if self._open == 1:
                self._bars.start()
            return self._open == 1

    def _leave(self) -> None:
        """Count a task out; the last one clears the screen."""
        with self._lock:
            self._open -= 1
            if self._open == 0:
                self._bars.stop()


def show_error(error: IsthmusError, *, as_json: bool) -> None:
    """Print what was wrong and what to do next, for a person or as one JSON object."""
    show_failure(
        type(error).__name__,
        str(error),
        hint=error.hint,
        exit_code=error.exit_code,
        as_json=as_json,
    )


def show_failure(
    kind: str, message: str, *, hint: str, exit_code: int, as_json: bool, trace: str = ""
) -> None:
    """Like `show_error`, for a failure that is no error of ours; `trace` goes before it."""
    if as_json:
        value = {"error": kind, "message": message, "hint": hint, "exit_code": exit_code}
        value |= {"traceback": trace} if trace else {}
        print(json.dumps(value), file=sys.stderr)  # noqa: T201 - a console prints
        return
    console = error_console()
    if trace:
        console.print(Text(trace.rstrip()))
    console.print(Text.assemble(("error: ", "bold red"), message))
    if hint:
        console.print(Text.assemble((" hint: ", "bold cyan"), hint))


def show_banner(text: str) -> None:
    """A warning in large letters that cannot be overlooked."""
    panel = Panel(Text(text, justify="center", style="bold"), border_style="bold red")
    error_console().print(panel, soft_wrap=False)
