"""X.509 of this federation: what a platform asks for, and what a certificate says of its holder.

Keys of certificates are ECDSA over P-256: every TLS library in use takes them. A platform's
certificate has its name twice, as common name and as the URI `isthmus://platform/NAME`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import (
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from isthmus.errors import IdentityError
from isthmus.identity.fingerprints import fingerprint_of
from isthmus.identity.names import checked_name, shown

PLATFORM_URI: Final = "isthmus://platform/"
MAX_PEM: Final = 8 * 1024  # bytes of a certificate or request that we look at
_DAMAGED: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises for bytes that it cannot make sense of."""

_BEGIN: Final = b"-----BEGIN"


@dataclass(frozen=True)
class PeerCertificate:
    """What a platform's certificate says.

    Attributes:
        platform: whose it is.
        serial: unique under its authority.
        not_after: UTC; it is worth nothing later.
        fingerprint: of the whole certificate.
    """

    platform: str
    serial: int
    not_after: datetime
    fingerprint: str

    def expired(self, now: datetime) -> bool:
        """Whether it is worth nothing any more."""
        return now >= self.not_after


def new_tls_key() -> EllipticCurvePrivateKey:
    """A key for one short-lived certificate."""
    return ec.generate_private_key(ec.SECP256R1())


def certificate_request(name: str, key: EllipticCurvePrivateKey) -> bytes:
    """A PKCS 10 request of a platform, PEM.

    Raises:
        IdentityError: the name is none.
    """
    subject = common_name(checked_name(name))
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256())
    return request.public_bytes(Encoding.PEM)


def require_request(csr_pem: bytes, name: str) -> EllipticCurvePublicKey:
    """The key for which a platform asks a certificate; nothing else in the request counts.

    Raises:
        IdentityError: it is no request, for another name, for another kind of key, or not signed
            by the key.
    """
    subject = common_name(checked_name(name))
    try:
        request = x509.load_pem_x509_csr(_small(csr_pem))
        key, valid = request.public_key(), request.is_signature_valid
        asked = request.subject
    except _DAMAGED:
        raise IdentityError(f"the certificate request of {name!r} is damaged") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise IdentityError(f"the certificate request of {name!r} is not for a P-256 key")
    if not valid:
        raise IdentityError(f"the certificate request of {name!r} is not signed by its own key")
    if asked != subject:
        said = shown(asked.rfc4514_string())
        raise IdentityError(f"the certificate request of {name!r} is for {said}")
    return key


def platform_of(certificate: bytes) -> PeerCertificate:
    """Whose certificate it is.

    Args:
        certificate: DER or PEM. That our authority signed it, and that it is in force, TLS has
            checked, or `require_issued`.

    Raises:
        IdentityError: it is no platform's.
    """
    loaded = load_certificate(certificate)
    try:
        extensions = loaded.extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (*_DAMAGED, x509.ExtensionNotFound):
        raise IdentityError("the certificate is no platform's: it lacks extensions") from None
    uris = [each.value for each in names if isinstance(each, x509.UniformResourceIdentifier)]
    if list(usage) != [ExtendedKeyUsageOID.CLIENT_AUTH] or len(uris) != len(list(names)):
        raise IdentityError("the certificate is no platform's: it is for another use")
    name = _only_name(uris)
    if loaded.subject != common_name(name):
        raise IdentityError(f"the certificate has two names: {name!r} and another")
    return PeerCertificate(
        name, loaded.serial_number, loaded.not_valid_after_utc, certificate_fingerprint(loaded)
    )


def require_issued(
    certificate_pem: bytes,
    *,
    authority_pem: bytes,
    name: str,
    key: EllipticCurvePrivateKey | None = None,
    now: datetime | None = None,
) -> PeerCertificate:
    """A certificate that a platform received, checked before it replaces the one in use.

    Args:
        certificate_pem: PEM.
        authority_pem: PEM of the authority that the platform trusts.
        name: the platform's own.
        key: the private key that it must be for; None = any.
        now: UTC; None = the clock's.

    Raises:
        IdentityError: another's, of another authority, for another key, or expired.
    """
    found = platform_of(certificate_pem)
    loaded, authority = load_certificate(certificate_pem), load_certificate(authority_pem)
    if found.platform != name:
        raise IdentityError(f"the certificate is for {found.platform!r}, not for {name!r}")
    try:
        loaded.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        raise IdentityError(f"the certificate of {name!r} is of another authority") from None
    if key is not None and loaded.public_key() != key.public_key():
        raise IdentityError(f"the certificate of {name!r} is for another key than ours")
    if found.expired(now or datetime.now(UTC)):
        raise IdentityError(f"the certificate of {name!r} expired at {found.not_after.isoformat()}")
    return found


def load_certificate(data: bytes) -> x509.Certificate:
    """The first certificate in PEM, or one in DER.

    Raises:
        IdentityError: it is none.
    """
    try:
        small = _small(data)
        pem = small.lstrip().startswith(_BEGIN)
        load = x509.load_pem_x509_certificate if pem else x509.load_der_x509_certificate
        return _read_whole(load(small))
    except _DAMAGED:
        raise IdentityError("this is no certificate, or a damaged one") from None


def _read_whole(found: x509.Certificate) -> x509.Certificate:
    """The same, once what `cryptography` parses late or not at all is known to be sound.

    A signature is whole bytes. Its bit string could leave out a last bit that is zero, and be
    taken for the same signature under another fingerprint.

    Raises:
        ValueError, TypeError, UnsupportedAlgorithm: it is not.
    """
    found.subject, found.not_valid_after_utc, found.public_key()
    if found.serial_number <= 0:  # RFC 5280, 4.1.2.2
        raise ValueError("a serial number that is not positive")
    if not found.public_bytes(Encoding.DER).endswith(b"\x00" + found.signature):
        raise ValueError("a signature of part of a byte")
    return found


def certificate_fingerprint(certificate: x509.Certificate | bytes) -> str:
    """Over the whole certificate, in the form that people compare.

    Raises:
        IdentityError: it is no certificate.
    """
    loaded = load_certificate(certificate) if isinstance(certificate, bytes) else certificate
    return fingerprint_of(b"isthmus certificate 1", loaded.public_bytes(Encoding.DER))


def common_name(name: str) -> x509.Name:
    """A subject that is a common name and nothing more."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _only_name(uris: list[str]) -> str:
    """The platform that the one URI names."""
    if len(uris) != 1 or not uris[0].startswith(PLATFORM_URI):
        raise IdentityError("the certificate is no platform's: it names none")
    return checked_name(uris[0].removeprefix(PLATFORM_URI))


def _small(data: bytes) -> bytes:
    if len(data) > MAX_PEM:
        raise ValueError("too large")
    return data
