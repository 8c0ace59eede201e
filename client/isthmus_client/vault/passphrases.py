"""The passphrase that may protect a platform's key: from a file, or from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from isthmus.errors import KeysError
from isthmus.secret_files import read_owned

VARIABLE: Final = "ISTHMUS_KEY_PASSPHRASE"


def read_passphrase(
    file: Path | None = None, environment: Mapping[str, str] = os.environ
) -> bytes | None:
    """The first line of a file that only its owner can read, else `$ISTHMUS_KEY_PASSPHRASE`.

    Returns:
        None where neither is given: keys without a passphrase need none.

    Raises:
        KeysError: the file is missing, open to others, or its first line is empty.
    """
    if file is None:
        return environment.get(VARIABLE, "").encode("utf-8", "surrogateescape") or None
    lines = read_owned(file).splitlines()
    if not lines or not lines[0]:
        raise KeysError(f"{file} should hold a passphrase in its first line; that is empty")
    return lines[0]
