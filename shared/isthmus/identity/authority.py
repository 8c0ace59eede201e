"""The federation's own certificate authority: made once by the operator, on the server."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import (
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from isthmus.errors import IdentityError
from isthmus.files import sync_folder
from isthmus.identity.certificates import (
    PLATFORM_URI,
    certificate_fingerprint,
    common_name,
    load_certificate,
    require_request,
)
from isthmus.identity.extensions import BACKDATED, host_name, key_usage, lifetime, self_signed
from isthmus.identity.keys import private_pem
from isthmus.identity.names import MAX_NAME, shown
from isthmus.secret_files import read_owned, write_owned

CERTIFICATE: Final = "ca.pem"
KEY: Final = "ca.key"
MAX_PLATFORM_HOURS: Final = 7 * 24.0
MAX_SERVER_HOURS: Final = 398 * 24.0  # what TLS libraries take without complaint


@dataclass(frozen=True)
class Authority:
    """Signs the certificates of one federation.

    Attributes:
        certificate: its own, self-signed.
    """

    certificate: x509.Certificate
    _key: EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def create(cls, folder: Path, name: str) -> Self:
        """A new authority in a new folder: `ca.pem`, and `ca.key` of mode 0600 in mode 0700.

        Args:
            folder: must not be there, or be empty.
            name: the federation's, shown in its certificates: 1 to 61 printable characters.

        Guarantees:
            Both files are on the disk or neither is; nothing that is there is replaced.

        Raises:
            IdentityError: something is in the folder, it cannot be written, or the name is none.
        """
        key = ec.generate_private_key(ec.SECP384R1())
        certificate = self_signed(_shown_name(name), key)
        try:
            _write_folder(folder, {CERTIFICATE: _pem(certificate), KEY: private_pem(key)})
        except OSError as error:
            raise IdentityError(
                f"the authority cannot be written to {folder}: {error.strerror}",
                hint="an authority is never replaced: every certificate hangs on it",
            ) from error
        return cls(certificate, key)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The authority in a folder.

        Raises:
            IdentityError: a file is missing, damaged or open to others, or the two do not belong
                together.
        """
        secret = read_owned(folder / KEY)
        try:
            certificate = load_certificate((folder / CERTIFICATE).read_bytes())
            key = load_pem_private_key(secret, password=None)
        except OSError as error:
            path = folder / CERTIFICATE
            raise IdentityError(f"{path} cannot be read: {error.strerror}") from error
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise IdentityError(f"{folder / KEY} is damaged") from None
        if not isinstance(key, EllipticCurvePrivateKey) or (
            certificate.public_key() != key.public_key()
        ):
            raise IdentityError(f"{CERTIFICATE} and {KEY} in {folder} do not belong together")
        return cls(certificate, key)

    @property
    def certificate_pem(self) -> bytes:
        """What every member of the federation trusts."""
        return _pem(self.certificate)

    @property
    def fingerprint(self) -> str:
        """Of the authority's certificate, for people and invitations."""
        return certificate_fingerprint(self.certificate)

    def issue_server(
        self,
        hosts: Sequence[str],
        key: EllipticCurvePrivateKey,
        hours: float,
        *,
        now: datetime | None = None,
    ) -> bytes:
        """A server's certificate and after it the authority's, PEM.

        Args:
            hosts: names and addresses by which platforms reach the server; one at least.
            key: the server's own.
            hours: above 0, at most 398 days.
            now: UTC; None = the clock's.

        Raises:
            IdentityError: a host is none, or the hours are out of bounds.
        """
        names = [host_name(host) for host in hosts]
        if not names:
            raise IdentityError("a server's certificate needs a host", hint="such as localhost")
        term = lifetime(hours, MAX_SERVER_HOURS)
        leaf = self._issue(
            hosts[0][:MAX_NAME],
            names,
            ExtendedKeyUsageOID.SERVER_AUTH,
            key.public_key(),
            term,
            now=now,
        )
        return _pem(leaf) + self.certificate_pem

    def issue_platform(
        self,
        csr_pem: bytes,
        name: str,
        hours: float,
        serial: int | None = None,
        *,
        now: datetime | None = None,
    ) -> bytes:
        """A platform's certificate, PEM.

        Args:
            csr_pem: the platform's request, PEM; only its key counts.
            name: the platform's.
            hours: above 0, at most a week.
            serial: unique under this authority; None = random, 159 bits.
            now: UTC; None = the clock's.

        Guarantees:
            The certificate says nothing but the name, and serves for nothing but to be a TLS
            client.

        Raises:
            IdentityError: the request is not the platform's, or the hours are out of bounds.
        """
        key = require_request(csr_pem, name)
        uri = x509.UniformResourceIdentifier(PLATFORM_URI + name)
        term = lifetime(hours, MAX_PLATFORM_HOURS)
        usage = ExtendedKeyUsageOID.CLIENT_AUTH
        return _pem(self._issue(name, [uri], usage, key, term, serial=serial, now=now))

    def _issue(
        self,
        name: str,
        alternatives: list[x509.GeneralName],
        usage: x509.ObjectIdentifier,
        key: EllipticCurvePublicKey,
        term: timedelta,
        *,
        serial: int | None = None,
        now: datetime | None = None,
    ) -> x509.Certificate:
        at = now or datetime.now(UTC)
        own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
        return (
            x509.CertificateBuilder()
            .subject_name(common_name(name))
            .issuer_name(self.certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number() if serial is None else serial)
            .not_valid_before(at - BACKDATED)
            .not_valid_after(min(at + term, self.certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, SHA384())
        )


def _shown_name(federation: str) -> str:
    """The authority's common name."""
    name = f"{federation} CA"
    if not federation.strip() or not name.isprintable() or len(name) > MAX_NAME:
        raise IdentityError(
            f"{shown(federation)} is no name for a federation",
            hint=f"1 to {MAX_NAME - 3} printable characters",
        )
    return name


def _write_folder(folder: Path, files: dict[str, bytes]) -> None:
    """Put a folder of secrets in place in one step; fails where the folder holds anything."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))  # 0700
    try:
        for name, data in files.items():
            write_owned(beside / name, data)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    sync_folder(folder.parent)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
