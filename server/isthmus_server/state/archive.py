"""One plain tar file with a manifest of SHA-256 in its last member.

Guarantees:
    A file is written beside, synced and renamed, so an interrupted backup leaves none. What is
    unpacked was named by the manifest, matches its length and SHA-256, and is a plain file below
    the folder given, whatever the archive says.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from isthmus.errors import StateError
from isthmus.files import sync_folder, write_bytes

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_BLOCK: Final = 2**20  # bytes
_MAX_MANIFEST: Final = 2**26  # bytes; about 400 000 files
_OWNER_ONLY: Final = 0o600
_AGAIN: Final = "take another backup, or another copy of this one"


@dataclass(frozen=True)
class Entry:
    """One file of an archive."""

    sha256: str
    bytes: int


@dataclass
class Writer:
    """An archive that is being written.

    Attributes:
        entries: what is in it so far.
    """

    tar: tarfile.TarFile
    entries: dict[str, Entry] = field(default_factory=dict)

    def add(self, name: str, source: IO[bytes], size: int) -> None:
        """Put `size` bytes in.

        Raises:
            StateError: the source ended before.
        """
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, _OWNER_ONLY
        hashing = _Hashing(source)
        try:
            self.tar.addfile(info, hashing)  # type: ignore[arg-type]  # it only ever reads
        except OSError as error:
            if hashing.count < size and hashing.ended:
                raise StateError(f"{name} became shorter while it was read") from error
            raise
        self.entries[name] = Entry(hashing.state.hexdigest(), size)

    def add_bytes(self, name: str, data: bytes) -> None:
        """Put data in."""
        self.add(name, io.BytesIO(data), len(data))

    def close(self, facts: Mapping[str, Any]) -> None:
        """Put the manifest in."""
        files = {name: vars(entry) for name, entry in self.entries.items()}
        manifest = {"format": FORMAT, "files": files, **facts}
        self.add_bytes(MANIFEST, json.dumps(manifest, indent=1, sort_keys=True).encode())


class _Hashing:
    """A file that keeps the SHA-256 of what was read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.state = hashlib.sha256()
        self.count = 0
        self.ended = False

    def read(self, size: int) -> bytes:
        """As of any file."""
        data = self._source.read(size)
        self.state.update(data)
        self.count += len(data)
        self.ended = self.ended or len(data) < size
        return data


def is_storable(name: str) -> bool:
    """Whether an archive takes a file of this name."""
    return _NAME.fullmatch(name) is not None


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Write an archive; it is there when the context ends well.

    Raises:
        StateError: the file is there already, or cannot be written.
    """
    if path.exists():
        raise StateError(f"{path} is there already", hint="name another file")
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        with os.fdopen(descriptor, "wb") as handle:
            with tarfile.open(fileobj=handle, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                yield Writer(tar)
            handle.flush()
            os.fsync(handle.fileno())
        beside.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StateError(
            f"the backup {path} cannot be written: {error.strerror or error}"
            f"{f' ({error.filename})' if error.filename else ''}",
            hint="look at the room on the disk and at who may read and write there",
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def unpack(path: Path, folder: Path) -> dict[str, Any]:
    """Unpack an archive into an empty folder, and check all of it.

    Returns:
        The manifest.

    Raises:
        StateError: it cannot be read, or is not what its manifest says.
    """
    found: dict[str, Entry] = {}
    try:
        with tarfile.open(path, mode="r:") as tar:
            for member in tar:
                found[member.name] = _unpacked(tar, member, folder, found)
    except OSError as error:
        raise StateError(f"{path} cannot be unpacked: {error.strerror or error}") from error
    except tarfile.TarError as error:
        raise StateError(f"{path} is no backup, or cut short: {error}", hint=_AGAIN) from error
    return _checked(path, folder, found)


def _unpacked(
    tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, found: Mapping[str, Entry]
) -> Entry:
    if not member.isreg() or not is_storable(member.name) or member.name in found:
        raise StateError(f"the backup has a member that no backup has: {member.name[:100]!r}")
    source = tar.extractfile(member)
    assert source is not None  # it is a plain file
    target = folder / member.name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    hashing = _Hashing(source)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as handle:
        while block := hashing.read(_BLOCK):
            handle.write(block)
        handle.flush()
        os.fsync(handle.fileno())
    return Entry(hashing.state.hexdigest(), hashing.count)


def _checked(path: Path, folder: Path, found: dict[str, Entry]) -> dict[str, Any]:
    """The manifest, if it and the files agree."""
    if MANIFEST not in found or found[MANIFEST].bytes > _MAX_MANIFEST:
        raise StateError(f"{path} has no manifest: it is no backup, or cut short", hint=_AGAIN)
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        stated = {name: Entry(**each) for name, each in manifest["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateError(f"the manifest of {path} is damaged", hint=_AGAIN) from error
    if manifest.get("format") != FORMAT:
        raise StateError(
            f"{path} has the format {manifest.get('format')!r}, this version reads {FORMAT}",
            hint="restore it with the version of Isthmus that made it",
        )
    del found[MANIFEST]
    odd = sorted(
        name for name in stated.keys() | found.keys() if stated.get(name) != found.get(name)
    )
    if odd:
        raise StateError(
            f"{path} is damaged: {', '.join(odd[:5])}{' …' if len(odd) > 5 else ''} "  # noqa: PLR2004
            "not as the manifest says",
            hint=_AGAIN,
        )
    return dict(manifest)


def place(folder: Path, name: str, data: bytes) -> None:
    """Write a small secret file below a folder."""
    target = folder / name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_bytes(target, data, mode=_OWNER_ONLY)
