"""The four keys that a platform works with, and the public name of all four."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Final, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
ROLES: Final = ("pseudonym", "store", "heads", "signing")
"""What a data key is for. A key of one role is never used for another."""

_ID_INFO: Final = b"isthmus key id 1"
_ID_DIGITS: Final = 16


@dataclass(frozen=True, repr=False)
class Keyring:
    """A platform's data keys, 32 bytes each.

    Attributes:
        pseudonym: of HMAC-SHA256 over user ids. Whoever has it can tell whether a person whose id
            he knows is in the store.
        store: seals the store.
        heads: seals the private heads.
        signing: seed of an Ed25519 key that signs receipts.

    Guarantees:
        `repr` and `str` show the key id alone.
    """

    pseudonym: bytes
    store: bytes
    heads: bytes
    signing: bytes

    @classmethod
    def fresh(cls) -> Self:
        """New keys, from the operating system's generator."""
        return cls(*(os.urandom(KEY_BYTES) for _ in ROLES))

    @property
    def key_id(self) -> str:
        """16 hexadecimal digits that name these keys and tell nothing of them."""
        keys = b"".join(getattr(self, role) for role in ROLES)
        public = HKDF(SHA256(), KEY_BYTES, salt=None, info=_ID_INFO).derive(keys)
        return hashlib.sha256(public).hexdigest()[:_ID_DIGITS]

    def __repr__(self) -> str:
        return f"Keyring(key_id={self.key_id!r})"
