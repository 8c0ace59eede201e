"""Flower's node authentication, for the paths that Flower does not serve itself."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from flwr.common.constant import SYSTEM_TIME_TOLERANCE, TIMESTAMP_HEADER, TIMESTAMP_TOLERANCE
from flwr.supercore.constant import FLEET_HTTP_PUBLIC_KEY_HEADER, FLEET_HTTP_SIGNATURE_HEADER
from flwr.supercore.date import now
from flwr.supercore.primitives.asymmetric import bytes_to_public_key, verify_signature

PUBLIC_KEY: Final = FLEET_HTTP_PUBLIC_KEY_HEADER.lower().encode()
"""Header of the node's public key, in base64."""

_SIGNATURE: Final = FLEET_HTTP_SIGNATURE_HEADER.lower().encode()
_TIMESTAMP: Final = TIMESTAMP_HEADER.lower().encode()


def signed_by(headers: Mapping[bytes, bytes], key: bytes) -> bool:
    """Whether a request's timestamp is of now and signed with this node key, as Flower asks.

    Args:
        headers: of the request, names in lower case.
        key: the public key, PEM.
    """
    try:
        stamp = headers[_TIMESTAMP]
        age = (now() - datetime.fromisoformat(stamp.decode("ascii"))).total_seconds()
        signature = b64decode(headers[_SIGNATURE], validate=True)
        known = bytes_to_public_key(key)
    except (KeyError, ValueError, TypeError):
        return False
    if not -SYSTEM_TIME_TOLERANCE < age < TIMESTAMP_TOLERANCE + SYSTEM_TIME_TOLERANCE:
        return False
    return bool(verify_signature(known, stamp, signature))
