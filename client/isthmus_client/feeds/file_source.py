"""A file, wherever it lies: opened as bytes, decompressed by its name, told apart by its digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import pyarrow as pa

from isthmus.errors import DataInvalidError, DataMissingError

_COMPRESSED: Final = {".gz": "gzip", ".zst": "zstd"}
_CHUNK: Final = 1 << 20  # bytes that are hashed at a time


@dataclass(frozen=True)
class FileSource:
    """A file's name and how to open it; nothing is held open.

    Attributes:
        name: what messages call it.
        opener: a new handle on its bytes, from the start; raises OSError.
        stamp: what changes when the file does; None = cannot be told.
        found: the stamp when the file was found; what is learned of it since, such as a header,
            holds for that file alone. None = any will do.
    """

    name: str
    opener: Callable[[], IO[bytes]]
    stamp: Callable[[], tuple[int, ...] | None]
    found: tuple[int, ...] | None = None

    @property
    def suffix(self) -> str:
        """The last part of the name without that of the compression, lower case: ".csv"."""
        lower = self.name.lower()
        for ending in _COMPRESSED:
            lower = lower.removesuffix(ending)
        return os.path.splitext(lower)[1]  # noqa: PTH122 - the name may be of a URL

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Its bytes as they are.

        Raises:
            DataMissingError: it is gone, or may not be read.
            DataInvalidError: it changed while it was read, or since it was found.
        """
        before = self._now()
        if self.found is not None and before != self.found:
            raise self._changed()
        try:
            handle = self.opener()
        except OSError as error:
            raise self._gone(error) from None
        with handle:
            yield handle
        if self._now() != before:
            raise self._changed()

    @contextmanager
    def content(self) -> Iterator[IO[bytes]]:
        """Its bytes, decompressed where its name ends in .gz or .zst; raises as `opened`."""
        kind = _COMPRESSED.get(os.path.splitext(self.name.lower())[1])  # noqa: PTH122 - as above
        with self.opened() as handle:
            if kind is None:
                yield handle
            else:
                with pa.CompressedInputStream(pa.PythonFile(handle, mode="r"), kind) as plain:
                    yield plain

    def fingerprint(self) -> str:
        """SHA-256 over its bytes, in hexadecimal; raises as `opened`."""
        state = hashlib.sha256()
        with self.opened() as handle:
            try:
                while chunk := handle.read(_CHUNK):
                    state.update(chunk)
            except OSError as error:
                raise self.unreadable(error) from None
        return state.hexdigest()

    def unreadable(self, error: Exception, where: str = "") -> DataInvalidError:
        """That it cannot be read further, in the words of what failed; they hold no rows."""
        said = getattr(error, "strerror", None) or str(error)
        reason = " ".join(said.split()) or type(error).__name__
        return DataInvalidError(
            f"{self.name} cannot be read{where}: {reason}",
            hint="it is damaged, or not of the format that its name or platform.toml says",
        )

    def _now(self) -> tuple[int, ...] | None:
        try:
            return self.stamp()
        except OSError as error:
            raise self._gone(error) from None

    def _changed(self) -> DataInvalidError:
        return DataInvalidError(
            f"{self.name} changed while it was read",
            hint="read it again once whatever writes it is done",
        )

    def _gone(self, error: OSError) -> DataMissingError:
        reason = error.strerror or type(error).__name__
        return DataMissingError(
            f"{self.name} cannot be opened: {reason}",
            hint="check that the file is there and that this user may read it",
        )


def local_file(path: Path, name: str) -> FileSource:
    """A file on this machine, as it is now, under the name that messages use.

    Raises:
        OSError: it is gone, or may not be looked at.
    """

    def stamp() -> tuple[int, ...]:
        seen = path.stat()
        return seen.st_ino, seen.st_size, seen.st_mtime_ns

    return FileSource(name, lambda: path.open("rb"), stamp, stamp())
