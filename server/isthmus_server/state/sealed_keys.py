"""A server's keys in a backup: under a passphrase, or not at all.

    isthmus-sealed-keys 1 scrypt n=131072 r=8 p=1, a line's end
    salt (16 bytes), nonce (12), sealed files, tag (16)

The passphrase is stretched by scrypt (RFC 7914); AES-256-GCM seals, bound to the rest of the
backup.

Guarantees:
    Without the passphrase the keys cannot be read, and with it any change to any other file of
    the backup shows.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from isthmus.errors import StateError
from isthmus.secret_files import read_owned

VARIABLE: Final = "ISTHMUS_BACKUP_PASSPHRASE"
_N: Final = 2**17  # 128 MiB and 0.4 s for each guess (OWASP's advice for scrypt, 2023)
_HEAD: Final = f"isthmus-sealed-keys 1 scrypt n={_N} r=8 p=1\n".encode()
_SALT: Final = 16
_NONCE: Final = 12


def read_passphrase(file: Path | None, environment: Mapping[str, str] = os.environ) -> bytes | None:
    """The first line of a file that only its owner can read, else `$ISTHMUS_BACKUP_PASSPHRASE`.

    Returns:
        None where neither is given.

    Raises:
        KeysError: the file is missing or open to others.
        StateError: its first line is empty.
    """
    if file is None:
        return environment.get(VARIABLE, "").encode("utf-8", "surrogateescape") or None
    lines = read_owned(file).splitlines()
    if not lines or not lines[0]:
        raise StateError(f"{file} should hold a passphrase in its first line; that is empty")
    return lines[0]


def seal_files(files: Mapping[str, bytes], passphrase: bytes, bound: bytes) -> bytes:
    """The files, sealed.

    Args:
        files: content by name.
        passphrase: not empty.
        bound: what the seal also vouches for.
    """
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    texts = {name: base64.b64encode(data).decode() for name, data in files.items()}
    plain = json.dumps(texts, sort_keys=True).encode()
    return _HEAD + salt + nonce + _cipher(passphrase, salt).encrypt(nonce, plain, _HEAD + bound)


def unseal_files(sealed: bytes, passphrase: bytes, bound: bytes) -> dict[str, bytes]:
    """The files again.

    Raises:
        StateError: the passphrase is wrong, or the backup was altered.
    """
    if not sealed.startswith(_HEAD):
        raise StateError("the backup's keys are sealed in a way that this version does not know")
    body = sealed[len(_HEAD) :]
    salt, nonce, data = body[:_SALT], body[_SALT : _SALT + _NONCE], body[_SALT + _NONCE :]
    try:
        plain = _cipher(passphrase, salt).decrypt(nonce, data, _HEAD + bound)
    except (InvalidTag, ValueError):
        raise StateError(
            "the passphrase is wrong, or the backup was altered after it was made",
            hint="--without-keys restores the rest; nobody vouches for it then",
        ) from None
    return {name: base64.b64decode(data) for name, data in json.loads(plain).items()}


def _cipher(passphrase: bytes, salt: bytes) -> AESGCM:
    return AESGCM(Scrypt(salt=salt, length=32, n=_N, r=8, p=1).derive(passphrase))
