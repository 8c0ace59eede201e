"""The benchmark's folder: ours alone, and one process at a time."""

from __future__ import annotations

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
def own(folder: Path) -> Iterator[None]:
    """Own the folder while the context is open.

    Raises:
        ScenarioError: it is a file, or holds files of somebody else.
        ResumeError: another process is at work in it.
    """
    if folder.exists() and not folder.is_dir():
        raise ScenarioError(f"--out {folder} is a file", hint="name a new folder")
    ours = not folder.exists() or (folder / MARK).exists()
    if not ours and any(entry.name != LOCK for entry in folder.iterdir()):
        raise ScenarioError(
            f"--out {folder} holds other files and no {MARK}", hint="name a new or empty folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        write_json(folder / MARK, {"benchmark": "transfer", "isthmus": __version__})
        yield
