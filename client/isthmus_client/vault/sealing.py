"""Bytes sealed with AES-256-GCM in chunks, so that no part of them can be altered or moved.

    magic 8 | key tag 16 | salt 32 | nonce prefix 7 | chunk, chunk, ..., last chunk

A chunk is 1 MiB of plain bytes, the last one what is left (0 bytes to 1 MiB), each with a tag of
16 bytes. Its nonce is the prefix, its number in 4 bytes (big-endian) and a byte that is 1 for the
last: the STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár 2015). The chunks' key is made
for this one sealing, from key, salt and role by HKDF-SHA256, so that no nonce is ever used twice
under a key. The key tag is derived from the key alone; it tells a wrong key from altered bytes.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from isthmus.errors import KeysError, StoreError

CHUNK: Final = 2**20  # bytes
TAG: Final = 16  # bytes
HEADER: Final = 8 + 16 + 32 + 7  # bytes

_MAGIC: Final = b"ISTHSEA1"
_KEY: Final = 32  # bytes: AES-256
_FILE_INFO: Final = b"isthmus seal 1 "
_TAG_INFO: Final = b"isthmus seal key tag 1"


def seal(key: bytes, role: str, data: bytes) -> bytes:
    """Encrypt and authenticate.

    Args:
        key: 32 bytes.
        role: what the bytes are, e.g. "manifest"; opening asks for the same. Things that must not
            be taken for one another, such as two segments, need different roles.
        data: any number of bytes.

    Guarantees:
        Whoever lacks the key learns the length of `data` and nothing else. Every change, cut,
        added byte, moved chunk and other role is refused by `unseal`. What it cannot see is an
        older sealing of the same role in this one's place: `data` must say how new it is.
    """
    salt, prefix = os.urandom(32), os.urandom(7)
    cipher = AESGCM(_derived(key, salt, _FILE_INFO + role.encode()))
    view = memoryview(data)
    chunks = [view[start : start + CHUNK] for start in range(0, len(view), CHUNK)] or [view]
    head = _MAGIC + _key_tag(key) + salt + prefix
    sealed = (cipher.encrypt(nonce, c, None) for nonce, c in _numbered(prefix, chunks))
    return b"".join([head, *sealed])


def unseal(key: bytes, role: str, sealed: bytes) -> bytes:
    """What was sealed.

    Guarantees:
        Returns exactly what `seal` was given with this key and role, or raises.

    Raises:
        KeysError: it was sealed with another key.
        StoreError: it is none of ours, or was altered, cut, or sealed in another role.
    """
    salt, prefix = _opened_head(key, sealed)
    cipher = AESGCM(_derived(key, salt, _FILE_INFO + role.encode()))
    body = memoryview(sealed)[HEADER:]
    step = CHUNK + TAG
    chunks = [body[start : start + step] for start in range(0, len(body), step)] or [body]
    try:
        return b"".join([cipher.decrypt(n, c, None) for n, c in _numbered(prefix, chunks)])
    except InvalidTag:
        raise StoreError(f"the sealed {role!r} was altered, cut, or is something else") from None


def _numbered(prefix: bytes, chunks: list[memoryview]) -> Iterator[tuple[bytes, memoryview]]:
    """Each chunk with its nonce, 12 bytes; 2^32 chunks would be 4 PiB, more than memory holds."""
    last = len(chunks) - 1
    for number, chunk in enumerate(chunks):
        yield prefix + number.to_bytes(4, "big") + bytes([number == last]), chunk


def _opened_head(key: bytes, sealed: bytes) -> tuple[bytes, bytes]:
    """Salt and nonce prefix of a sealing under this key."""
    if len(sealed) < HEADER + TAG or not sealed.startswith(_MAGIC):
        raise StoreError("this is nothing that was sealed here, or only a part of it")
    tag, salt, prefix = sealed[8:24], sealed[24:56], sealed[56:HEADER]
    if not hmac.compare_digest(tag, _key_tag(key)):
        raise KeysError(
            "this was sealed with other keys",
            hint="restore the keys that the store was made with from their backup",
        )
    return salt, prefix


def _key_tag(key: bytes) -> bytes:
    return _derived(key, b"", _TAG_INFO)[:16]


def _derived(key: bytes, salt: bytes, info: bytes) -> bytes:
    """A key made of a key (HKDF-SHA256, RFC 5869)."""
    return HKDF(SHA256(), _KEY, salt=salt, info=info).derive(key)
