"""Which files a path, a glob or a folder of `platform.toml` means, and of what format they are."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus_client.feeds.file_source import FileSource, local_file

FORMATS: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
NOT_DATA: Final = (".", "_")  # how the names of markers such as _SUCCESS begin


def find_files(source: str, folder: Path) -> tuple[FileSource, ...]:
    """The files of a local source, sorted by name.

    Args:
        source: a file, a folder (its files, not those of folders within), or a glob (`**` goes
            into folders).
        folder: of `platform.toml`, from which a relative source is seen.

    Raises:
        DataMissingError: there is no such file, or it may not be looked at.
    """
    try:
        files, base = _files(folder, Path(source).expanduser())
        named = {_name(each, base, folder): each for each in files}
        sources = tuple(local_file(named[name], name) for name in sorted(named))
    except (OSError, RuntimeError) as error:  # such as a folder that may not be looked into
        reason = getattr(error, "strerror", None) or str(error)
        raise DataMissingError(
            f"the source {source!r} cannot be looked at: {reason}",
            hint="check that the path is right and that this user may read it",
        ) from None
    if not sources:
        raise nothing_found(source)
    return sources


def _files(folder: Path, source: Path) -> tuple[list[Path], Path]:
    """What a source means, and the folder that all of it is in."""
    path = folder / source
    if path.is_file():
        return [path], path.parent
    if path.is_dir():
        found, base = list(path.iterdir()), path
    else:  # of the folder's own name no sign is a wildcard
        names = glob.glob(str(source), root_dir=folder, recursive=True)  # noqa: PTH207 - absolute patterns
        found, base = [folder / name for name in names], folder / _fixed_part(source)
    return [each for each in found if each.is_file() and not each.name.startswith(NOT_DATA)], base


def nothing_found(source: str) -> DataMissingError:
    """That a source means no file."""
    return DataMissingError(
        f"no file is meant by {source!r}",
        hint="a source is a file, a folder, a glob such as events/*.parquet, or a URL; "
        "a relative path is seen from the folder of platform.toml",
    )


def one_format(files: Sequence[FileSource], wanted: str) -> str:
    """The format of all files.

    Args:
        files: at least one.
        wanted: "csv", "jsonl" or "parquet"; "auto" goes by the names.

    Raises:
        DataInvalidError: a name tells no format, or the files are of several; names them.
    """
    if wanted != "auto":
        return wanted
    formats: dict[str, str] = {}
    for file in files:
        formats.setdefault(FORMATS.get(file.suffix, ""), file.name)
    if "" in formats:
        raise DataInvalidError(
            f"the name of {formats['']} tells no format",
            hint=f"it must end in one of {', '.join(FORMATS)} (text may end in .gz or .zst after "
            "that), or platform.toml must give a format",
        )
    if len(formats) > 1:
        kinds = ", ".join(f"{name} ({kind})" for kind, name in sorted(formats.items()))
        raise DataInvalidError(
            f"one source means files of several formats: {kinds}",
            hint="name those of one format with a glob, such as events/*.csv",
        )
    return next(iter(formats))


def _name(path: Path, base: Path, folder: Path) -> str:
    """As seen from the platform's folder; of a file elsewhere, no folder above `base`.

    Bytes of a name that are no UTF-8 are written as numbers: no report could hold them.
    """
    path, base, folder = (Path(os.path.normpath(each.absolute())) for each in (path, base, folder))
    name = path.relative_to(folder if path.is_relative_to(folder) else base).as_posix()
    return os.fsencode(name).decode(errors="backslashreplace")


def _fixed_part(pattern: Path) -> Path:
    """The folder of a glob before its first wildcard."""
    parts = pattern.parts
    wild = [number for number, part in enumerate(parts) if glob.has_magic(part)]
    return Path(*parts[: wild[0] if wild else -1])
