"""Who is who in a federation: keys, fingerprints, requests to join, certificates.

Cryptography only; `isthmus.identity.tls` alone knows of the network.
"""

from __future__ import annotations

from isthmus.identity.authority import MAX_PLATFORM_HOURS, MAX_SERVER_HOURS, Authority
from isthmus.identity.certificates import (
    PLATFORM_URI,
    PeerCertificate,
    certificate_fingerprint,
    certificate_request,
    new_tls_key,
    platform_of,
    require_issued,
    require_request,
)
from isthmus.identity.fingerprints import fingerprint_of, same_fingerprint
from isthmus.identity.joining import JoinRequest
from isthmus.identity.keys import (
    PlatformKeys,
    PublicKeys,
    is_signed,
    private_pem,
    public_pem,
    public_raw,
    verifying_key,
)
from isthmus.identity.names import checked_name
from isthmus.identity.signing import create_signing_key, load_signing_key, read_public_key

__all__ = [
    "MAX_PLATFORM_HOURS",
    "MAX_SERVER_HOURS",
    "PLATFORM_URI",
    "Authority",
    "JoinRequest",
    "PeerCertificate",
    "PlatformKeys",
    "PublicKeys",
    "certificate_fingerprint",
    "certificate_request",
    "checked_name",
    "create_signing_key",
    "fingerprint_of",
    "is_signed",
    "load_signing_key",
    "new_tls_key",
    "platform_of",
    "private_pem",
    "public_pem",
    "public_raw",
    "read_public_key",
    "require_issued",
    "require_request",
    "same_fingerprint",
    "verifying_key",
]
