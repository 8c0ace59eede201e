"""A backup becomes a server's folder again, all or nothing.

What was true only while the old server ran is not taken over: platforms open new sessions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import update

from isthmus.errors import StateError
from isthmus.files import sync_folder
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import load_settings, settings_text
from isthmus_server.state import tables
from isthmus_server.state.archive import Entry, is_storable, place, unpack
from isthmus_server.state.backup import FILES, ROWS, SEALED, binding
from isthmus_server.state.clock import utc_now
from isthmus_server.state.database import Database, connect
from isthmus_server.state.events import write_event
from isthmus_server.state.portable import go_on_counting, put_back, require_empty, table_names
from isthmus_server.state.schema import bring_up, known_revisions, version
from isthmus_server.state.sealed_keys import unseal_files

_NO_KEYS: Final = "give its passphrase with --passphrase-file, or --without-keys to leave them out"


@dataclass(frozen=True)
class Restored:
    """What was put back.

    Attributes:
        created: when the backup was made.
        place: where the rows are now.
        keys: whether the private keys were in it.
        config: whether `server.toml` was.
    """

    folder: Path
    created: str
    place: str
    rows: Mapping[str, int]
    keys: bool
    config: bool


def restore(
    path: Path,
    folder: Path,
    passphrase: bytes | None = None,
    *,
    database: str = "",
    without_keys: bool = False,
) -> Restored:
    """Make a server's folder from a backup.

    Args:
        path: the backup.
        folder: not there, or empty.
        passphrase: of the keys.
        database: URL for the rows, written into the settings too; "" = as the settings say, else
            SQLite in the folder.
        without_keys: leave the keys out though they are there.

    Guarantees:
        Every file was found to be what the manifest says before anything is put back. The folder
        is there whole or not at all.

    Raises:
        StateError: the folder or the database holds something; the backup is damaged, altered or
            of a newer version; the passphrase is missing or wrong; a disk is full.
    """
    _refuse_full(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as beside:
            return _restore(path, folder, Path(beside), passphrase, database, without_keys)
    except OSError as error:
        raise StateError(
            f"{folder} cannot be written: {error.strerror or error}", hint="make room, try again"
        ) from error


def _restore(
    path: Path,
    folder: Path,
    beside: Path,
    passphrase: bytes | None,
    url: str,
    without_keys: bool,
) -> Restored:
    unpacked, built = beside / "backup", beside / "server"
    unpacked.mkdir(mode=0o700)
    manifest = unpack(path, unpacked)
    schema = _known_schema(manifest)
    home = ServerHome(built)
    _move_files(unpacked, home)
    has_keys = not without_keys and _unseal(unpacked, home, manifest, passphrase)
    target = _database_of(home, url)
    database = connect(target or home.database_path)
    try:
        rows = _put_rows_back(database, unpacked, schema, manifest)
    finally:
        database.close()
    built.rename(folder)
    sync_folder(folder.parent)
    where = database.place if target else str(folder / home.database_path.name)
    config = ServerHome(folder).config.is_file()
    return Restored(folder, str(manifest.get("created")), where, rows, has_keys, config)


def _refuse_full(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StateError(
            f"{folder} is not empty; nothing was changed",
            hint="restore into a new folder: a server that is there is never replaced",
        )


def _known_schema(manifest: Mapping[str, Any]) -> str:
    schema = str(manifest.get("schema"))
    if schema not in known_revisions():
        raise StateError(
            f"the backup has the schema {schema}; this version knows {known_revisions()[-1]}",
            hint=f"restore it with Isthmus {manifest.get('isthmus')} or newer",
        )
    return schema


def _move_files(unpacked: Path, home: ServerHome) -> None:
    """Put the files where a server looks for them."""
    home.folder.mkdir(mode=0o700)
    for folder in (home.authority, home.identity, home.tls, home.runs, home.releases):
        folder.mkdir(mode=0o700)
    for folder in (home.logs, home.runtime):
        folder.mkdir(mode=0o700)
    source = unpacked / FILES
    for path in sorted(source.rglob("*")):
        if path.is_file():
            target = home.folder / path.relative_to(source)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.rename(target)


def _unseal(
    unpacked: Path, home: ServerHome, manifest: Mapping[str, Any], passphrase: bytes | None
) -> bool:
    sealed = unpacked / SEALED
    if not sealed.is_file():
        return False
    if passphrase is None:
        raise StateError("the backup holds keys under a passphrase", hint=_NO_KEYS)
    entries = {name: Entry(**each) for name, each in manifest["files"].items()}
    for name, data in unseal_files(sealed.read_bytes(), passphrase, binding(entries)).items():
        if not is_storable(name):
            raise StateError(f"the backup has a key that no server has: {name[:100]!r}")
        place(home.folder, name, data)
    return True


def _database_of(home: ServerHome, url: str) -> str:
    """The URL that was given, from now on the settings' too, else theirs; "" = in the folder."""
    if not home.config.is_file():
        return url
    settings = load_settings(home)
    if url and url != settings.database:
        text = settings_text(settings.model_copy(update={"database": url}))
        place(home.folder, home.config.name, text.encode())
    return url or settings.database


def _put_rows_back(
    database: Database, unpacked: Path, schema: str, manifest: Mapping[str, Any]
) -> dict[str, int]:
    """Into tables of the schema that they are of, brought up to date afterwards."""
    with database.read() as connection:
        require_empty(connection, database.place)
        if version(connection) not in {None, schema}:
            raise StateError(
                f"{database.place} has another schema than the backup, {schema}",
                hint="restore into an empty database",
            )
    bring_up(database, schema)
    with database.write() as connection:
        require_empty(connection, database.place)
        rows = {}
        for name in manifest.get("tables") or table_names():
            file = unpacked / ROWS / f"{name}.jsonl"
            if file.is_file():
                with file.open("rb") as lines:
                    rows[name] = put_back(connection, name, lines)
        go_on_counting(connection)
    bring_up(database)
    _forget_sessions(database, str(manifest.get("created")))
    return rows


def _forget_sessions(database: Database, created: str) -> None:
    """Tickets went on since: the old ones would make every platform look like a clone."""
    closed = {"session": None, "session_before": None, "session_confirmed": False}
    text = f"the state was restored from a backup of {created}; platforms open new sessions"
    with database.write() as connection:
        connection.execute(update(tables.platforms).values(**closed))
        write_event(connection, utc_now(), "warning", "restored", text, platform=None, run=None)
