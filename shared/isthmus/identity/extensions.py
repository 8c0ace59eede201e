"""What the authority's certificates are made of: hosts, lifetimes, uses."""

from __future__ import annotations

import ipaddress
import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA384

from isthmus.errors import IdentityError
from isthmus.identity.certificates import common_name
from isthmus.identity.names import shown

BACKDATED: Final = timedelta(minutes=5)  # so that a clock that is behind takes a new certificate
AUTHORITY_DAYS: Final = 3650
_HOST: Final = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*",
    re.IGNORECASE,
)


def self_signed(name: str, key: EllipticCurvePrivateKey) -> x509.Certificate:
    """An authority's own certificate; it may sign no other authority's."""
    subject, at, public = common_name(name), datetime.now(UTC), key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - BACKDATED)
        .not_valid_after(at + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, SHA384())
    )


def key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """What a key may do: sign certificates and their revocations, or sign in a handshake."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def host_name(host: str) -> x509.GeneralName:
    """An address or a DNS name, as a certificate holds it.

    Raises:
        IdentityError: it is neither.
    """
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if not _HOST.fullmatch(host):
            raise IdentityError(
                f"{shown(host)} is no host",
                hint="a DNS name or an address, without a port: fed.example.org or 192.0.2.7",
            ) from None
        return x509.DNSName(host)


def lifetime(hours: float, most: float) -> timedelta:
    """How long a certificate is in force from now on.

    Raises:
        IdentityError: it is no time above 0, or longer than `most` hours.
    """
    if not math.isfinite(hours) or not 0 < hours <= most:
        raise IdentityError(
            f"a certificate cannot be in force for {hours:g} hours",
            hint=f"above 0, at most {most:g}",
        )
    return timedelta(hours=hours)
