"""The text of `keyring.json`: the data keys, each wrapped by the platform's key.

A key is wrapped with AES-256-GCM under a key derived from the platform's key; its role is
authenticated with it, so that keys cannot change places. All four together must have the key id
that stands beside them, so that keys of two keyrings cannot be mixed.
"""

from __future__ import annotations

import json
import os
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from isthmus.errors import KeysError
from isthmus_client.vault.keyring import KEY_BYTES, ROLES, Keyring

_FORMAT: Final = "isthmus-keyring 1"
_WRAPPED_BYTES: Final = 12 + KEY_BYTES + 16  # nonce, key, tag


def keyring_text(keyring: Keyring, platform_key: bytes) -> str:
    """The file's text."""
    cipher = _cipher(platform_key)
    wrapped = {role: _wrap(cipher, role, getattr(keyring, role)) for role in ROLES}
    value = {"format": _FORMAT, "key_id": keyring.key_id, "keys": wrapped}
    return json.dumps(value, indent=2) + "\n"


def parse_keyring(data: bytes, platform_key: bytes) -> Keyring:
    """The keyring in the file's bytes.

    Raises:
        KeysError: it is damaged, or was not made with this platform key.
    """
    key_id, wrapped = _taken_apart(data)
    cipher = _cipher(platform_key)
    try:
        keyring = Keyring(**{role: _unwrap(cipher, role, wrapped[role]) for role in ROLES})
    except InvalidTag:
        raise KeysError(
            "it was not made with the platform.key beside it, or one of the two is damaged",
            hint="restore both from the same backup",
        ) from None
    if keyring.key_id != key_id:
        raise _damaged()
    return keyring


def _taken_apart(data: bytes) -> tuple[str, dict[str, bytes]]:
    """Key id and {role: wrapped key}."""
    try:
        value: Any = json.loads(data)
        if value["format"] != _FORMAT or set(value["keys"]) != set(ROLES):
            raise _damaged()
        key_id: str = value["key_id"]
        wrapped = {role: bytes.fromhex(value["keys"][role]) for role in ROLES}
    except (ValueError, TypeError, KeyError):
        raise _damaged() from None  # the cause would quote the file
    if any(len(each) != _WRAPPED_BYTES for each in wrapped.values()):
        raise _damaged()
    return key_id, wrapped


def _damaged() -> KeysError:
    return KeysError(
        "it is damaged, or is no keyring of this version", hint="restore it from its backup"
    )


def _cipher(platform_key: bytes) -> AESGCM:
    info = b"isthmus keyring wrap 1"
    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(platform_key))


def _wrap(cipher: AESGCM, role: str, key: bytes) -> str:
    nonce = os.urandom(12)
    return (nonce + cipher.encrypt(nonce, key, _bound(role))).hex()


def _unwrap(cipher: AESGCM, role: str, wrapped: bytes) -> bytes:
    return cipher.decrypt(wrapped[:12], wrapped[12:], _bound(role))


def _bound(role: str) -> bytes:
    return f"{_FORMAT} {role}".encode()
