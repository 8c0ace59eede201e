"""`isthmus client init`: a new platform's contract, keys and folders."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from isthmus.cli_options import file, switch, text
from isthmus.errors import ScenarioError
from isthmus_client.home import CONTRACT, Home

DirArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="The platform's folder; made where it is not there.")
]
ExampleOption = Annotated[
    bool, switch("--example", "Also write two small tables, events.csv and items.csv, to try on.")
]
NameOption = Annotated[
    str | None, text("The platform's name.", default="the folder's", metavar="NAME")
]
PassphraseOption = Annotated[
    Path | None,
    file("Protect the platform's key by this file's first line, else by $ISTHMUS_KEY_PASSPHRASE."),
]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of words.")]


def init(
    *,
    dir: DirArgument = Path(),  # noqa: A002 - the argument's name on the command line
    example: ExampleOption = False,
    name: NameOption = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a platform's folder: a contract to fill in, keys, and an empty store.

    Nothing that is there is ever replaced. Keep a copy of the keys elsewhere: without them nobody
    can read the store.

    Example: isthmus client init shop --example
    """
    from isthmus_client.new_platform import create_platform  # noqa: PLC0415 - imports DuckDB
    from isthmus_client.vault import read_passphrase  # noqa: PLC0415

    home = Home(dir / CONTRACT)
    called = _name(name, dir)
    passphrase = read_passphrase(passphrase_file)
    keyring = create_platform(home, name=called, example=example, passphrase=passphrase)
    found = {
        "name": called,
        "folder": str(home.folder.resolve()),
        "contract": str(home.contract),
        "key_id": keyring.key_id,
        "passphrase": passphrase is not None,
        "example": example,
    }
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        Console(highlight=False).print(
            Text(_words(home, called, keyring.key_id, example=example)), soft_wrap=True
        )


def _name(given: str | None, folder: Path) -> str:
    """The name that was given, else the folder's where that is one, else "own"."""
    from isthmus_client.contract.rules import plain_name  # noqa: PLC0415 - imports DuckDB

    try:
        return plain_name(folder.resolve().name if given is None else given)
    except ValueError as error:
        if given is None:
            return "own"
        raise ScenarioError(f"--name: {error}") from None


def _words(home: Home, name: str, key_id: str, *, example: bool) -> str:
    check = f"isthmus client check --platform {shlex.quote(str(home.contract))}"
    tables = "events.csv, items.csv   two small tables to try on\n  " if example else ""
    first = "" if example else "say in platform.toml where your tables are, then: "
    return (
        f"The platform {name} is ready in {home.folder.resolve()}\n"
        f"  platform.toml   what your tables and columns mean\n"
        f"  {tables}keys/           key id {key_id}; nobody else may read them\n"
        f"  store/          empty\n"
        f"Keep a copy of {home.keys} in a safe place: without it nobody can read the store.\n"
        f"Next: {first}{check}"
    )
