"""`isthmus client forget`: a person out of the store, with a receipt."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from isthmus.cli_options import file, seconds, switch, text
from isthmus.console import progress_for
from isthmus.errors import DataMissingError, ScenarioError
from isthmus_client.home import CONTRACT, Home

if TYPE_CHECKING:
    from isthmus_client.forgetting import Forgotten, Places, Request, Verified
    from isthmus_client.vault import Keyring

OWED = "What is still owed"

UserArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="Ids, exactly as the platform writes them; - reads one a line from standard input.",
        show_default=False,
    ),
]
PlatformOption = Annotated[Path, file("The platform's contract, beside which its store lies.")]
FileOption = Annotated[Path | None, file("Also forget the ids in this file, one a line.")]
YesOption = Annotated[bool, switch("--yes", "Do not ask.")]
ExistOption = Annotated[
    bool,
    switch("--must-exist", "Refuse all if nothing is stored of one: its id may be mistyped."),
]
ReplayOption = Annotated[
    bool,
    switch("--replay", "Forget anew everybody who has a receipt: after a backup was put back."),
]
VerifyOption = Annotated[
    Path | None, file("Check a receipt, and with USER whose it is; changes nothing.")
]
LedgerOption = Annotated[
    Path | None,
    text(
        "The ledger of privacy spent.",
        panel=OWED,
        default="$ISTHMUS_LEDGER, else ~/.isthmus/ledger.sqlite",
        metavar="FILE",
    ),
]
OutboxOption = Annotated[
    Path | None,
    text(
        "Receipts of what left, as a file or a folder: they tell of rounds without privacy.",
        panel=OWED,
        metavar="PATH",
    ),
]
PassphraseOption = Annotated[
    Path | None,
    file("The passphrase of the platform's key is this file's first line."),
]
WaitOption = Annotated[
    float, seconds("Seconds to wait for another process that writes to the store.")
]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of words.")]


def forget(
    *,
    user: UserArgument = None,
    platform: PlatformOption = CONTRACT,
    from_file: FileOption = None,
    yes: YesOption = False,
    must_exist: ExistOption = False,
    replay: ReplayOption = False,
    verify: VerifyOption = None,
    ledger: LedgerOption = None,
    outbox: OutboxOption = None,
    passphrase_file: PassphraseOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Remove persons from the store for good, and sign a receipt for each.

    Their events, their rows in all other tables and their sequences go, and later feeds do not
    bring them back. An id on the command line stays in the shell's history and shows in the list
    of processes: pipe it in with - instead.

    Example: isthmus client forget - --yes < customer.txt
    """
    home = Home(platform)
    _refuse_mixed(user, from_file, replay=replay, verify=verify)
    if verify is not None:
        keyring = _keys(home, passphrase_file) if home.keys.is_dir() else None
        _show_verified(_verified(verify, home, keyring, user or []), as_json=as_json)
        return
    request = _request(home, passphrase_file, user or [], from_file, wait=wait, replay=replay)
    if not request.pseudonyms:
        _show_nobody(as_json=as_json)
        return
    places = _places(home, ledger, outbox)
    _agree(request, yes=yes, must_exist=must_exist)
    found = _forget(request, places, as_json=as_json)
    _show(found, as_json=as_json)


def _refuse_mixed(
    users: list[str] | None, from_file: Path | None, *, replay: bool, verify: Path | None
) -> None:
    named = bool(users) or from_file is not None
    if replay and (named or verify):
        raise ScenarioError("--replay is for everybody with a receipt: name no persons with it")
    if verify and (from_file is not None or len(users or []) > 1):
        raise ScenarioError("--verify takes one person at most: whose receipt it should be")


def _keys(home: Home, passphrase_file: Path | None) -> Keyring:
    from isthmus_client.vault import load_keys  # noqa: PLC0415 - keeps `--help` fast

    return load_keys(home.keys, passphrase_file=passphrase_file)


def _request(
    home: Home,
    passphrase_file: Path | None,
    users: list[str],
    from_file: Path | None,
    *,
    wait: float,
    replay: bool,
) -> Request:
    """Who is to be forgotten; ids go no further than this function."""
    from isthmus_client.forgetting import Request, read_ids, returned  # noqa: PLC0415 - as above
    from isthmus_client.vault import pseudonyms  # noqa: PLC0415

    ids = [] if replay else read_ids(users, from_file, sys.stdin.buffer)
    keyring = _keys(home, passphrase_file)
    request = Request(home, keyring, pseudonyms(keyring.pseudonym, ids), wait)
    return replace(request, pseudonyms=returned(request)) if replay else request


def _places(home: Home, ledger: Path | None, outbox: Path | None) -> Places:
    from isthmus_client.forgetting import Places  # noqa: PLC0415 - keeps `--help` fast
    from isthmus_client.ledger import default_path  # noqa: PLC0415

    found = Places(
        ledger=default_path() if ledger is None else ledger,
        ledger_named=ledger is not None,
        outbox=outbox,
        heads=home.heads,
    )
    found.require()
    return found


def _agree(request: Request, *, yes: bool, must_exist: bool) -> None:
    """Say what there is, and ask.

    Raises:
        DataMissingError: nothing is stored of one, and that was not to be.
        ScenarioError: there is nobody to ask, or the answer is no.
    """
    if yes and not must_exist:
        return
    from isthmus_client.forgetting import look, summed  # noqa: PLC0415 - keeps `--help` fast
    from isthmus_client.forgetting.words import counted, rows_in_words  # noqa: PLC0415

    rows = look(request)
    absent = sum(not each for each in rows)
    if absent and must_exist:
        places = [str(place) for place, each in enumerate(rows, start=1) if not each]
        raise DataMissingError(
            f"nothing is stored of {absent} of {len(rows)} persons, in the order given: "
            f"number {', '.join(places)}; nobody was forgotten",
            hint="ids are compared as they are: case, blanks and leading zeros count",
        )
    if yes:
        return
    if not sys.stdin.isatty():
        raise ScenarioError(
            "there is nobody to ask whether to go on; nobody was forgotten", hint="add --yes"
        )
    stored = f"Stored of {counted(len(rows), 'person')}: {rows_in_words(summed(rows))}."
    more = f" Of {absent:,} nothing is stored; they are kept away all the same." if absent else ""
    typer.echo(stored + more, err=True)
    if not typer.confirm("Remove all of it? That cannot be undone.", err=True):
        raise ScenarioError("the answer was no; nobody was forgotten")


def _forget(request: Request, places: Places, *, as_json: bool) -> Forgotten:
    from isthmus_client.forgetting import forget as forget_all  # noqa: PLC0415 - as above

    return forget_all(request, places, progress_for(as_json=as_json), now=time.time())


def _verified(path: Path, home: Home, keyring: Keyring | None, users: list[str]) -> Verified:
    from isthmus_client.forgetting import read_ids, verify  # noqa: PLC0415 - keeps `--help` fast

    ids = read_ids(users, None, sys.stdin.buffer) if users else [None]
    return verify(path, home, keyring, user_id=ids[0])


def _show(found: Forgotten, *, as_json: bool) -> None:
    from isthmus_client.forgetting.shown import done_value, done_words  # noqa: PLC0415 - as above

    if as_json:
        print(json.dumps(done_value(found), indent=2))
    else:
        Console(highlight=False).print(Text(done_words(found)), soft_wrap=True)


def _show_nobody(*, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"persons": 0, "receipts": []}, indent=2))
    else:
        typer.echo("Everybody who has a receipt is kept away: there is nobody to forget anew.")


def _show_verified(found: Verified, *, as_json: bool) -> None:
    from isthmus_client.forgetting.shown import (  # noqa: PLC0415 - as above
        verified_value,
        verified_words,
    )

    if as_json:
        print(json.dumps(verified_value(found), indent=2))
    else:
        Console(highlight=False).print(Text(verified_words(found)), soft_wrap=True)
