"""A release as it comes in: chunk by chunk, into a folder that is there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Protocol

from isthmus.control.idle import Watch, watched
from isthmus.control.limits import MAX_RELEASE_FILE, MAX_RELEASE_FILES
from isthmus.errors import MessageRefusedError, ServiceError
from isthmus.files import sync_folder

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class Chunk(Protocol):
    """What the protocol's `ReleaseChunk` has."""

    file: str
    size: int
    sha256: str
    data: bytes


def receive_release(
    chunks: Iterable[Chunk], cut: Callable[[], None], folder: Path, idle_s: float
) -> Path:
    """Write a release's files; see `Session.fetch_release`.

    Args:
        chunks: as they come.
        cut: ends the transfer.
        folder: made when all files are whole; one that is there already is.
        idle_s: between two chunks, after which the transfer is cut off.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with watched(cut, idle_s) as watch:
            _write_watched(chunks, beside, watch, idle_s)
        beside.replace(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def _write_watched(chunks: Iterable[Chunk], folder: Path, watch: Watch, idle_s: float) -> None:
    """Write the files; a transfer that was cut off says so."""
    try:
        _write_all(chunks, folder, watch.moved)
    except ServiceError:
        if not watch.stalled:
            raise
        raise ServiceError(
            f"no byte of the release came for {idle_s:g} s", hint="it can be fetched again"
        ) from None


@dataclass
class _File:
    """A file that is being written."""

    name: str
    left: int  # bytes
    sha256: str
    handle: IO[bytes]
    state: Any = field(default_factory=hashlib.sha256)

    def add(self, data: bytes) -> None:
        self.left -= len(data)
        if self.left < 0:
            raise MessageRefusedError(f"the release's file {self.name} is longer than announced")
        self.state.update(data)
        self.handle.write(data)

    def end(self) -> None:
        if self.left or self.state.hexdigest() != self.sha256:
            raise MessageRefusedError(f"the release's file {self.name} is not what was announced")
        self.handle.flush()
        os.fsync(self.handle.fileno())
        self.handle.close()


def _write_all(chunks: Iterable[Chunk], folder: Path, moved: Callable[[], None]) -> None:
    """Write each file and check it against its announcement."""
    now: _File | None = None
    names: set[str] = set()
    try:
        for chunk in chunks:
            moved()
            if chunk.file:
                if now is not None:
                    now.end()
                now = _begin(chunk, folder, names)
            if now is None:
                raise MessageRefusedError("a release began without the name of its first file")
            now.add(chunk.data)
        if now is None:
            raise MessageRefusedError("the release has no files")
        now.end()
    finally:
        if now is not None:
            now.handle.close()


def _begin(chunk: Chunk, folder: Path, names: set[str]) -> _File:
    if not _NAME.fullmatch(chunk.file) or chunk.file in names or len(names) >= MAX_RELEASE_FILES:
        raise MessageRefusedError(f"a release's file may not be called {chunk.file[:100]!r}")
    if chunk.size > MAX_RELEASE_FILE:
        raise MessageRefusedError(f"the release's file {chunk.file} has {chunk.size:,} bytes")
    names.add(chunk.file)
    return _File(chunk.file, chunk.size, chunk.sha256, (folder / chunk.file).open("wb"))
