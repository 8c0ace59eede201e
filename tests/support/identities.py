"""An authority in memory, and the parts that make a platform's identity."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec

from isthmus.identity import Authority, certificate_request, new_tls_key
from isthmus.identity.extensions import self_signed

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def authority(name="demo CA"):
    """One that is in no file."""
    key = ec.generate_private_key(ec.SECP384R1())
    return Authority(self_signed(name, key), key)


@cache
def common_authority():
    return authority()


@dataclass(frozen=True)
class Site:
    key: ec.EllipticCurvePrivateKey
    csr: bytes


def site(name="books"):
    key = new_tls_key()
    return Site(key, certificate_request(name, key))
