"""What a platform signs when it asks for its certificate."""

from __future__ import annotations

from typing import Final

from isthmus.files import digest

_DOMAIN: Final = b"isthmus collect certificate 1"


def collect_message(name: str, csr_pem: bytes, authority_pem: bytes) -> bytes:
    """The bytes that the signing key signs: for this authority and no other.

    A copy of such a request that somebody sends again gains nothing: the certificate is for the key
    in the request, and who lacks that key cannot use it.
    """
    return _DOMAIN + bytes.fromhex(digest(name.encode(), csr_pem, authority_pem.strip()))
