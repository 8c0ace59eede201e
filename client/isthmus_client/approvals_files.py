"""Where a platform keeps what it was offered, what it answered, and whom it knows.

In `federation/`: `contracts/RUN.json`, `decisions/RUN.json`, `pins.json`, and of `server.json` the
server's key. Each is replaced whole or not at all.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from isthmus.errors import IdentityError, NotApprovedError
from isthmus.federation_contract import HEX256
from isthmus.federation_contract_signing import Answer
from isthmus.files import write_json
from isthmus_client.home import Home

_RUN: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
Sha256 = Annotated[str, Field(pattern=HEX256)]
Signature = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]
By = Literal["person", "policy"]


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Offer(_Kept):
    """A contract that the server offered.

    Attributes:
        contract: its encoding, which is ASCII.
        signature: the server's, hexadecimal.
        status: of the run, as the server told it last.
        received: when the contract came first, UTC.
    """

    contract: str
    signature: Signature
    status: str
    received: str


class Decided(_Kept):
    """What the platform answered.

    Attributes:
        contract_sha256: the answer is to this very contract.
        by: who decided.
        at: when, UTC.
        signature: the platform's under contract, name, answer and reason, hexadecimal.
    """

    run: str
    contract_sha256: Sha256
    platform: str
    answer: Answer
    reason: str
    by: By
    at: str
    signature: Signature


class Pin(_Kept):
    """A member whose identity the platform has accepted.

    Attributes:
        run: in whose contract it stood first.
        since: when, UTC.
    """

    signing: Sha256
    run: str
    since: str


_Model = TypeVar("_Model", bound=BaseModel)


def run_id(run: str) -> str:
    """The id, if it may stand in a path.

    Raises:
        NotApprovedError: it may not.
    """
    if not _RUN.fullmatch(run):
        raise NotApprovedError(f"{run!r} is no run's id", hint="isthmus client approve-run lists")
    return run


def offer_path(home: Home, run: str) -> Path:
    """Of a contract that was offered."""
    return home.federation / "contracts" / f"{run_id(run)}.json"


def decision_path(home: Home, run: str) -> Path:
    """Of the answer to it."""
    return home.federation / "decisions" / f"{run_id(run)}.json"


def pins_path(home: Home) -> Path:
    """Of the members that the platform knows."""
    return home.federation / "pins.json"


def read_offer(home: Home, run: str) -> Offer | None:
    """The offer; None = there is none.

    Raises:
        NotApprovedError: the file is damaged.
    """
    return _read(offer_path(home, run), Offer)


def read_decision(home: Home, run: str) -> Decided | None:
    """The answer; None = there is none.

    Raises:
        NotApprovedError: the file is damaged.
    """
    return _read(decision_path(home, run), Decided)


def runs_offered(home: Home) -> tuple[str, ...]:
    """Ids of the runs of which there is an offer, sorted."""
    return tuple(sorted(each.stem for each in (home.federation / "contracts").glob("*.json")))


def read_pins(home: Home) -> dict[str, Pin]:
    """The members that the platform knows, by name.

    Raises:
        NotApprovedError: the file is damaged.
    """
    path = pins_path(home)
    try:
        found = json.loads(path.read_text())
        return {name: Pin.model_validate(pin) for name, pin in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:  # pydantic's and JSON's are ValueErrors
        raise _damaged(path, error) from None


def write_pins(home: Home, pins: dict[str, Pin]) -> None:
    """Replace what is known.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    write_json(pins_path(home), {name: pin.model_dump() for name, pin in pins.items()})


def write_kept(path: Path, kept: Offer | Decided) -> None:
    """Replace one of the files.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    write_json(path, kept.model_dump())


def server_key(home: Home) -> bytes:
    """The Ed25519 identity of the server that this platform joined, 32 raw bytes.

    Raises:
        IdentityError: it has joined none, or the file is damaged.
    """
    return bytes.fromhex(str(_server(home, "signing", HEX256)))


def own_name(home: Home) -> str:
    """The name under which this platform joined.

    Raises:
        IdentityError: as `server_key`.
    """
    return str(_server(home, "name", r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"))


def _server(home: Home, field: str, pattern: str) -> Any:
    path = home.federation / "server.json"
    try:
        value = json.loads(path.read_text())[field]
    except FileNotFoundError:
        raise IdentityError(
            f"the platform in {home.folder} has joined no federation",
            hint="ask the operator for an invitation, then: isthmus client join TOKEN",
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IdentityError(f"{path} is damaged: {type(error).__name__}") from None
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise IdentityError(f"{path} is damaged: its {field} is none")
    return value


def _read(path: Path, model: type[_Model]) -> _Model | None:
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> NotApprovedError:
    return NotApprovedError(
        f"{path} is damaged: {type(error).__name__}",
        hint="move it away; the server offers the contract again, and it must be approved again",
    )
