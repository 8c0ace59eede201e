"""Which names a platform may have: they stand in certificates, paths, logs and commands."""

from __future__ import annotations

import re
from typing import Final

from isthmus.errors import IdentityError

MAX_NAME: Final = 64  # characters; what X.509 allows a common name (RFC 5280, appendix A.1)
_NAME: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{MAX_NAME - 1}}}")


def checked_name(name: object) -> str:
    """The name, if it is one: 1 to 64 letters, digits, `_` and `-` of ASCII, no sign first.

    Raises:
        IdentityError: it is none.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise IdentityError(
            f"{shown(name)} is no platform's name",
            hint=f"1 to {MAX_NAME} of A-Z a-z 0-9 _ -, beginning with a letter or digit",
        )
    return name


def shown(value: object) -> str:
    """A stranger's value for a message: ASCII on one line, and not long."""
    text = ascii(value)
    return text if len(text) <= MAX_NAME + 2 else f"{text[:MAX_NAME]}..."
