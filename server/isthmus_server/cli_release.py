"""`isthmus server release`: make, list, verify and withdraw releases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from isthmus.cli_options import file, switch, text
from isthmus.cli_options import folder as folder_option
from isthmus.errors import ScenarioError
from isthmus_server.server_home import DEFAULT, ServerHome

if TYPE_CHECKING:
    from isthmus_server.state import ReleaseRow, State

HomeOption = Annotated[
    Path, folder_option("The server's folder, as `isthmus server init` made it.")
]
RunOption = Annotated[str, text("The run's id.", metavar="RUN")]
RoundOption = Annotated[
    int | None,
    typer.Option("--round", min=1, help="A committed round.", show_default="the last one"),
]
ReleaseArgument = Annotated[str, typer.Argument(metavar="RELEASE", help="The release's id.")]
MaybeReleaseArgument = Annotated[
    str | None,
    typer.Argument(metavar="RELEASE", help="By default every one.", show_default=False),
]
FolderOption = Annotated[
    Path | None,
    folder_option("Verify the release in this folder, whatever the state says.", default=False),
]
KeyOption = Annotated[Path | None, file("The server's public key; by default that of this server.")]
ReasonOption = Annotated[str, text("Why; it is shown with the release.", metavar="WORDS")]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of words.")]

release = typer.Typer(
    help="Make, list, verify and withdraw releases.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@release.callback()
def _root() -> None:
    """Make, list, verify and withdraw releases."""


@release.command()
def make(
    *,
    run: RunOption,
    number: RoundOption = None,
    home: HomeOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Write and sign the encoder that a run's round committed; platforms can then fetch it.

    The same round gives the same release, however often it is asked for.

    Example: isthmus server release make --run run-1 --round 40
    """
    from isthmus.identity import load_signing_key  # noqa: PLC0415 - `--help` needs no cryptography
    from isthmus_server.releases import make_release  # noqa: PLC0415

    place = ServerHome(home)
    with _opened(place) as state:
        key = load_signing_key(place.identity / "signing.key")
        row = make_release(place, state, run, key=key, number=number)
    words = f"{row.id} in {(place.releases / row.path).resolve()}\n  SHA-256 {row.sha256}"
    if row.withdrawn is not None:
        words += f"\n  withdrawn: {row.withdrawn_reason}"
    _print(_value(row), Text(words), as_json=as_json)


@release.command(name="list")
def list_releases(*, home: HomeOption = DEFAULT, as_json: JsonOption = False) -> None:
    """List all releases, the oldest first; withdrawn ones too.

    Example: isthmus server release list --json
    """
    with _opened(ServerHome(home)) as state:
        rows = state.releases.list()
    table = Table("release", "round", "made", "SHA-256", "withdrawn", box=None)
    for row in rows:
        made = f"{row.created:%Y-%m-%d %H:%M}"
        table.add_row(row.id, str(row.round), made, row.sha256[:16], Text(row.withdrawn_reason))
    words = table if rows else Text("No release yet: isthmus server release make --run RUN")
    _print([_value(row) for row in rows], words, as_json=as_json)


@release.command()
def verify(
    release: MaybeReleaseArgument = None,
    *,
    folder: FolderOption = None,
    key: KeyOption = None,
    home: HomeOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Check that releases are what was signed: signature, SHA-256, and what the state says.

    With --folder and --key it needs no server: so does whoever was given a copy.

    Example: isthmus server release verify run-1-r00040
    """
    if folder is not None and release is not None:
        raise ScenarioError("--folder is a release's own folder: name no RELEASE with it")
    public = _public_key(ServerHome(home), key)
    cards = _folder_card(folder, public) if folder else _cards(ServerHome(home), release, public)
    words = [f"{each['id']}: good, SHA-256 {each['sha256']}" for each in cards]
    _print(cards, Text("\n".join(words) or "There is no release yet."), as_json=as_json)


@release.command()
def withdraw(
    release: ReleaseArgument,
    *,
    reason: ReasonOption,
    home: HomeOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Hand a release out no longer. Whoever has fetched it keeps it; its files stay.

    Example: isthmus server release withdraw run-1-r00040 --reason "made on wrong data at shop-b"
    """
    if not reason.strip():
        raise ScenarioError("--reason is empty: say why the release is withdrawn")
    with _opened(ServerHome(home)) as state:
        row = state.releases.withdraw(release, reason)
        state.events.add("warning", "release-withdrawn", f"{release}: {reason}", run=row.run)
    words = f"{row.id} is withdrawn: {row.withdrawn_reason}"
    _print(_value(row), Text(words), as_json=as_json)


@contextmanager
def _opened(home: ServerHome) -> Iterator[State]:
    from isthmus_server.settings import load_settings  # noqa: PLC0415 - imports pydantic
    from isthmus_server.state import open_state  # noqa: PLC0415 - imports the database

    with open_state(load_settings(home).database_url(home)) as state:
        yield state


def _public_key(home: ServerHome, key: Path | None) -> bytes:
    from isthmus.identity import read_public_key  # noqa: PLC0415 - as above

    return read_public_key(key or home.identity / "signing.key.pub")


def _folder_card(path: Path, public: bytes) -> list[dict[str, Any]]:
    from isthmus.signed_release import verify_release  # noqa: PLC0415

    return [asdict(verify_release(path, public))]


def _cards(home: ServerHome, name: str | None, public: bytes) -> list[dict[str, Any]]:
    from isthmus_server.releases import check_release  # noqa: PLC0415

    with _opened(home) as state:
        names = [name] if name is not None else [each.id for each in state.releases.list()]
        return [asdict(check_release(home, state, each, public)) for each in names]


def _value(row: ReleaseRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "run": row.run,
        "round": row.round,
        "sha256": row.sha256,
        "path": row.path,
        "signature": row.signature.hex(),
        "created": row.created.isoformat(),
        "withdrawn": None if row.withdrawn is None else row.withdrawn.isoformat(),
        "withdrawn_reason": row.withdrawn_reason,
    }


def _print(found: object, words: Text | Table, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        Console(highlight=False).print(words, soft_wrap=True)
