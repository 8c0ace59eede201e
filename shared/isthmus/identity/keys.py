"""A platform's long-lived keys, which never leave it, and the public halves, which name it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self, TypeGuard

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import (
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from isthmus.errors import IdentityError
from isthmus.identity.fingerprints import fingerprint_of

RAW: Final = 32  # bytes of an Ed25519 key, private or public
MAX_NODE_KEY: Final = 1024  # bytes of PEM; a P-384 key has 215


@dataclass(frozen=True)
class PublicKeys:
    """What others know a platform by.

    Attributes:
        signing: Ed25519, 32 raw bytes: verifies contracts' decisions, secure aggregation and the
            audit log.
        node: ECDSA over P-384, PEM: verifies Flower's node authentication.
    """

    signing: bytes
    node: bytes

    @property
    def fingerprint(self) -> str:
        """What the operator and the platform's engineer compare: over both keys."""
        return fingerprint_of(b"isthmus platform keys 1", self.signing, self.node)

    def require_valid(self) -> None:
        """Refuse what are no keys of the right kind, or not in the one form that we write.

        Raises:
            IdentityError: says which key.
        """
        verifying_key(self.signing)
        if len(self.node) > MAX_NODE_KEY or _node_key(self.node) != self.node:
            raise IdentityError("the node key is no P-384 key in the form of public_pem")


@dataclass(frozen=True, repr=False, eq=False)
class PlatformKeys:
    """The keys that a platform makes once, for itself.

    Attributes:
        signing: Ed25519.
        node: ECDSA over P-384, as Flower's node authentication asks for.

    Guarantees:
        `repr` and `str` show the fingerprint alone.
    """

    signing: Ed25519PrivateKey
    node: EllipticCurvePrivateKey

    @classmethod
    def fresh(cls) -> Self:
        """New keys, from the operating system's generator."""
        return cls(Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1()))

    @property
    def public(self) -> PublicKeys:
        """The halves that may be told."""
        return PublicKeys(public_raw(self.signing), public_pem(self.node.public_key()))

    def to_bytes(self) -> bytes:
        """Both keys, unencrypted: seal them before they are written."""
        return self.signing.private_bytes_raw() + private_pem(self.node)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The inverse of `to_bytes`.

        Raises:
            IdentityError: these are no such keys.
        """
        try:
            signing = Ed25519PrivateKey.from_private_bytes(data[:RAW])
            node = load_pem_private_key(data[RAW:], password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise IdentityError("the platform's identity keys are damaged") from None
        if not _is_p384(node):
            raise IdentityError("the platform's node key is not on the curve P-384")
        return cls(signing, node)

    def __repr__(self) -> str:
        return f"PlatformKeys({self.public.fingerprint})"


def public_raw(key: Ed25519PrivateKey) -> bytes:
    """The public half, 32 raw bytes."""
    return key.public_key().public_bytes_raw()


def public_pem(key: EllipticCurvePublicKey | Ed25519PublicKey) -> bytes:
    """PEM of SubjectPublicKeyInfo, which is also the form that Flower compares."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: EllipticCurvePrivateKey | Ed25519PrivateKey) -> bytes:
    """PEM of PKCS 8, unencrypted: only for files of mode 0600 or for sealing."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def verifying_key(raw: bytes) -> Ed25519PublicKey:
    """The Ed25519 key of 32 raw bytes.

    Raises:
        IdentityError: there are not 32 bytes.
    """
    try:
        return Ed25519PublicKey.from_public_bytes(raw)
    except (ValueError, TypeError):
        raise IdentityError(f"an Ed25519 key has {RAW} bytes, this one {len(raw)}") from None


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the holder of an Ed25519 key signed the message.

    Raises:
        IdentityError: `public` is no such key.
    """
    try:
        verifying_key(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _node_key(pem: bytes) -> bytes:
    """A P-384 key written anew; empty if it is none."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        return b""
    on_curve = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1)
    return public_pem(key) if on_curve and isinstance(key, EllipticCurvePublicKey) else b""


def _is_p384(key: object) -> TypeGuard[EllipticCurvePrivateKey]:
    return isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP384R1)
