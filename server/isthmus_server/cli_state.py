"""`isthmus server backup` and `isthmus server restore`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from isthmus.cli_options import file, folder, switch, text
from isthmus.console import progress_for
from isthmus_server.server_home import DEFAULT, ServerHome

if TYPE_CHECKING:
    from isthmus_server.state.backup import Backup
    from isthmus_server.state.restore import Restored

OutArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="OUT",
        help="The backup's file; not there yet. By default isthmus-backup-TIME.tar.",
        show_default=False,
    ),
]
ArchiveArgument = Annotated[Path, typer.Argument(metavar="ARCHIVE", help="The backup.")]
HomeOption = Annotated[Path, folder("The server's folder, as `isthmus server init` made it.")]
TargetOption = Annotated[Path, folder("The server's new folder: not there yet, or empty.")]
PassphraseOption = Annotated[
    Path | None,
    file("The keys' passphrase is this file's first line, else $ISTHMUS_BACKUP_PASSPHRASE."),
]
DatabaseOption = Annotated[
    str,
    text(
        "Put the rows into this empty database.",
        default="as the backup's server.toml says",
        metavar="URL",
    ),
]
WithoutKeysOption = Annotated[
    bool, switch("--without-keys", "Leave the private keys of the backup out.")
]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of words.")]


def backup(
    out: OutArgument = None,
    *,
    home: HomeOption = DEFAULT,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write everything that the server knows into one file, also while it runs.

    Private keys are in it only under a passphrase: without one, a restored server is another
    server, and every platform has to join again.

    Example: isthmus server backup monday.tar --passphrase-file backup.passphrase
    """
    from isthmus_server.state.backup import backup as write  # noqa: PLC0415 - imports the database
    from isthmus_server.state.sealed_keys import read_passphrase  # noqa: PLC0415

    path = out or Path(f"isthmus-backup-{datetime.now(UTC):%Y%m%d-%H%M%S}.tar")
    passphrase = read_passphrase(passphrase_file)
    made = write(ServerHome(home), path, passphrase, progress=progress_for(as_json=as_json))
    found = {
        "file": str(made.path.resolve()),
        "bytes": made.bytes,
        "files": made.files,
        "rows": dict(made.rows),
        "keys": made.keys,
        "left_out": list(made.left_out),
    }
    _print(found, _backup_words(made), as_json=as_json)


def restore(
    archive: ArchiveArgument,
    *,
    home: TargetOption = DEFAULT,
    passphrase_file: PassphraseOption = None,
    database: DatabaseOption = "",
    without_keys: WithoutKeysOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a server's folder from a backup, once all of the backup was found whole.

    Nothing that is there is replaced: neither a folder nor rows of a database. Platforms keep
    their identities and open new sessions.

    Example: isthmus server restore monday.tar --home new-server --passphrase-file backup.passphrase
    """
    from isthmus_server.state.restore import restore as put_back  # noqa: PLC0415 - as above
    from isthmus_server.state.sealed_keys import read_passphrase  # noqa: PLC0415

    done = put_back(
        archive,
        home,
        read_passphrase(passphrase_file),
        database=database,
        without_keys=without_keys,
    )
    found = {
        "folder": str(done.folder.resolve()),
        "created": done.created,
        "database": done.place,
        "rows": dict(done.rows),
        "keys": done.keys,
        "config": done.config,
    }
    _print(found, _restored_words(done), as_json=as_json)


def _backup_words(made: Backup) -> str:
    lines = [f"{made.path.resolve()}: {made.files:,} files, {made.bytes:,} bytes"]
    if made.keys:
        lines.append("The private keys are in it, under the passphrase. Keep both, apart.")
    if made.left_out:
        lines.append(f"Not in it: {', '.join(made.left_out)}")
    if not made.keys:
        lines.append("Private keys are taken with --passphrase-file alone.")
    return "\n".join(lines)


def _restored_words(done: Restored) -> str:
    rows = ", ".join(f"{count:,} {name}" for name, count in done.rows.items() if count)
    lines = [
        f"The server of {done.created} is in {done.folder.resolve()}",
        f"  rows: {rows or 'none'}, in {done.place}",
    ]
    if not done.keys:
        lines.append("  no private keys: put ca/, tls/ and identity/ back from elsewhere")
    if not done.config:
        lines.append("  no server.toml: write it, and name the database above in it")
    lines.append(f"Next: isthmus server up --home {done.folder}")
    return "\n".join(lines)


def _print(found: dict[str, object], words: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        Console(highlight=False).print(Text(words), soft_wrap=True)
