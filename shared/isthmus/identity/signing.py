"""The key with which a server signs contracts, releases and its audit log; public keys in files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from isthmus.errors import IdentityError
from isthmus.files import write_bytes
from isthmus.identity.keys import MAX_NODE_KEY, private_pem, public_pem
from isthmus.secret_files import read_owned, write_owned

PUBLIC: Final = ".pub"  # suffix of the file beside a private key
_HEX: Final = re.compile(rb"\s*([0-9a-fA-F]{64})\s*")


def create_signing_key(path: Path) -> Ed25519PrivateKey:
    """A new key in a file of mode 0600, and its public half beside it, as `PATH.pub`.

    Raises:
        IdentityError: there is a key already, or it cannot be written.
    """
    if path.exists():
        raise IdentityError(f"there is a key at {path} already", hint="keys are never replaced")
    key = Ed25519PrivateKey.generate()
    try:
        write_owned(path, private_pem(key))
        write_bytes(path.with_name(path.name + PUBLIC), public_pem(key.public_key()))
    except OSError as error:
        raise IdentityError(f"the key {path} cannot be written: {error.strerror}") from error
    return key


def load_signing_key(path: Path) -> Ed25519PrivateKey:
    """The key of `create_signing_key`.

    Raises:
        KeysError: the file is missing or open to others.
        IdentityError: it holds no such key.
    """
    try:
        key = load_pem_private_key(read_owned(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise IdentityError(f"{path} holds no Ed25519 key, or a damaged one") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise IdentityError(f"{path} holds a key of another kind than Ed25519")
    return key


def read_public_key(path: Path) -> bytes:
    """An Ed25519 public key, 32 raw bytes, from a file of PEM or of 64 hexadecimal digits.

    Raises:
        IdentityError: the file cannot be read or holds no such key.
    """
    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_NODE_KEY)
    except OSError as error:
        raise IdentityError(f"{path} cannot be read: {error.strerror}") from error
    if digits := _HEX.fullmatch(data):
        return bytes.fromhex(digits[1].decode())
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise IdentityError(
            f"{path} holds no Ed25519 public key",
            hint="PEM (BEGIN PUBLIC KEY) or 64 hexadecimal digits",
        )
    return key.public_bytes_raw()
