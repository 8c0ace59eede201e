"""Secrets in files: written and read only where nobody but the owner can."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from isthmus.errors import KeysError
from isthmus.files import write_bytes

OWNER_ONLY: Final = 0o600
"""Mode of a file that holds a secret."""

_MODES: Final = os.name == "posix"  # elsewhere a file's mode says nothing of who can read it
_LIMIT: Final = 2**16  # bytes; no secret of ours is longer


def write_owned(path: Path, data: bytes) -> None:
    """Replace a file that only its owner can read; its new folders are their owner's alone too.

    Raises:
        OSError: it cannot be written; what was there is untouched.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_bytes(path, data, mode=OWNER_ONLY)


def read_owned(path: Path) -> bytes:
    """The content of a file that neither group nor others may read or write.

    Raises:
        KeysError: it is missing, cannot be read, is open to others, or is no small file.
    """
    try:
        with path.open("rb") as handle:
            found = os.fstat(handle.fileno())  # of what was opened, not of what lies there now
            _refuse_open(path, found.st_mode)
            if found.st_size > _LIMIT:
                raise KeysError(f"{path} is no file of ours: it has {found.st_size:,} bytes")
            return handle.read()
    except FileNotFoundError as error:
        raise KeysError(
            f"there is no {path}", hint="restore it from its backup, or see docs/platform-keys.md"
        ) from error
    except OSError as error:
        raise KeysError(f"{path} cannot be read: {error.strerror}") from error


def _refuse_open(path: Path, mode: int) -> None:
    """Stop where others could have read it."""
    if not stat.S_ISREG(mode):
        raise KeysError(f"{path} is no file")
    if _MODES and mode & 0o077:
        raise KeysError(
            f"{path} is open to others: its mode is {stat.S_IMODE(mode):04o}, it must be 0600",
            hint=f"chmod 600 {path}; if others may have read it, take it for known to them",
        )
