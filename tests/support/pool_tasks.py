"""Tasks for processes of their own, which find them by name."""

import os
import signal
from pathlib import Path

from isthmus.errors import DataInvalidError


def write(task, progress):
    """Write a word into a file, with two steps of progress."""
    path, word = task
    with progress.track("writing", 2) as advance:
        advance(1)
        progress.say(f"writes {word}")
        Path(path).write_text(word)
        advance(1)


def note_process(task, _progress):
    """Leave the process's number."""
    Path(task).write_text(str(os.getpid()))


def refuse(task, _progress):
    raise DataInvalidError(f"{task} is wrong", hint="make it right")


def break_down(task, _progress):
    raise ZeroDivisionError(task)


def be_killed(_task, _progress):
    os.kill(os.getpid(), signal.SIGKILL)


def tick(task, progress):
    """Write the process's number, then tell the time until somebody stops it."""
    with progress.track("ticking", 10**6) as advance:
        Path(task).write_text(str(os.getpid()))
        while True:
            advance(1)
