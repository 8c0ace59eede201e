"""`isthmus server invite`, `approve`, `revoke` and `list`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from isthmus.cli_options import file, folder, switch, text
from isthmus.errors import ScenarioError
from isthmus_server.server_home import DEFAULT, ServerHome

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The platform's name.")]
HomeOption = Annotated[Path, folder("The server's folder, as `isthmus server init` made it.")]
HoursOption = Annotated[float, text("For how long the invitation is good.", metavar="HOURS")]
HostOption = Annotated[
    str | None,
    text(
        "The name or address by which this platform reaches the server.",
        default="the first of `hosts` in server.toml",
        metavar="HOST",
    ),
]
OutOption = Annotated[
    Path | None, file("Write the invitation to this file, mode 0600, instead of printing it.")
]
FingerprintOption = Annotated[
    str | None,
    text(
        "What the platform's engineer says that its fingerprint is; asked for on a terminal.",
        metavar="SHA256:…",
    ),
]
ReasonOption = Annotated[str, text("Why; the platform is told.", metavar="WORDS")]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of words.")]

_DAY_HOURS: Final = 24.0


def invite(
    name: NameArgument,
    *,
    hours: HoursOption = 3 * _DAY_HOURS,
    host: HostOption = None,
    out: OutOption = None,
    home: HomeOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Make an invitation, with which one platform can join once under this name.

    It is a secret until it is used: hand it over as you would a password. One that was made before
    for the same name is withdrawn.

    Example: isthmus server invite shop
    """
    from isthmus.secret_files import write_owned  # noqa: PLC0415 - `--help` needs no database
    from isthmus_server.roster import open_roster  # noqa: PLC0415

    with open_roster(ServerHome(home)) as roster:
        made = roster.invite(name, hours, host)
    code = made.to_code()
    if out is not None:
        write_owned(out, f"{code}\n".encode())
    found = {
        "name": name,
        "server": made.server,
        "port": made.port,
        "hours": hours,
        "fingerprint": made.fingerprint,
        "out": None if out is None else str(out),
        "code": code if out is None else None,
    }
    _print(found, _invited(name, hours, made.fingerprint, code, out), as_json=as_json)


def approve(
    name: NameArgument,
    *,
    fingerprint: FingerprintOption = None,
    home: HomeOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Let a platform take part, once its fingerprint is the one that its engineer tells you.

    Have it told by another way than this network, such as by telephone. A platform that an alarm
    suspended is approved again in the same way.

    Example: isthmus server approve shop --fingerprint SHA256:3f1c-…
    """
    from isthmus_server.roster import open_roster  # noqa: PLC0415 - imports the database

    with open_roster(ServerHome(home)) as roster:
        row = roster.platform(name)
        told = fingerprint or _asked(name, row.fingerprint, as_json=as_json)
        row = roster.approve(name, told)
    found = {"name": name, "status": row.status, "fingerprint": row.fingerprint}
    _print(found, f"{name} is approved: {row.fingerprint}", as_json=as_json)


def revoke(
    name: NameArgument,
    *,
    reason: ReasonOption,
    home: HomeOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """End a platform's membership, or withdraw an invitation that was not used yet.

    It holds at the platform's next call, and at the latest after one heartbeat.

    Example: isthmus server revoke shop --reason "left the federation"
    """
    from isthmus_server.roster import open_roster  # noqa: PLC0415 - imports the database

    with open_roster(ServerHome(home)) as roster:
        row = roster.revoke(name, reason)
    status = "withdrawn" if row is None else row.status
    words = f"the invitation for {name} is withdrawn" if row is None else f"{name} is revoked"
    _print({"name": name, "status": status, "reason": reason}, words, as_json=as_json)


def list_platforms(*, home: HomeOption = DEFAULT, as_json: JsonOption = False) -> None:
    """Show who has joined, who may take part, who is there, and who is invited.

    Example: isthmus server list
    """
    from isthmus_server.roster import open_roster  # noqa: PLC0415 - imports the database

    with open_roster(ServerHome(home)) as roster:
        found = roster.look()
    if as_json:
        print(json.dumps(found, indent=2))
        return
    console = Console(highlight=False)
    console.print(_table(found))
    for each in found["invitations"]:
        console.print(Text(f"{each['name']} is invited until {each['expires']}"), soft_wrap=True)


def _asked(name: str, fingerprint: str, *, as_json: bool) -> str:
    """Ask the person at the terminal to compare; what to approve.

    Raises:
        ScenarioError: nobody is there to be asked, or the answer is no.
    """
    if as_json or not sys.stdin.isatty():
        raise ScenarioError(
            f"--fingerprint is missing: nobody is there to compare that of {name}",
            hint="have the platform's engineer tell it by another way; isthmus client status",
        )
    typer.echo(f"{name} joined with keys of the fingerprint\n  {fingerprint}", err=True)
    if not typer.confirm("Does its engineer tell you the same?", err=True):
        raise ScenarioError(
            f"{name} was not approved", hint="isthmus server revoke, and invite anew"
        )
    return fingerprint


def _invited(name: str, hours: float, fingerprint: str, code: str, out: Path | None) -> str:
    where = code if out is None else f"It is in {out}"
    return (
        f"Invitation for {name}, good once and for {hours:g} hours:\n\n{where}\n\n"
        f"On the platform: isthmus client join INVITATION\n"
        f"The federation's authority: {fingerprint}"
    )


def _table(found: Mapping[str, Any]) -> Table:
    table = Table("platform", "status", "seen", "clock", "certificate until", "note")
    for each in found["platforms"]:
        seen = "now" if each["online"] else (each["last_seen"] or "never")
        skew = "" if each["skew_s"] is None else f"{each['skew_s']:+.1f} s"
        expires = each["certificate_expires"] or ""
        note = each["note"] if each["status"] != "pending" else each["fingerprint"]
        table.add_row(*map(Text, (each["name"], each["status"], seen, skew, expires, note)))
    return table


def _print(found: Mapping[str, Any], words: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        Console(highlight=False).print(Text(words), soft_wrap=True)
