"""The source code that is installed, as one short name: figures of older code are others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from isthmus.files import digest


def source_digest(
    packages: Iterable[str], *, skip: tuple[str, ...] = (), endings: tuple[str, ...] = (".py",)
) -> str:
    """SHA-256 over names and contents of the source files of packages.

    Args:
        packages: names of installed packages; sub-packages belong to them.
        skip: beginnings of names of files and folders that are left out.
        endings: of the names of files that are taken.

    Returns:
        64 hexadecimal digits.

    Raises:
        ModuleNotFoundError: a package is not installed.
    """
    sources = sorted(
        (f"{package}/{path}", content)
        for package in packages
        for path, content in _sources(files(package), "", skip, endings)
    )
    return digest(*(part for path, content in sources for part in (path.encode(), content)))


def _sources(
    folder: Traversable, path: str, skip: tuple[str, ...], endings: tuple[str, ...]
) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.name.startswith(skip):
            continue
        if entry.is_dir():
            yield from _sources(entry, f"{path}{entry.name}/", skip, endings)
        elif entry.name.endswith(endings):
            yield path + entry.name, entry.read_bytes()
