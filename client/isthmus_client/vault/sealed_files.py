"""Sealed bytes as files, readable by their owner alone."""

from __future__ import annotations

from pathlib import Path

from isthmus.errors import KeysError, StoreError
from isthmus.secret_files import write_owned
from isthmus_client.vault.sealing import seal, unseal


def write_sealed(path: Path, key: bytes, role: str, data: bytes) -> None:
    """Replace a file by sealed bytes, mode 0600; a crash leaves the old file or the new one.

    Raises:
        StoreError: it cannot be written; the old file is untouched.
    """
    try:
        write_owned(path, seal(key, role, data))
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror}",
            hint="look at the disk's free space and at who owns the folder",
        ) from error


def read_sealed(path: Path, key: bytes, role: str) -> bytes:
    """What `write_sealed` wrote.

    Raises:
        KeysError: it was sealed with another key; names the file.
        StoreError: it is not there, cannot be read, or was altered; names the file.
    """
    try:
        return unseal(key, role, path.read_bytes())
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    except (KeysError, StoreError) as error:
        raise type(error)(f"{path}: {error}", hint=error.hint) from None
