"""A backup of a server in one file, taken while it runs.

    rows/TABLE.jsonl        every row, in one consistent view
    files/…                 settings, public certificates, audit log, checkpoints, releases
    keys.sealed             private keys, and what else is secret, where there is a passphrase
    manifest.json           SHA-256 and length of all that; the schema; when it was made

The rows are read first. What they speak of is on disk by then: a checkpoint and a release are
written before their rows. Files are replaced whole, never changed, so each is read whole; of the
audit log, which grows, its whole lines are taken.

Guarantees:
    No private key, session ticket or password of the database is in a backup but under the
    passphrase; tickets are in none. The file is readable by its owner alone.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from isthmus import __version__
from isthmus.errors import StateError
from isthmus.progress import Progress, Silent
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import Settings, load_settings
from isthmus_server.state.archive import Entry, Writer, is_storable, writing
from isthmus_server.state.database import Database, connect
from isthmus_server.state.portable import lines_of, table_names
from isthmus_server.state.schema import refuse_newer, version
from isthmus_server.state.sealed_keys import seal_files

SEALED: Final = "keys.sealed"
ROWS: Final = "rows"
FILES: Final = "files"
_SILENT: Final = Silent()
_PUBLIC: Final = (".pem", ".pub")


@dataclass(frozen=True)
class Backup:
    """What was written.

    Attributes:
        files: how many, with the rows' and without the manifest.
        bytes: of the file.
        rows: of each table.
        keys: whether the private keys are in it.
        left_out: what is not in it that a server needs, and files that no backup takes.
    """

    path: Path
    files: int
    bytes: int
    rows: Mapping[str, int]
    keys: bool
    left_out: tuple[str, ...]


def backup(
    home: ServerHome,
    out: Path,
    passphrase: bytes | None = None,
    *,
    progress: Progress = _SILENT,
) -> Backup:
    """Write a backup of a server.

    Args:
        home: of the server; it may run.
        out: the file, which is not there yet.
        passphrase: seals the keys; None leaves them out.
        progress: told of every file.

    Raises:
        DataMissingError, ScenarioError: there is no server, or its settings are wrong.
        StateError: the state cannot be read, or the file cannot be written.
    """
    settings = load_settings(home)
    database = connect(settings.database_url(home))
    try:
        with writing(out) as writer:
            schema, rows = _write_rows(database, writer, out.parent)
            secrets, public, odd = _sorted_files(home, settings)
            _write_files(home, writer, public, progress)
            if passphrase is not None:
                _write_secrets(home, writer, secrets, passphrase)
            facts = {"schema": schema, "tables": list(table_names()), "isthmus": __version__}
            writer.close({**facts, "created": datetime.now(UTC).isoformat(timespec="seconds")})
            count = len(writer.entries) - 1
    finally:
        database.close()
    left = (() if passphrase is not None else secrets) + odd
    return Backup(out, count, out.stat().st_size, rows, passphrase is not None, left)


def binding(entries: Mapping[str, Entry]) -> bytes:
    """What the sealed keys vouch for: every other file."""
    others = {name: each.sha256 for name, each in entries.items() if name != SEALED}
    return json.dumps(others, sort_keys=True).encode()


def _write_rows(database: Database, writer: Writer, folder: Path) -> tuple[str, dict[str, int]]:
    """All rows of one moment; the schema they are of."""
    counts: dict[str, int] = {}
    with database.read() as connection:
        schema = version(connection)
        if schema is None:
            raise StateError(f"there is no state in {database.place}")
        refuse_newer(database, schema)
        for name in table_names():
            with tempfile.TemporaryFile(dir=folder) as spool:
                counts[name] = 0
                for line in lines_of(connection, name):
                    spool.write(line)
                    counts[name] += 1
                size = spool.tell()
                spool.seek(0)
                writer.add(f"{ROWS}/{name}.jsonl", spool, size)
    return schema, counts


def _sorted_files(
    home: ServerHome, settings: Settings
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Names below the home: secret ones, others, and those that no backup takes."""
    secret: list[str] = []
    public: list[str] = []
    odd: list[str] = []
    for name in _names(home):
        is_key = not name.endswith(_PUBLIC) and name.split("/")[0] in _key_folders(home)
        is_config = name == home.config.name and bool(settings.database)  # it may hold a password
        if not is_storable(f"{FILES}/{name}"):
            odd.append(name)
        else:
            (secret if is_key or is_config else public).append(name)
    return tuple(secret), tuple(public), tuple(odd)


def _key_folders(home: ServerHome) -> frozenset[str]:
    return frozenset(each.name for each in (home.authority, home.tls, home.identity))


def _names(home: ServerHome) -> Iterator[str]:
    """Every file that a backup is about; unfinished ones begin with a dot."""
    folders = (home.authority, home.tls, home.identity, home.runs, home.releases)
    for path in (home.config, home.audit):
        if path.is_file():
            yield path.name
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                yield path.relative_to(home.folder).as_posix()


def _write_files(
    home: ServerHome, writer: Writer, names: tuple[str, ...], progress: Progress
) -> None:
    with progress.track("backup", len(names)) as advance:
        for name in names:
            _write_file(home.folder / name, name, writer, grows=home.folder / name == home.audit)
            advance(1)


def _write_file(path: Path, name: str, writer: Writer, *, grows: bool) -> None:
    try:
        handle = path.open("rb")
    except FileNotFoundError:
        return  # a round that was rolled back in this moment
    with handle:
        size = os.fstat(handle.fileno()).st_size
        writer.add(f"{FILES}/{name}", handle, _whole_lines(handle, size) if grows else size)


def _whole_lines(handle: Any, size: int) -> int:
    """Bytes up to the last end of a line."""
    step, end = 2**16, size
    while end > 0:
        begin = max(0, end - step)
        handle.seek(begin)
        found = handle.read(end - begin).rfind(b"\n")
        if found >= 0:
            handle.seek(0)
            return int(begin + found + 1)
        end = begin
    handle.seek(0)
    return 0


def _write_secrets(
    home: ServerHome, writer: Writer, names: tuple[str, ...], passphrase: bytes
) -> None:
    files = {name: (home.folder / name).read_bytes() for name in names}
    writer.add_bytes(SEALED, seal_files(files, passphrase, binding(writer.entries)))
