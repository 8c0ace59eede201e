"""Files behind a URL, such as s3://bucket/events/*.parquet, through fsspec.

Only what `platform.toml` names is fetched. fsspec and a protocol's own package are imported here
and only when such a source is named. Keys come from where the protocol's package looks for them
(environment, profile, instance), never from us.

Guarantees:
    - A URL is not repeated with what may be a key in it: neither its user part nor its query.
"""

from __future__ import annotations

import glob
import io
from collections.abc import Callable
from functools import partial
from pathlib import PurePosixPath
from typing import IO, Any, Final

from isthmus.errors import DataInvalidError, DataMissingError, NotInstalledError
from isthmus_client.feeds.file_source import FileSource
from isthmus_client.feeds.places import NOT_DATA, nothing_found

_BUFFER: Final = 1 << 20  # bytes that are asked for at a time, at least
_PACKAGES: Final = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
    "http": "aiohttp",
    "https": "aiohttp",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "hdfs": "pyarrow",
}


def find_remote_files(source: str) -> tuple[FileSource, ...]:
    """The files of a URL, sorted by name: one file, those of a folder, or those of a glob.

    Raises:
        DataMissingError: there is no such file, or it cannot be reached.
        DataInvalidError: no such protocol is known.
        NotInstalledError: fsspec or the protocol's package is not installed.
    """
    scheme = source.partition("://")[0].lower()
    try:
        import fsspec  # noqa: PLC0415 - only where such a source is read
    except ImportError:
        raise NotInstalledError(
            f"reading {scheme}:// needs packages that are not installed",
            hint='pip install "isthmus[sources]"',
        ) from None
    try:
        system, path = fsspec.core.url_to_fs(source)
        found = _paths(system, path)
    except ImportError:
        package = _PACKAGES.get(scheme, "")
        raise NotInstalledError(
            f"reading {scheme}:// needs a package that is not installed",
            hint=f"pip install {package}" if package else "see fsspec's list of protocols",
        ) from None
    except ValueError:
        raise DataInvalidError(
            f"{scheme}:// cannot be read", hint="it is no protocol that fsspec knows"
        ) from None
    except Exception as error:  # noqa: BLE001 - each protocol's package has errors of its own
        raise _unreachable(shown(source), error) from None
    if not found:
        raise nothing_found(shown(source))
    return tuple(_remote_file(system, each, scheme) for each in found)


def shown(url: str) -> str:
    """A URL without user, password and query."""
    scheme, _, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}://{place.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def _paths(system: Any, path: str) -> list[str]:
    """Paths of files, sorted; markers such as _SUCCESS are none."""
    if "://" in path:  # of http: a page is no folder, and a question mark no wildcard
        return [path]
    if glob.has_magic(path) and not system.exists(path):
        found = system.glob(path)
    elif system.isdir(path):
        found = system.ls(path, detail=False)
    else:
        return [path] if system.exists(path) else []
    named = [each for each in found if not PurePosixPath(each).name.startswith(NOT_DATA)]
    return sorted(each for each in named if system.isfile(each))


def _remote_file(system: Any, path: str, scheme: str) -> FileSource:
    name = shown(f"{scheme}://{path}")
    if "://" in path:  # as of http, whose paths are URLs
        name = shown(path)

    def opener() -> IO[bytes]:
        return io.BufferedReader(_Handle(system, path), _BUFFER)

    return FileSource(name, opener, lambda: None)


class _Handle(io.RawIOBase):
    """A remote file whose errors are OSErrors that name nothing but their kind."""

    def __init__(self, system: Any, path: str) -> None:
        # A web server need not know how to send a part of a file; only Parquet has to jump about.
        streamed = "://" in path and not shown(path).lower().endswith((".parquet", ".pq"))
        options = {"block_size": 0} if streamed else {}
        self._handle = _quietly(partial(system.open, **options), path, "rb")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._handle.seekable())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(_quietly(self._handle.seek, offset, whence))

    def tell(self) -> int:
        return int(self._handle.tell())

    def readinto(self, buffer: Any) -> int:
        data = _quietly(self._handle.read, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._handle.close()
        super().close()


def _quietly(call: Callable[..., Any], *values: object) -> Any:
    """What the call gives; the text of what a protocol's package raises may hold a signed URL."""
    try:
        return call(*values)
    except Exception as error:  # noqa: BLE001 - each protocol's package has errors of its own
        raise OSError(None, type(error).__name__) from None


def _unreachable(name: str, error: Exception) -> DataMissingError:
    """That a place cannot be reached; the package's own text may hold a signed URL."""
    kind = type(error).__name__
    return DataMissingError(
        f"{name} cannot be reached ({kind})",
        hint="check the URL, the network, and that this user has keys for it where the "
        "protocol's package looks for them",
    )
