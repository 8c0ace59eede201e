"""Signatures: the server's under a federation contract, a platform's under its answer.

Ed25519 (RFC 8032) over a label and what is signed; the label keeps a signature from being taken for
one under anything else.
"""

from __future__ import annotations

from typing import Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from isthmus.errors import IdentityError
from isthmus.federation_contract import FederationContract
from isthmus.files import digest

LABEL: Final = b"isthmus federation contract 1\x00"
ANSWER: Final = b"isthmus answer to a contract 1\x00"

Answer = Literal["approved", "refused"]


def sign_contract(contract: FederationContract, key: Ed25519PrivateKey) -> bytes:
    """The signature, 64 bytes.

    Args:
        contract: what is signed.
        key: the server's identity.
    """
    return key.sign(LABEL + contract.to_bytes())


def verify_contract(data: bytes, signature: bytes, server: bytes) -> FederationContract:
    """The contract in the bytes, once its signature was found good.

    Args:
        data: the contract's encoding.
        signature: 64 bytes.
        server: the server's Ed25519 identity that the platform pinned, 32 raw bytes.

    Guarantees:
        Nothing of the bytes is read before the signature is checked.

    Raises:
        IdentityError: the signature is not the pinned server's.
        MessageRefusedError: the server signed what is no contract; names each field.
    """
    try:
        Ed25519PublicKey.from_public_bytes(server).verify(signature, LABEL + data)
    except (InvalidSignature, ValueError):
        raise IdentityError(
            "the contract's signature is not that of the server this platform joined",
            hint="compare the server's fingerprint with the operator; approve nothing until then",
        ) from None
    return FederationContract.from_bytes(data)


def sign_answer(
    contract_sha256: str, platform: str, answer: Answer, reason: str, key: Ed25519PrivateKey
) -> bytes:
    """A platform's signature under what it says to a contract, 64 bytes.

    Args:
        contract_sha256: `FederationContract.sha256`.
        platform: its name.
        answer: what it says.
        reason: why.
        key: the platform's identity.
    """
    return key.sign(_answer(contract_sha256, platform, answer, reason))


def verify_answer(
    contract_sha256: str,
    platform: str,
    answer: Answer,
    reason: str,
    signature: bytes,
    signing: bytes,
) -> None:
    """Refuse an answer that the platform did not give.

    Args:
        signing: the platform's Ed25519 identity, 32 raw bytes.

    Raises:
        IdentityError: the signature is not the platform's under this very answer.
    """
    message = _answer(contract_sha256, platform, answer, reason)
    try:
        Ed25519PublicKey.from_public_bytes(signing).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise IdentityError(
            f"the answer of {platform} to the contract {contract_sha256[:16]} is not signed by it",
            hint="let the platform answer again: isthmus client approve-run",
        ) from None


def _answer(contract_sha256: str, platform: str, answer: Answer, reason: str) -> bytes:
    parts = (contract_sha256, platform, answer, reason)
    return ANSWER + bytes.fromhex(digest(*(part.encode() for part in parts)))
