"""A run's folder: one configuration, one owner at a time, nothing overwritten by accident.

`run.json` is written before anything else and says which configuration the folder belongs to.

| the folder                                    | what happens                            |
|-----------------------------------------------|-----------------------------------------|
| is absent or empty                            | a new run                               |
| holds a finished run of this configuration    | its results are shown again             |
| holds an unfinished run of this configuration | it is continued                         |
| holds a run of another configuration          | refused; with `force` deleted           |
| holds anything else                           | refused, with `force` too: it is not ours |
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

from isthmus import __version__
from isthmus.errors import ResumeError, ScenarioError
from isthmus.files import digest, write_json
from isthmus_simulations.options import DEPENDENT, SimulationOptions

State = Literal["new", "unfinished", "finished"]

MARK: Final = "run.json"
LOCK: Final = ".lock"
RESULTS: Final = "results.json"
REPORT: Final = "report.html"
EARLIER: Final = "earlier"
"""The run of one window before, which a run with two windows makes for itself."""


@contextmanager
def claim(options: SimulationOptions, *, force: bool = False) -> Iterator[State]:
    """Own `options.out` while the context is open; what it holds of this configuration.

    Raises:
        ScenarioError: the folder belongs to another configuration or is no run's folder.
        ResumeError: another process is at work in it; or `options.resume` and nothing to resume.
    """
    wanted = configuration(options)
    _require_ours(options.out)
    if options.resume and not (options.out / MARK).exists():
        raise ResumeError(
            f"no run to resume in {options.out}", hint="leave --resume out to start one"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    with locked(options.out):
        if force:
            _clear(options.out)
        try:
            yield _enter(options.out, wanted)
        finally:
            _leave(options.out)


def configuration(options: SimulationOptions) -> dict[str, Any]:
    """What decides the result: the version, the options, and a scenario file's content."""
    chosen = options.model_dump(mode="json", include=set(DEPENDENT))
    file = Path(options.scenario)
    content = digest(file.read_bytes()) if file.is_file() else None
    return {"isthmus": __version__, "scenario_sha256": content, **chosen}


def _require_ours(folder: Path) -> None:
    """Refuse a folder with files of somebody else."""
    if folder.exists() and not folder.is_dir():
        raise ScenarioError(f"--out {folder} is a file", hint="name a new folder")
    ours = (folder / MARK).exists() or not folder.exists()
    if not ours and any(entry.name != LOCK for entry in folder.iterdir()):
        raise ScenarioError(
            f"--out {folder} holds other files and no {MARK}", hint="name a new or empty folder"
        )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system frees it even if the process is killed."""
    with (folder / LOCK).open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ResumeError(
                f"another process is at work in {folder}", hint="wait for it, or choose --out"
            ) from None
        yield


def _clear(folder: Path) -> None:
    """Delete a run's files but not its lock. The mark goes last: a crash leaves the folder ours."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name == MARK):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != LOCK:
            entry.unlink()


def _enter(folder: Path, wanted: Mapping[str, Any]) -> State:
    """Compare with the mark, or leave one."""
    if not _has_work(folder):
        write_json(folder / MARK, wanted)
        return "new"
    _require_same(_read_mark(folder), wanted, folder)
    done = (folder / RESULTS).exists() and (folder / REPORT).exists()
    return "finished" if done else "unfinished"


def _leave(folder: Path) -> None:
    """Take the mark away again where nothing was done, as after a mistyped option."""
    if not _has_work(folder):
        (folder / MARK).unlink(missing_ok=True)
        (folder / LOCK).unlink()
        folder.rmdir()


def _has_work(folder: Path) -> bool:
    return any(entry.name not in {MARK, LOCK} for entry in folder.iterdir())


def _read_mark(folder: Path) -> Mapping[str, Any]:
    try:
        value = json.loads((folder / MARK).read_text())
    except json.JSONDecodeError as error:
        raise ResumeError(
            f"{folder / MARK} is damaged: {error}", hint="--force starts the run anew"
        ) from error
    return value if isinstance(value, dict) else {}


def _require_same(found: Mapping[str, Any], wanted: Mapping[str, Any], folder: Path) -> None:
    """Refuse to mix two configurations; name every difference."""
    names = sorted(found.keys() | wanted.keys())
    odd = [f"{n} {found.get(n)} → {wanted.get(n)}" for n in names if found.get(n) != wanted.get(n)]
    if odd:
        raise ScenarioError(
            f"{folder} holds a run of another configuration: {'; '.join(odd)}",
            hint="choose another --out, or --force to delete that run and start anew",
        )
