"""The benchmark's folder: ours alone, and one process at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from isthmus import __version__
from isthmus.errors import ScenarioError
from isthmus.files import write_json
from isthmus_simulations.run_folder import LOCK, locked

MARK: Final = "benchmark.json"
JSON, PAGE, TABLE = "transfer.json", "transfer.html", "transfer.csv"


@contextmanager
def own(folder: Path, benchmark: str = "transfer") -> Iterator[None]:
    """Own the folder while the context is open.

    Args:
        folder: made where it is absent.
        benchmark: whose it is; another benchmark's folder is not ours.

    Raises:
        ScenarioError: it is a file, or holds files of somebody else.
        ResumeError: another process is at work in it.
    """
    if folder.exists() and not folder.is_dir():
        raise ScenarioError(f"--out {folder} is a file", hint="name a new folder")
    ours = not folder.exists() or _marked(folder / MARK, benchmark)
    if not ours and any(entry.name != LOCK for entry in folder.iterdir()):
        raise ScenarioError(
            f"--out {folder} holds other files and no {MARK} of this benchmark",
            hint="name a new or empty folder",
        )
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        write_json(folder / MARK, {"benchmark": benchmark, "isthmus": __version__})
        yield


def _marked(mark: Path, benchmark: str) -> bool:
    """Whether the folder belongs to this benchmark; a damaged mark says no."""
    try:
        found = json.loads(mark.read_bytes())
    except (FileNotFoundError, ValueError):
        return False
    return isinstance(found, dict) and found.get("benchmark") == benchmark
