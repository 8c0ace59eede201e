"""The text of `platform.key`: 32 random bytes that wrap all other keys.

    isthmus-platform-key 1
    protection none                             | protection scrypt n=131072 r=8 p=1
    key <64 hexadecimal digits>                 | salt <32 digits>
    check <8 digits>                            | key <24 + 64 + 32 digits: nonce, sealed key, tag>

A passphrase is stretched by scrypt (RFC 7914) and wraps the key with AES-256-GCM.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from isthmus.errors import KeysError
from isthmus_client.vault.keyring import KEY_BYTES

_FIRST: Final = "isthmus-platform-key 1"
_N: Final = 2**17  # 128 MiB and 0.4 s for each guess (OWASP's advice for scrypt, 2023)
_PLAIN: Final = re.compile(
    rf"{_FIRST}\nprotection none\nkey ([0-9a-f]{{64}})\ncheck ([0-9a-f]{{8}})\n?"
)
_WRAPPED: Final = re.compile(
    rf"{_FIRST}\nprotection scrypt n={_N} r=8 p=1\nsalt ([0-9a-f]{{32}})\nkey ([0-9a-f]{{120}})\n?"
)


def platform_key_text(key: bytes, passphrase: bytes | None) -> str:
    """The file's text."""
    if passphrase is None:
        return f"{_FIRST}\nprotection none\nkey {key.hex()}\ncheck {_check(key)}\n"
    salt, nonce = os.urandom(16), os.urandom(12)
    wrapped = nonce + AESGCM(_stretched(passphrase, salt)).encrypt(nonce, key, _FIRST.encode())
    head = f"{_FIRST}\nprotection scrypt n={_N} r=8 p=1"
    return f"{head}\nsalt {salt.hex()}\nkey {wrapped.hex()}\n"


def parse_platform_key(data: bytes, passphrase: bytes | None) -> bytes:
    """The key in the file's bytes; the passphrase is unused where the file needs none.

    Raises:
        KeysError: it is damaged, or needs a passphrase that was not given or is wrong.
    """
    text = data.decode("ascii", "replace").replace("\r\n", "\n")
    if found := _PLAIN.fullmatch(text):
        key = bytes.fromhex(found[1])
        if _check(key) == found[2]:
            return key
    elif found := _WRAPPED.fullmatch(text):
        return _unwrapped(bytes.fromhex(found[1]), bytes.fromhex(found[2]), passphrase)
    raise KeysError(
        "it is damaged, or is no platform key of this version",
        hint="restore it from its backup",
    )


def _unwrapped(salt: bytes, wrapped: bytes, passphrase: bytes | None) -> bytes:
    if passphrase is None:
        raise KeysError(
            "it is protected by a passphrase, and none was given",
            hint="set ISTHMUS_KEY_PASSPHRASE, or name a file with --passphrase-file",
        )
    cipher = AESGCM(_stretched(passphrase, salt))
    try:
        return cipher.decrypt(wrapped[:12], wrapped[12:], _FIRST.encode())
    except InvalidTag:
        raise KeysError("the passphrase is wrong, or the file is damaged") from None


def _stretched(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=KEY_BYTES, n=_N, r=8, p=1).derive(passphrase)


def _check(key: bytes) -> str:
    """Finds a slip of the pen in a key typed off its backup; tells nothing of the key."""
    return hashlib.sha256(b"isthmus platform key check 1" + key).hexdigest()[:8]
