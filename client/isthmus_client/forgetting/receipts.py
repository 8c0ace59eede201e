"""Signed receipts of persons forgotten: what was removed, when, and what is still owed.

A receipt is JSON. Its signature is Ed25519 (RFC 8032) over the same JSON without the signature, in
the one form that `canonical` gives it.
"""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from isthmus.errors import DataInvalidError, DataMissingError, StoreError
from isthmus.files import sync_folder, write_bytes
from isthmus_client.forgetting.owed import Owed
from isthmus_client.vault import Keyring

FORMAT: Final = "isthmus receipt of a person forgotten 1"
PENDING: Final = ".pending"
_NAME: Final = "forgotten-*.json"
_DIGIT_BYTES: Final = 4  # of a receipt's name
_LIMIT: Final = 2**22  # bytes; a receipt of a thousand runs has some 200 thousand

Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]


class Receipt(BaseModel):
    """What was done about one person's request.

    Attributes:
        platform: its name.
        key_id: of the keys that the pseudonym was made with and that the store is sealed with.
        pseudonym: HMAC-SHA256 of the person's id under the platform's key.
        time: ISO 8601, UTC.
        before: generation of the store that was found.
        after: generation that holds nothing of the person.
        removed: {table: rows}; empty where nothing was stored.
        remembered_before: whether the person was kept away already.
        replaced: names of the store's files that were deleted for it.
        owed: what the store's change does not undo.
        statements: the same in sentences.
        public_key: Ed25519.
        signature: over all of the above and `format`.

    Guarantees:
        No user id is in it: who has no key of the platform cannot tell whose receipt it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["isthmus receipt of a person forgotten 1"] = FORMAT
    platform: str
    key_id: str
    pseudonym: Hex64
    time: str
    before: Count
    after: Count
    removed: dict[str, Count]
    remembered_before: bool
    replaced: tuple[str, ...]
    owed: Owed
    statements: tuple[str, ...]
    public_key: Hex64
    signature: Annotated[str, Field(pattern=r"^([0-9a-f]{128})?$")] = ""

    def canonical(self) -> bytes:
        """What is signed: sorted keys, no spaces, all but ASCII escaped."""
        body = self.model_dump(mode="json", exclude={"signature"})
        return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    def signed(self, keyring: Keyring) -> Self:
        """With the signature of these keys, whose public one it names."""
        signature = _private_key(keyring).sign(self.canonical())
        return self.model_copy(update={"signature": signature.hex()})

    def is_genuine(self) -> bool:
        """Whether the owner of `public_key` signed exactly this."""
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public_key))
        try:
            key.verify(bytes.fromhex(self.signature), self.canonical())
        except InvalidSignature:
            return False
        return True


def public_key(keyring: Keyring) -> str:
    """The key that these keys' receipts are checked with: 64 hexadecimal digits, no secret."""
    key = _private_key(keyring).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def _private_key(keyring: Keyring) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(keyring.signing)


def write_pending(folder: Path, receipt: Receipt) -> Path:
    """Put a receipt on the disk before what it says is done; where it will lie once it is.

    Raises:
        StoreError: it cannot be written.
    """
    when = datetime.fromisoformat(receipt.time).astimezone(UTC)
    path = _free(folder, f"{when:%Y%m%dT%H%M%SZ}")
    document = json.dumps(receipt.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_bytes(path.with_name(path.name + PENDING), document.encode(), mode=0o600)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return path


def _free(folder: Path, when: str) -> Path:
    """A name that no receipt has: of many persons in one second two may draw the same digits."""
    while True:
        path = folder / f"forgotten-{when}-{secrets.token_hex(_DIGIT_BYTES)}.json"
        if not path.exists() and not path.with_name(path.name + PENDING).exists():
            return path


def settle(folder: Path, forgotten: frozenset[str], generation: int) -> None:
    """Pending receipts become valid where what they say was done, and go where it was not.

    Only a process that writes to the store may call it: its own, or what a killed one left.

    Args:
        folder: of receipts.
        forgotten: pseudonyms that the store keeps away, in hexadecimal.
        generation: of the store.

    Raises:
        StoreError: the folder cannot be written.
    """
    try:
        if not folder.is_dir():
            return
        for path in sorted(folder.glob(_NAME + PENDING)):
            receipt = load_receipt(path)
            if receipt.pseudonym in forgotten and receipt.after <= generation:
                path.replace(path.with_name(path.name.removesuffix(PENDING)))
            else:
                path.unlink()
        for path in folder.glob(f".{_NAME}*.tmp"):  # half written, by a process that was killed
            path.unlink()
        sync_folder(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error


def receipts_in(folder: Path) -> list[Path]:
    """All valid receipts, oldest first."""
    return sorted(folder.glob(_NAME))


def load_receipt(path: Path) -> Receipt:
    """A receipt as it was signed.

    Raises:
        DataMissingError: there is none.
        DataInvalidError: it is no receipt, or was altered.
    """
    try:
        with path.open("rb") as handle:
            data = handle.read(_LIMIT)
    except OSError as error:
        raise DataMissingError(f"the receipt {path} cannot be read: {error.strerror}") from error
    try:
        receipt = Receipt.model_validate_json(data)
    except ValidationError:
        raise DataInvalidError(
            f"{path} is no receipt of a person forgotten", hint="see docs/forgetting.md"
        ) from None
    if not receipt.is_genuine():
        raise DataInvalidError(
            f"{path} was altered: its signature is not of what it says",
            hint="ask for the receipt as it was given out",
        )
    return receipt


def _unwritable(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{folder} cannot be written: {error.strerror}",
        hint="look at the disk's free space and at who owns the folder",
    )
