"""The server's signature under a federation contract.

Ed25519 (RFC 8032) over a label and the contract's encoding; the label keeps a signature from being
taken for one under anything else.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from isthmus.errors import IdentityError
from isthmus.federation_contract import FederationContract

LABEL: Final = b"isthmus federation contract 1\x00"


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
