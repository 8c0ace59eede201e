"""Which database: a path is SQLite, a URL may be PostgreSQL. A password is never shown.

Guarantees:
    No message repeats a URL, or any part of it that could hold a password.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from isthmus.errors import StateError

_SQLITE: Final = "sqlite:///"
_POSTGRESQL: Final = "postgresql+psycopg"
_DRIVERS: Final = {"postgresql": _POSTGRESQL, "postgres": _POSTGRESQL, _POSTGRESQL: _POSTGRESQL}
_EXAMPLE: Final = (
    "name a file, or postgresql://USER:PASSWORD@HOST:5432/DATABASE, where an @ in the password "
    "is %40"
)


def parse_address(url_or_path: str | Path) -> URL:
    """The URL of a database.

    Args:
        url_or_path: a file (made where it is not there), `sqlite:///FILE`, or a PostgreSQL URL.

    Raises:
        StateError: it is neither.
    """
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        return _of_file(Path(url_or_path))
    if url_or_path.startswith(_SQLITE):
        return _of_file(Path(url_or_path.removeprefix(_SQLITE)))  # whatever signs its name has
    try:
        url = make_url(url_or_path)
    except (ArgumentError, ValueError):
        raise StateError("the database's URL cannot be read", hint=_EXAMPLE) from None
    if url.drivername not in _DRIVERS:
        raise StateError("the database is neither SQLite nor PostgreSQL", hint=_EXAMPLE)
    if "@" in f"{url.host or ''}{url.database or ''}" or not url.database:
        raise StateError("the database's URL names no database on a host", hint=_EXAMPLE)
    return url.set(drivername=_DRIVERS[url.drivername])


def place_of(url: URL) -> str:
    """The database, for a message: without user, password and parameters."""
    if url.drivername == "sqlite":
        return str(url.database)
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{url.host or 'localhost'}{port}/{url.database}"


def _of_file(path: Path) -> URL:
    if path.is_dir() or not path.name:
        raise StateError(f"{path} is a folder; the state is a file", hint=_EXAMPLE)
    return URL.create("sqlite", database=str(path.absolute()))
