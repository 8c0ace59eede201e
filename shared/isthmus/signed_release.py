"""A release of a federation: an encoder, what it is, and the server's signature over both.

    encoder.safetensors   the parameters
    release.json          the card: SHA-256 of the encoder, the contract's, the run, the privacy
    signature             Ed25519 (RFC 8032) over a label and `release.json`, 64 bytes

`signature` is written last; a folder without it is no release.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import TypeAdapter, ValidationError

from isthmus.errors import DataInvalidError, DataMissingError, IdentityError
from isthmus.files import write_bytes
from isthmus.messages import Trust
from isthmus.release_files import ENCODER_NAME

CARD_NAME: Final = "release.json"
SIGNATURE_NAME: Final = "signature"
FILES: Final = (ENCODER_NAME, CARD_NAME, SIGNATURE_NAME)
_FORMAT: Final = "isthmus-release-1"
_LABEL: Final = b"isthmus release 1\x00"
_MAX_CARD: Final = 2**20  # bytes
_AGAIN: Final = "fetch the release again; if that does not help, tell the operator"


@dataclass(frozen=True)
class ReleaseCard:
    """What a release says of itself.

    Attributes:
        id: `RUN-rNNNNN`.
        name: what people call the run.
        round: after which the encoder was taken.
        rounds: of the run, as agreed.
        committed: when the round was; ISO 8601, UTC.
        version: of Isthmus that made it.
        sha256: of `encoder.safetensors`, 64 hexadecimal digits.
        bytes: its length.
        fingerprint: of the encoder's values, whatever the file.
        contract_sha256: of the contract under which it was trained.
        text_encoder: fingerprint of the text encoder that it reads; "" where none was agreed on.
        members: platforms of the run, by name.
        secure: whether the server saw sums over platforms only.
        trust: whom users must trust; "none" = no differential privacy.
        epsilon: of the whole run, for a user of one platform; an upper bound for an early round.
        delta: of that guarantee.
        colluders: platforms that may work together with the server.
    """

    __pydantic_config__: ClassVar[Any] = MappingProxyType({"extra": "forbid", "strict": True})

    id: str
    run: str
    name: str
    round: int
    rounds: int
    committed: str
    version: str
    sha256: str
    bytes: int
    fingerprint: str
    contract_sha256: str
    text_encoder: str
    members: tuple[str, ...]
    secure: bool
    trust: Trust
    epsilon: float
    delta: float
    colluders: int
    format: str = _FORMAT


_SCHEMA: Final[TypeAdapter[ReleaseCard]] = TypeAdapter(ReleaseCard)


def write_signed(folder: Path, encoder: bytes, card: ReleaseCard, key: Ed25519PrivateKey) -> bytes:
    """Write a release's three files, the signature last.

    Args:
        folder: made where it is not there.
        encoder: content of `encoder.safetensors`.
        card: names it.
        key: the server's identity.

    Returns:
        The signature.

    Raises:
        OSError: the folder cannot be written or the disk is full; there is then no signature.
    """
    text = json.dumps(asdict(card), indent=2, sort_keys=True, allow_nan=False).encode() + b"\n"
    signature = key.sign(_LABEL + text)
    for name, data in zip(FILES, (encoder, text, signature), strict=True):
        write_bytes(folder / name, data)
    return signature


def verify_release(folder: Path, server: bytes) -> ReleaseCard:
    """What the release in a folder is, once all of it was found good.

    Args:
        folder: holds the three files.
        server: the server's Ed25519 identity, 32 raw bytes.

    Guarantees:
        Nothing of the card is read before its signature is checked; nothing of the encoder is
        read but its bytes.

    Raises:
        DataMissingError: a file is missing.
        IdentityError: the signature is not the server's.
        DataInvalidError: the encoder is not the one that was signed, or the card is no card.
    """
    text, signature = _read(folder / CARD_NAME), _read(folder / SIGNATURE_NAME)
    try:
        Ed25519PublicKey.from_public_bytes(server).verify(signature, _LABEL + text)
    except (InvalidSignature, ValueError):
        raise IdentityError(
            f"the release in {folder} is not signed by this server, or was altered", hint=_AGAIN
        ) from None
    card = _parsed(text, folder / CARD_NAME)
    found = _sha256(folder / ENCODER_NAME)
    if found != card.sha256:
        raise DataInvalidError(
            f"{folder / ENCODER_NAME} has the SHA-256 {found}, the release's card says "
            f"{card.sha256}",
            hint=_AGAIN,
        )
    return card


def _parsed(text: bytes, path: Path) -> ReleaseCard:
    try:
        card = _SCHEMA.validate_json(text)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, each["loc"])) or "all" for each in error.errors())
        raise DataInvalidError(
            f"{path} is no card of this version: {fields}",
            hint="install the version of Isthmus that made it, or a newer one",
        ) from None
    if card.format != _FORMAT:
        raise DataInvalidError(f"{path} has the format {card.format!r}, expected {_FORMAT!r}")
    return card


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as handle:
            return handle.read(_MAX_CARD)
    except OSError as error:
        raise DataMissingError(f"no release: {path}: {error.strerror}", hint=_AGAIN) from error


def _sha256(path: Path) -> str:
    state = sha256()
    try:
        with path.open("rb") as handle:
            while block := handle.read(2**20):
                state.update(block)
    except OSError as error:
        raise DataMissingError(f"no release: {path}: {error.strerror}", hint=_AGAIN) from error
    return state.hexdigest()
