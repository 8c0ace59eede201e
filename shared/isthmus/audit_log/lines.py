"""A line of an audit log: JSON that names the line before it by its hash, and itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from isthmus.files import digest

ROOT: Final = "0" * 64
"""Stands where the first line names the one before it."""

RESERVED: Final = frozenset({"cut", "hash", "line", "previous", "signature"})
"""What every line says; a body may not use these names."""

_DOMAIN: Final = b"isthmus audit line 1"


def line_of(body: Mapping[str, Any], key: Ed25519PrivateKey | None) -> dict[str, Any]:
    """The body, signed where there is a key, and with its own hash, which covers the signature."""
    line = dict(body)
    if key is not None:
        line["signature"] = key.sign(signed_part(line)).hex()
    return {**line, "hash": digest(written(line))}


def signed_part(line: Mapping[str, Any]) -> bytes:
    """What the signature of a line is over: all but itself and the hash."""
    rest = {name: value for name, value in line.items() if name not in {"hash", "signature"}}
    return _DOMAIN + bytes.fromhex(digest(written(rest)))


def written(line: Mapping[str, Any]) -> bytes:
    """As it stands in the file, without the newline.

    Raises:
        ValueError: a value is NaN or infinite, which JSON has not.
    """
    return json.dumps(line, sort_keys=True, allow_nan=False).encode()


def parsed(text: bytes) -> dict[str, Any] | None:
    """The line, or None if it is not byte for byte what was written."""
    try:
        line = json.loads(text)
        if not isinstance(line, dict) or not isinstance(line.get("hash"), str):
            return None
        body = {name: value for name, value in line.items() if name != "hash"}
        return line if line["hash"] == digest(written(body)) and written(line) == text else None
    except (ValueError, RecursionError):  # no JSON, NaN in it, or nested without end
        return None
