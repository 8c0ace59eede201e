"""What two people compare over the telephone: SHA-256 in groups of four digits."""

from __future__ import annotations

import hmac
import re
from typing import Final

from isthmus.files import digest

PREFIX: Final = "SHA256:"
_GROUP: Final = 4  # digits


def fingerprint_of(*parts: bytes) -> str:
    """`SHA256:` and 64 hexadecimal digits of the length-prefixed parts, in groups of four."""
    digits = digest(*parts)
    groups = (digits[at : at + _GROUP] for at in range(0, len(digits), _GROUP))
    return PREFIX + "-".join(groups)


def same_fingerprint(one: str, other: str) -> bool:
    """Whether both say the same, however they are spaced, hyphenated and capitalised."""
    return hmac.compare_digest(_digits(one), _digits(other))


def _digits(fingerprint: str) -> bytes:
    bare = fingerprint.strip().upper().removeprefix(PREFIX)
    return re.sub(r"[\s:-]", "", bare).encode()
