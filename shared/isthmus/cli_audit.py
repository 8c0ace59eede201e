"""Check what is on record: logs that nobody altered, and runs that keep their privacy claim."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from isthmus.cli_options import switch, text
from isthmus.errors import AuditError, DataMissingError, NotInstalledError

if TYPE_CHECKING:  # they need cryptography, which an installation without any extra has not
    from isthmus.audit_log import Anchor, LogCheck

SAID = {
    "altered": "line {n} is not as it was written",
    "deleted": "the line before line {n} is gone or was replaced",
    "reordered": "line {n} stands in another place than it was written at",
    "signature": "line {n} is not signed by the key",
    "truncated": "line {n} and what came after it were cut off",
}

app = typer.Typer(
    help="Check what is on record: logs that nobody altered, and runs that keep their privacy "
    "claim.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

LogArgument = Annotated[Path, typer.Argument(help="An audit log, such as federation/audit.jsonl.")]
KeyOption = Annotated[
    Path | None,
    text("Ed25519 public key that signed every line: PEM, or 64 digits.", metavar="FILE"),
]
AgainstOption = Annotated[
    Path | None,
    text("The other side's log, which holds how far this one had come.", metavar="OTHER_LOG"),
]
NameOption = Annotated[
    str | None, text("By what name the other log calls this one.", metavar="OWNER")
]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of a line.")]


@app.callback()
def _root() -> None:
    """Check what is on record: logs that nobody altered, and runs that keep their privacy claim."""


@app.command()
def verify(
    *,
    log: LogArgument,
    key: KeyOption = None,
    against: AgainstOption = None,
    name: NameOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the first line of an audit log that was altered, deleted, moved or wrongly signed.

    That lines were cut off its end shows only against the other side's log. Returns 35 where
    something is wrong.

    Example: isthmus audit verify federation/audit.jsonl --against server.jsonl --name books
    """
    if find_spec("cryptography") is None:
        raise NotInstalledError(
            "`isthmus audit verify` needs cryptography, which is not installed",
            hint="pip install 'isthmus[client]', or 'isthmus[server]'",
        )
    from isthmus.audit_log import verify_log  # noqa: PLC0415 - needs cryptography
    from isthmus.identity import read_public_key  # noqa: PLC0415 - the same

    anchors = _anchors(against, name)
    _require_file(log)
    public = read_public_key(key) if key else None
    found = verify_log(log, public, anchors)
    _show(log, found, signed=public is not None, anchors=len(anchors), as_json=as_json)
    if found.first_bad is not None and found.what is not None:
        raise AuditError(
            f"{log}: {SAID[found.what].format(n=found.first_bad)} ({found.what})",
            hint="keep the file as it is, and compare it with a backup and with the other side",
        )


def _anchors(against: Path | None, name: str | None) -> tuple[Anchor, ...]:
    """What the other side's log says of this one; nothing where none is named."""
    from isthmus.audit_log import anchors_in  # noqa: PLC0415 - needs cryptography

    if (against is None) != (name is None):
        raise typer.BadParameter("--against and --name go together")
    if against is None or name is None:
        return ()
    _require_file(against)
    found = anchors_in(against, name)
    if not found:
        raise DataMissingError(
            f"{against} says nothing of a log of {name!r}",
            hint="the name is the platform's, or server for the server's log",
        )
    return found


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise DataMissingError(
            f"there is no log at {path}",
            hint="name the file: audit.jsonl in the server's folder, federation/audit.jsonl in a "
            "platform's",
        )


def _show(log: Path, found: LogCheck, *, signed: bool, anchors: int, as_json: bool) -> None:
    if as_json:
        value = {
            "log": str(log),
            "lines": found.lines,
            "first_bad": found.first_bad,
            "what": found.what,
            "torn": found.torn,
            "signatures_checked": signed,
            "anchors": anchors,
        }
        print(json.dumps(value, indent=2))
    elif found.first_bad is None:
        parts = [f"{log}: {found.lines:,} lines, none altered, deleted or moved"]
        parts += ["all signed by the key" if signed else "signatures not checked"]
        agree = f"{anchors:,} anchor{'s agree' if anchors > 1 else ' agrees'}"
        parts += [agree if anchors else "the end not checked"]
        parts += [f"{found.torn} bytes of an unfinished line"] * bool(found.torn)
        Console(highlight=False, soft_wrap=True).print(Text("; ".join(parts)))
