"""Whether a receipt is genuine, and whether what it says is still true."""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path

from isthmus.errors import DataInvalidError, KeysError, StoreError
from isthmus_client.forgetting.receipts import Receipt, load_receipt, public_key
from isthmus_client.home import Home
from isthmus_client.store import Store
from isthmus_client.store.forget import stored_rows
from isthmus_client.vault import Keyring, pseudonym


@dataclass(frozen=True)
class Verified:
    """What was found true of a receipt; what is false raises.

    Attributes:
        receipt: its signature is right.
        generation: of the store, which holds nothing of the person and keeps them away; None =
            there are no keys here to look with.
        person: whether it is the receipt of the person who was named; None = nobody was.
    """

    receipt: Receipt
    generation: int | None
    person: bool | None


def verify(
    path: Path, home: Home, keyring: Keyring | None, *, user_id: str | None = None
) -> Verified:
    """Check a receipt, with the platform's keys against its store too.

    Args:
        path: of the receipt.
        home: of the platform.
        keyring: its keys; None checks the signature alone, as anybody can.
        user_id: whose receipt it should be; takes the keys.

    Raises:
        DataMissingError: there is no receipt.
        DataInvalidError: it was altered, is not signed by these keys, or is another person's.
        KeysError: a person was named and there are no keys.
        StoreError: the store holds something of the person, or would take them in again.
    """
    receipt = load_receipt(path)
    if keyring is None:
        if user_id is not None:
            raise KeysError(
                "whose receipt it is can be seen with the platform's keys alone",
                hint="name the platform with --platform",
            )
        return Verified(receipt, None, None)
    _require_ours(path, receipt, keyring)
    if user_id is not None:
        _require_person(path, receipt, pseudonym(keyring.pseudonym, user_id))
    generation = _require_gone(home, keyring, receipt)
    return Verified(receipt, generation, None if user_id is None else True)


def _require_ours(path: Path, receipt: Receipt, keyring: Keyring) -> None:
    if receipt.public_key != public_key(keyring):
        raise DataInvalidError(
            f"{path} was not signed by this platform's keys: it names key id {receipt.key_id}, "
            f"these are {keyring.key_id}",
            hint="name the platform that gave it out with --platform",
        )


def _require_person(path: Path, receipt: Receipt, person: bytes) -> None:
    if not compare_digest(bytes.fromhex(receipt.pseudonym), person):
        raise DataInvalidError(
            f"{path} is another person's receipt",
            hint="ids are compared as they are: case, blanks and leading zeros count",
        )


def _require_gone(home: Home, keyring: Keyring, receipt: Receipt) -> int:
    """The generation of the store that holds nothing of the person."""
    person = [bytes.fromhex(receipt.pseudonym)]
    with Store.open(home.store, keyring, writable=False) as store:
        rows, manifest = store.steady(lambda: (stored_rows(store, person)[0], store.manifest))
    kept_away, generation = receipt.pseudonym in manifest.forgotten, manifest.generation
    if rows or not kept_away:
        what = (
            f"holds {sum(rows.values())} rows of this person"
            if rows
            else "would take this person in again"
        )
        raise StoreError(
            f"{home.store}, generation {generation}, {what}: the receipt is of generation "
            f"{receipt.after}, and an older copy of the store was put back",
            hint="isthmus client forget --replay forgets everybody anew who has a receipt",
        )
    return generation
