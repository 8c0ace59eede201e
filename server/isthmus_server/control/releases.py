"""A release's files as the platforms fetch them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from isthmus.control import control_pb2 as wire
from isthmus.control.limits import CHUNK, MAX_RELEASE_FILE, MAX_RELEASE_FILES
from isthmus.control.reasons import RefusedError
from isthmus.errors import StateError
from isthmus_server.server_home import ServerHome
from isthmus_server.state import ReleaseRow, State


def find_release(state: State, release: str, run: str) -> ReleaseRow:
    """A release that is not withdrawn.

    Args:
        state: holds the releases.
        release: its id; "" = the newest of `run`.
        run: as above.

    Raises:
        RefusedError: there is none.
    """
    found = [
        each
        for each in state.releases.list()
        if each.withdrawn is None
        and ((release and each.id == release) or (not release and each.run == run))
    ]
    if not found:
        raise RefusedError("absent")
    return max(found, key=lambda each: each.round)


def release_chunks(home: ServerHome, release: ReleaseRow) -> Iterator[wire.ReleaseChunk]:
    """The files, each in chunks of 256 KiB at most; an empty one is a chunk too.

    Raises:
        StateError: the files are not there, or are other than those of a release.
        OSError: a file cannot be read.
    """
    root = home.releases.resolve()
    folder = (root / release.path).resolve()
    if not folder.is_relative_to(root) or not folder.is_dir():
        raise StateError(f"the files of release {release.id} are not in {root}")
    files = sorted(each for each in folder.iterdir() if each.is_file())
    if not 0 < len(files) <= MAX_RELEASE_FILES:
        raise StateError(f"release {release.id} has {len(files)} files")
    for each in files:
        yield from _chunks(each)


def _chunks(path: Path) -> Iterator[wire.ReleaseChunk]:
    with path.open("rb") as handle:
        sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
        size = handle.tell()
        if size > MAX_RELEASE_FILE:
            raise StateError(f"{path} has {size:,} bytes, at most {MAX_RELEASE_FILE:,} are sent")
        handle.seek(0)
        first = handle.read(CHUNK)
        yield wire.ReleaseChunk(file=path.name, size=size, sha256=sha256, data=first)
        while data := handle.read(CHUNK):
            yield wire.ReleaseChunk(data=data)
