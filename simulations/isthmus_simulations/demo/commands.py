"""The demo's steps are commands that a person could type; this runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isthmus.errors import ServiceError

ISTHMUS = (sys.executable, "-m", "isthmus")


def run(*arguments: str) -> Mapping[str, Any]:
    """What a command prints with `--json`.

    Raises:
        ServiceError: it failed; the message is the command's own.
    """
    done = subprocess.run(  # noqa: S603 - our own command
        [*ISTHMUS, *arguments, "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ServiceError(
            f"isthmus {' '.join(arguments)}: {_failure(done.stderr)}",
            hint="what the processes say stands in the demo's folder, under logs",
        )
    found = json.loads(done.stdout or "{}")
    assert isinstance(found, dict)
    return found


def spawn(*arguments: str, out: Path) -> int:
    """Start a command that stays, in a session of its own; its process id.

    Args:
        arguments: of `isthmus`.
        out: where all goes that it prints.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("ab") as stream:
        child = subprocess.Popen(  # noqa: S603 - our own command
            [*ISTHMUS, *arguments, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    return child.pid


def _failure(printed: str) -> str:
    """The message of an error that was printed as JSON, else all that was printed."""
    for line in reversed(printed.splitlines()):
        try:
            return str(json.loads(line)["message"])
        except (ValueError, KeyError, TypeError):
            continue
    return printed.strip() or "it said nothing"
