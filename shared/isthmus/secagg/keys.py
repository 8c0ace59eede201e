"""Keys of a round: agreed by X25519, derived by HKDF-SHA256, used once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from isthmus.files import digest
from isthmus.secagg.alarms import Alarm, refuse
from isthmus.secagg.terms import PROTOCOL
from isthmus.secagg.wire import DIGEST, chunks

SECRET: Final = 32  # bytes of a key or seed
NONCE: Final = 12  # bytes, random; a sealing key is of one sender, receiver and round
TAG: Final = 16  # bytes


@dataclass(frozen=True, repr=False, eq=False)
class Secret:
    """Bytes that nobody prints, compares, copies into a file or sends.

    Guarantees:
        Its text is `Secret(...)`, and neither pickle nor `copy.deepcopy` takes it, so that no
        state that holds one can be written by accident.
    """

    value: bytes

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret of secure aggregation stays in its process")


def fresh() -> Secret:
    """A seed or private key from the operating system."""
    return Secret(os.urandom(SECRET))


def public(private: Secret) -> bytes:
    """The X25519 public key, 32 raw bytes."""
    return X25519PrivateKey.from_private_bytes(private.value).public_key().public_bytes_raw()


def agreed(private: Secret, other: bytes, label: str, context: bytes, *names: str) -> Secret:
    """The key that two platforms share for one purpose.

    Args:
        private: one's own X25519 key.
        other: the other's public key.
        label: the purpose.
        context: what the key is bound to: the terms and all adverts of the round.
        names: of the platforms, in an order that both use.

    Raises:
        AggregationError: the other's key is of low order: anybody would know the secret.
    """
    try:
        secret = X25519PrivateKey.from_private_bytes(private.value).exchange(
            X25519PublicKey.from_public_bytes(other)
        )
    except ValueError:
        refuse(Alarm.BAD_KEY, f"a public key for {' and '.join(names)} gives no secret")
    return derived(Secret(secret), label, context, *names)


def derived(secret: Secret, label: str, context: bytes, *names: str) -> Secret:
    """A key for one purpose by HKDF-SHA256 (RFC 5869), 32 bytes."""
    info = PROTOCOL + chunks([label.encode(), *(name.encode() for name in names)])
    return Secret(HKDF(SHA256(), SECRET, salt=context, info=info).derive(secret.value))


def commitment(seed: Secret, context: bytes, name: str) -> bytes:
    """What tells a wrongly reconstructed seed; says nothing of a seed of 256 random bits."""
    return bytes.fromhex(digest(PROTOCOL, b"seed", context, name.encode(), seed.value))


def seal(key: Secret, payload: bytes, bound: bytes) -> bytes:
    """AES-256-GCM: nonce, ciphertext, tag.

    Args:
        key: of one sender and receiver.
        payload: secret.
        bound: authenticated with it.
    """
    nonce = os.urandom(NONCE)
    return nonce + AESGCM(key.value).encrypt(nonce, payload, bound)


def unseal(key: Secret, sealed: bytes, bound: bytes, sender: str) -> Secret:
    """The payload of `seal`.

    Raises:
        AggregationError: altered, of another sender, receiver or round, or under another key.
    """
    try:
        return Secret(AESGCM(key.value).decrypt(sealed[:NONCE], sealed[NONCE:], bound))
    except InvalidTag:
        refuse(Alarm.BAD_SHARE, f"the shares of {sender!r} do not open: altered or of another")


def require_public(key: bytes, name: str) -> None:
    """Refuse a key with which no secret can be agreed.

    Raises:
        AggregationError: it is of low order.
    """
    agreed(fresh(), key, "probe", bytes(DIGEST), name)
