"""`isthmus client join`: become a member of a federation."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.cli_options import file, seconds, switch, text
from isthmus.errors import ScenarioError, ServiceError
from isthmus_client.home import CONTRACT, Home

if TYPE_CHECKING:
    from isthmus.identity import PlatformKeys
    from isthmus_client.link.enrolment import Collected, Joined

POLL_S = 1.0  # between two questions whether the operator has approved

CodeArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="INVITATION", help="The line that the operator sent; `-` reads it from input."
    ),
]
FileOption = Annotated[Path | None, file("Read the invitation from a file's first line instead.")]
PlatformOption = Annotated[Path, file("The platform's contract, beside which all is kept.")]
FingerprintOption = Annotated[
    str | None,
    text(
        "Of the federation's authority, as the operator told it by another way.",
        default="the invitation's own",
        metavar="SHA256:…",
    ),
]
NewKeysOption = Annotated[
    bool, switch("--new-keys", "Set an earlier identity aside, as after a revocation.")
]
WaitOption = Annotated[bool, switch("--wait", "Wait until the operator has approved.")]
DeadlineOption = Annotated[float, seconds("Give up waiting after so long; 0 = never.")]
PassphraseOption = Annotated[
    Path | None, file("Its first line opens the platform's key, else $ISTHMUS_KEY_PASSPHRASE.")
]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of words.")]


def join(
    invitation: CodeArgument = None,
    *,
    token_file: FileOption = None,
    platform: PlatformOption = CONTRACT,
    fingerprint: FingerprintOption = None,
    new_keys: NewKeysOption = False,
    wait: WaitOption = False,
    deadline: DeadlineOption = 0.0,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Join a federation with the operator's invitation.

    All keys are made here and stay here; what leaves is the platform's name, two public keys and a
    certificate request. Tell the operator the fingerprint that is shown, by another way than this
    network: they approve the platform if it is the one that they see. To give the same command
    again is harmless.

    Example: isthmus client join isthmus1.eyJ… --wait
    """
    from isthmus_client.link.enrolled import load_keys as load_identity  # noqa: PLC0415 - gRPC
    from isthmus_client.link.enrolment import join as run  # noqa: PLC0415
    from isthmus_client.vault import load_keys  # noqa: PLC0415

    home, code = Home(platform), _code(invitation, token_file)
    keyring = load_keys(home.keys, passphrase_file=passphrase_file)
    joined = run(home, keyring, code, fingerprint=fingerprint, new_keys=new_keys)
    status = joined.status
    if wait:
        if not as_json:
            typer.echo(_words(joined, status))
        status = _waited(home, load_identity(home, keyring), deadline).status
    found = {"name": joined.enrolment.name, "federation": joined.enrolment.federation}
    found |= {"fingerprint": joined.enrolment.fingerprint, "status": status}
    typer.echo(json.dumps(found, indent=2) if as_json else _words(joined, status))


def _code(given: str | None, path: Path | None) -> str:
    """The invitation, from where it was said to be."""
    if (given is None) == (path is None):
        raise ScenarioError("give the invitation, or a file with it: --token-file FILE")
    if path is not None:
        try:
            return path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ScenarioError(f"--token-file {path} cannot be read: {error}") from error
    assert given is not None
    return sys.stdin.read() if given == "-" else given


def _waited(home: Home, keys: PlatformKeys, deadline: float) -> Collected:
    """What came of the request, once that is decided."""
    from isthmus_client.link.enrolment import collect  # noqa: PLC0415 - gRPC

    pause, waited = threading.Event(), 0.0
    while (found := collect(home, keys)).status == "pending":
        if deadline and waited >= deadline:
            raise ServiceError(
                f"the operator has not approved within {deadline:g} s",
                hint="the same command again goes on waiting",
            )
        pause.wait(POLL_S)
        waited += POLL_S
    return found


def _words(joined: Joined, status: str) -> str:
    enrolment = joined.enrolment
    head = f"{enrolment.name} of the federation {enrolment.federation}: {status}"
    if status == "approved":
        return f"{head}\nNext: isthmus client up"
    return (
        f"{head}\n"
        f"  our fingerprint   {enrolment.fingerprint}\n"
        f"Tell it to the operator by another way than this network; they approve with:\n"
        f"  isthmus server approve {enrolment.name} --fingerprint …"
    )
