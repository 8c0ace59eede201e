"""What a platform keeps of its membership, all in `federation/`:

server.json       the server's address, ports and keys, the federation's authority; no secret
identity.sealed   the long-lived keys, sealed under the platform's keyring
tls.key           of the certificate: short-lived, mode 0600, written first
certificate.pem   short-lived; written last
session.json      the ticket of the session (see `isthmus_client.link.session_ticket`)
audit.jsonl       this side's log
signing.pub       the key that signs it, and
server.pub        the key that signs the server's: for `isthmus audit verify --key`
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from isthmus.errors import IdentityError
from isthmus.files import write_bytes
from isthmus.identity import PlatformKeys, new_tls_key, private_pem, public_pem, require_issued
from isthmus.identity.certificates import PeerCertificate
from isthmus.secret_files import read_owned, write_owned
from isthmus_client.home import Home
from isthmus_client.vault import Keyring, read_sealed, write_sealed

_ROLE: Final = "federation identity"
_INFO: Final = b"isthmus federation identity 1"
_MISSING_HINT: Final = "ask the operator for an invitation, then: isthmus client join"


@dataclass(frozen=True)
class Enrolment:
    """Which federation, which server, under which name.

    Attributes:
        federation: its name.
        server: name or address of the server.
        ports: of the server's listeners: `enrolment`, `control`, `fleet`.
        name: the platform's.
        fingerprint: of the platform's own keys, which the operator compares.
        authority: the only authority that is trusted, PEM.
        signing: the server's, Ed25519, 64 hexadecimal digits.
    """

    federation: str
    server: str
    ports: Mapping[str, int]
    name: str
    fingerprint: str
    authority: str
    signing: str

    @property
    def authority_pem(self) -> bytes:
        """The authority as TLS wants it."""
        return self.authority.encode()

    @property
    def server_key(self) -> bytes:
        """Verifies contracts, releases and the server's audit log; 32 raw bytes."""
        return bytes.fromhex(self.signing)

    def save(self, home: Home) -> None:
        """Write `server.json`, and the server's key to `server.pub`."""
        write_bytes(home.federation / "server.pub", f"{self.signing}\n".encode())
        text = json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"
        write_owned(home.federation / "server.json", text.encode())

    @classmethod
    def load(cls, home: Home) -> Self:
        """What `save` wrote.

        Raises:
            IdentityError: the platform has not joined, or the file is damaged.
        """
        path = home.federation / "server.json"
        try:
            value: Any = json.loads(path.read_bytes())
            found = cls(**value)
            bytes.fromhex(found.signing)
        except FileNotFoundError:
            raise IdentityError(
                f"the platform in {home.folder} has joined no federation", hint=_MISSING_HINT
            ) from None
        except (OSError, ValueError, TypeError) as error:
            raise IdentityError(f"{path} cannot be read: {error}") from None
        return found


@dataclass(frozen=True, repr=False)
class Credentials:
    """A certificate with its key, as TLS wants them."""

    key_pem: bytes
    certificate_pem: bytes
    says: PeerCertificate


def certificate_path(home: Home) -> Path:
    """Of the short-lived certificate, PEM."""
    return home.federation / "certificate.pem"


def tls_key_path(home: Home) -> Path:
    """Of the certificate's key, PEM, mode 0600."""
    return home.federation / "tls.key"


def audit_path(home: Home) -> Path:
    """Of the platform's own log."""
    return home.federation / "audit.jsonl"


def save_keys(home: Home, keyring: Keyring, keys: PlatformKeys) -> None:
    """Seal the long-lived keys; the public half of the signing key goes to `signing.pub`.

    Guarantees:
        No unencrypted byte of them is written.

    Raises:
        StoreError: the file cannot be written.
    """
    home.federation.mkdir(mode=0o700, parents=True, exist_ok=True)
    public = public_pem(keys.signing.public_key())
    write_bytes(home.federation / "signing.pub", public)  # first: where keys are, it is
    write_sealed(home.federation / "identity.sealed", _key(keyring), _ROLE, keys.to_bytes())


def load_keys(home: Home, keyring: Keyring) -> PlatformKeys:
    """The long-lived keys.

    Raises:
        IdentityError: there are none: the platform has not joined.
        KeysError: they were sealed under another keyring.
        StoreError: the file was altered.
    """
    path = home.federation / "identity.sealed"
    if not path.exists():
        raise IdentityError(
            f"the platform in {home.folder} has joined no federation", hint=_MISSING_HINT
        )
    return PlatformKeys.from_bytes(read_sealed(path, _key(keyring), _ROLE))


def load_credentials(home: Home, enrolment: Enrolment) -> Credentials | None:
    """Certificate and key; None = there are none that are in force and fit each other.

    A crash between the two writes, or a long absence, leaves such; `collect` brings others.
    """
    try:
        key_pem = read_owned(tls_key_path(home))
        certificate_pem = certificate_path(home).read_bytes()
        key = _loaded(key_pem)
        says = _checked(certificate_pem, enrolment, key)
    except (OSError, IdentityError, ValueError):
        return None
    return Credentials(key_pem, certificate_pem, says)


def save_credentials(
    home: Home, enrolment: Enrolment, key: EllipticCurvePrivateKey, certificate_pem: bytes
) -> Credentials:
    """Check what came, then write the key, then the certificate.

    Raises:
        IdentityError: it is not this platform's certificate, or not for this key.
        OSError: a file cannot be written.
    """
    says = _checked(certificate_pem, enrolment, key)
    key_pem = private_pem(key)
    write_owned(tls_key_path(home), key_pem)
    write_bytes(certificate_path(home), certificate_pem)
    return Credentials(key_pem, certificate_pem, says)


def fresh_tls_key() -> EllipticCurvePrivateKey:
    """For one certificate."""
    return new_tls_key()


def _checked(pem: bytes, enrolment: Enrolment, key: EllipticCurvePrivateKey) -> PeerCertificate:
    return require_issued(pem, authority_pem=enrolment.authority_pem, name=enrolment.name, key=key)


def _loaded(pem: bytes) -> EllipticCurvePrivateKey:
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise IdentityError("tls.key is no key of ours")
    return key


def _key(keyring: Keyring) -> bytes:
    """What seals the identity: made from the signing seed, for this use alone."""
    return HKDF(SHA256(), 32, salt=None, info=_INFO).derive(keyring.signing)
