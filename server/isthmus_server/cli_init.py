"""`isthmus server init`: a new server's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from isthmus.cli_options import switch, text
from isthmus_server.server_home import DEFAULT, ServerHome

DirArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="The server's folder; made where it is not there.")
]
HostOption = Annotated[
    list[str] | None,
    text(
        "A name or address under which platforms reach this server; may be given several times.",
        default="localhost, 127.0.0.1",
        metavar="HOST",
    ),
]
NameOption = Annotated[str, text("The federation's name.", metavar="NAME")]
DatabaseOption = Annotated[
    str,
    text("Where the state is, such as postgresql://…", default="SQLite in DIR", metavar="URL"),
]
FreePortsOption = Annotated[
    bool, switch("--free-ports", "Choose ports that are free now instead of 9442 to 9446.")
]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of words.")]


def init(
    *,
    dir: DirArgument = DEFAULT,  # noqa: A002 - the argument's name on the command line
    host: HostOption = None,
    name: NameOption = "isthmus",
    database: DatabaseOption = "",
    free_ports: FreePortsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a server's folder: certificate authority, certificate, signing key, state, settings.

    Nothing that is there is ever replaced. Keep a backup: `isthmus server backup`.

    Example: isthmus server init --host federation.example.org
    """
    from isthmus_server.new_server import (  # noqa: PLC0415 - imports the database
        PORTS,
        create_server,
        with_free_ports,
    )
    from isthmus_server.settings import checked_settings  # noqa: PLC0415 - imports pydantic

    given = {"name": name, "database": database} | ({"hosts": tuple(host)} if host else {})
    settings = checked_settings(given, "the command line")
    made = create_server(ServerHome(dir), with_free_ports(settings) if free_ports else settings)
    found = {
        "name": name,
        "folder": str(dir.resolve()),
        "fingerprint": made.fingerprint,
        "hosts": list(made.settings.hosts),
        "ports": {port: getattr(made.settings, port) for port in PORTS},
    }
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        Console(highlight=False).print(Text(_words(dir, made.fingerprint)), soft_wrap=True)


def _words(folder: Path, fingerprint: str) -> str:
    return (
        f"The server is ready in {folder.resolve()}\n"
        f"  server.toml   addresses, ports, lifetimes\n"
        f"  ca/           the federation's certificate authority, {fingerprint}\n"
        f"  identity/     the key that signs contracts and releases\n"
        f"Tell platforms that fingerprint by another way than this network.\n"
        f"Next: isthmus server up --home {folder}, then isthmus server invite NAME"
    )
