"""`isthmus client approve-run`, `status` and `outbox`: what a platform agrees to, and what left."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from isthmus.cli_options import count, file, switch, text
from isthmus.errors import NotApprovedError, ScenarioError
from isthmus_client.home import CONTRACT, Home

if TYPE_CHECKING:
    from isthmus_client.approvals import Standing
    from isthmus_client.approvals_files import Decided

_LEAST_DIGITS = 16  # of a contract's hash, to approve exactly that one

PlatformOption = Annotated[Path, file("The platform's contract, beside which all is kept.")]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of words.")]
RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="The run's id; without it, all are listed.", show_default=""
    ),
]
YesOption = Annotated[bool, switch("--yes", "Approve without asking once more.")]
RefuseOption = Annotated[bool, switch("--refuse", "Refuse the run.")]
ShowOption = Annotated[bool, switch("--show", "Show the contract and answer nothing.")]
ReasonOption = Annotated[
    str, text("Why; the operator reads it.", metavar="WORDS", default="none given")
]
HashOption = Annotated[
    str | None,
    text(
        "Answer only if the contract's SHA-256 begins with these digits, 16 at least.",
        metavar="DIGITS",
    ),
]
NewKeyOption = Annotated[
    list[str] | None,
    text(
        "A member whose changed key was compared with it by another way; may be given several "
        "times.",
        metavar="NAME",
    ),
]
PassphraseOption = Annotated[
    Path | None, file("Its first line opens the platform's key, else $ISTHMUS_KEY_PASSPHRASE.")
]
OfRunOption = Annotated[str | None, text("Of this run alone.", metavar="RUN")]
LastOption = Annotated[int, count("The last so many; 0 is all.", least=0)]
ReceiptArgument = Annotated[
    str,
    typer.Argument(metavar="LINE", help="The receipt's line, or 6 digits or more of a hash in it."),
]

outbox = typer.Typer(
    help="See everything that left this platform.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@outbox.callback()
def _root() -> None:
    """See everything that left this platform."""


def approve_run(
    *,
    run: RunArgument = "",
    platform: PlatformOption = CONTRACT,
    refuse: RefuseOption = False,
    show: ShowOption = False,
    yes: YesOption = False,
    reason: ReasonOption = "",
    contract: HashOption = None,
    new_key: NewKeyOption = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read a run's contract and approve or refuse it; without RUN, list the runs offered.

    Shows what the run asks for, what it promises, who takes part, and what differs from the run
    that was approved last. Refused is a contract that the server did not sign, that lacks this
    platform, whose noise does not keep its promise, or in which a known member has another key.

    Example: isthmus client approve-run run-1
    """
    from isthmus_client.approvals import standing  # noqa: PLC0415 - cryptography

    home = Home(platform)
    if not run:
        _list(home, as_json=as_json)
        return
    if refuse and (yes or show):
        raise ScenarioError("--refuse goes with neither --yes nor --show")
    found = standing(home, run)
    _require_hash(found, contract)
    if not as_json:
        _print_contract(home, found)
    decided = None
    if not show:
        if not refuse:
            _confirm(found, yes=yes, as_json=as_json)
        decided = _decided(home, found, not refuse, reason, new_key or [], passphrase_file)
    _print_answer(found, decided, as_json=as_json)


def status(*, platform: PlatformOption = CONTRACT, as_json: JsonOption = False) -> None:
    """Show how this platform's part in its federation stands, whether or not it is up.

    Certificate, processes, runs and their answers, privacy spent, and what left.

    Example: isthmus client status --platform shop/platform.toml
    """
    from isthmus_client.federation_status import federation_view  # noqa: PLC0415 - gRPC
    from isthmus_client.federation_words import status_words  # noqa: PLC0415 - with it

    view = federation_view(Home(platform), datetime.now(UTC))
    if as_json:
        print(json.dumps(view, indent=2))
    else:
        Console(highlight=False).print(status_words(view), crop=False)


@outbox.command(name="list")
def list_departures(
    *,
    platform: PlatformOption = CONTRACT,
    run: OfRunOption = None,
    last: LastOption = 0,
    as_json: JsonOption = False,
) -> None:
    """List what left this platform, first to last, after checking that the log is whole.

    Example: isthmus client outbox list --run run-1 --last 10
    """
    from isthmus_client.federation_words import departures_words  # noqa: PLC0415 - cryptography
    from isthmus_client.outbox_lines import departures  # noqa: PLC0415 - with it

    found = departures(Home(platform), run)[-last:]
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        Console(highlight=False).print(departures_words(found))


@outbox.command(name="show")
def show_departure(
    *,
    receipt: ReceiptArgument,
    platform: PlatformOption = CONTRACT,
    as_json: JsonOption = False,
) -> None:
    """Show the whole receipt of one departure.

    Example: isthmus client outbox show 12
    """
    from isthmus_client.federation_words import departure_words  # noqa: PLC0415 - cryptography
    from isthmus_client.outbox_lines import departure  # noqa: PLC0415 - with it

    found = departure(Home(platform), receipt)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        Console(highlight=False).print(departure_words(found))


def _list(home: Home, *, as_json: bool) -> None:
    from isthmus_client.federation_status import runs_view  # noqa: PLC0415 - gRPC
    from isthmus_client.federation_words import answers_words  # noqa: PLC0415 - with it

    found = runs_view(home)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        Console(highlight=False).print(answers_words(found))


def _require_hash(found: Standing, digits: str | None) -> None:
    """Stop where the contract is not the one that was meant."""
    if digits is None:
        return
    if len(digits) < _LEAST_DIGITS:
        raise ScenarioError(f"--contract {digits}: give {_LEAST_DIGITS} digits at least")
    if not found.contract.sha256.startswith(digits.lower()):
        raise NotApprovedError(
            f"the contract of {found.contract.run} has the SHA-256 {found.contract.sha256}, "
            f"which does not begin with {digits}",
            hint="the operator has proposed another contract: read it first",
        )


def _print_contract(home: Home, found: Standing) -> None:
    from isthmus_client.approvals import last_approved  # noqa: PLC0415 - cryptography
    from isthmus_client.approvals_files import read_pins  # noqa: PLC0415 - with it
    from isthmus_client.federation_words import contract_words  # noqa: PLC0415 - with it

    before = last_approved(home, found.contract.run)
    known = {name: pin.signing for name, pin in read_pins(home).items()}
    Console(highlight=False).print(contract_words(found, before, known))


def _confirm(found: Standing, *, yes: bool, as_json: bool) -> None:
    """Ask the person, unless they said yes beforehand."""
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise NotApprovedError(
            f"nobody has said yes to the run {found.contract.run}; nothing was answered",
            hint="read it with --show, then give --yes, or --refuse",
        )
    if not typer.confirm("Approve this contract?", default=False):
        raise NotApprovedError(
            f"the run {found.contract.run} is not approved; nothing was answered",
            hint="--refuse tells the operator, with --reason",
        )


def _decided(
    home: Home,
    found: Standing,
    approve: bool,
    reason: str,
    new_keys: list[str],
    passphrase_file: Path | None,
) -> Decided:
    from isthmus_client.approvals import decide  # noqa: PLC0415 - cryptography
    from isthmus_client.link.enrolled import load_keys as load_identity  # noqa: PLC0415 - gRPC
    from isthmus_client.vault import load_keys  # noqa: PLC0415 - with it

    if odd := sorted(set(new_keys) - found.contract.members.keys()):
        raise ScenarioError(f"--new-key {', '.join(odd)}: no such member")
    identity = load_identity(home, load_keys(home.keys, passphrase_file=passphrase_file))
    return decide(
        home,
        found.contract.run,
        approve=approve,
        reason=reason,
        key=identity.signing,
        new_keys=new_keys,
        contract_sha256=found.contract.sha256,
    )


def _print_answer(found: Standing, decided: Decided | None, *, as_json: bool) -> None:
    if as_json:
        value: dict[str, Any] = {
            "run": found.contract.run,
            "contract_sha256": found.contract.sha256,
            "encoder_sha256": found.contract.encoder_sha256,
            "problems": list(found.problems),
            "answer": None if decided is None else decided.answer,
            "contract": json.loads(found.contract.to_bytes()),
        }
        print(json.dumps(value, indent=2))
        return
    before = "not answered yet" if found.decided is None else found.decided.answer
    typer.echo(f"{found.contract.run}: {before if decided is None else decided.answer}")
