"""The two files of a platform's keys: made once, together, and never replaced."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

from isthmus.errors import KeysError
from isthmus.files import sync_folder
from isthmus.secret_files import read_owned, write_owned
from isthmus_client.vault.keyring import KEY_BYTES, Keyring
from isthmus_client.vault.passphrases import read_passphrase
from isthmus_client.vault.platform_key import parse_platform_key, platform_key_text
from isthmus_client.vault.wrapping import keyring_text, parse_keyring

PLATFORM_KEY: Final = "platform.key"
KEYRING: Final = "keyring.json"


def create_keys(folder: Path, *, passphrase: bytes | None = None) -> Keyring:
    """New keys in a new folder.

    Args:
        folder: must not be there, or be empty.
        passphrase: wraps `platform.key`; None leaves it to the file's mode to protect it.

    Guarantees:
        Both files are on the disk, mode 0600 in a folder of mode 0700, or neither is: they are
        written beside and moved in one step. Nothing that is there is ever replaced, whichever of
        two processes comes first.

    Raises:
        KeysError: something is in the folder, or it cannot be written.
    """
    keyring, platform_key = Keyring.fresh(), os.urandom(KEY_BYTES)
    texts = {
        PLATFORM_KEY: platform_key_text(platform_key, passphrase),
        KEYRING: keyring_text(keyring, platform_key),
    }
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))  # 0700
        try:
            for name, text in texts.items():
                write_owned(beside / name, text.encode())
            beside.rename(folder)  # fails where the folder holds anything
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        sync_folder(folder.parent)
    except OSError as error:
        raise _not_made(folder, error) from error
    return keyring


def load_keys(folder: Path, *, passphrase_file: Path | None = None) -> Keyring:
    """The keys in a folder; the passphrase is `read_passphrase`'s where they need one.

    Raises:
        KeysError: a file is missing, damaged, or open to others; the keyring was not made with
            this platform key; the passphrase is missing or wrong.
    """
    _refuse_writable(folder)
    platform_key, keyring = folder / PLATFORM_KEY, folder / KEYRING
    passphrase = read_passphrase(passphrase_file)
    try:
        key = parse_platform_key(read_owned(platform_key), passphrase)
    except KeysError as error:
        raise _named(platform_key, error) from None
    try:
        return parse_keyring(read_owned(keyring), key)
    except KeysError as error:
        raise _named(keyring, error) from None


def _refuse_writable(folder: Path) -> None:
    """Stop where others could put their own keys in the place of ours."""
    if not folder.is_dir():
        raise KeysError(
            f"there are no keys at {folder}",
            hint="`isthmus client init` makes them; keys of an older store come from their backup",
        )
    mode = folder.stat().st_mode
    if os.name == "posix" and mode & 0o022:
        raise KeysError(
            f"others can write into {folder}: its mode is {stat.S_IMODE(mode):04o}",
            hint=f"chmod 700 {folder}",
        )


def _named(path: Path, error: KeysError) -> KeysError:
    message = str(error)
    named = message if str(path) in message else f"{path}: {message}"
    return KeysError(named, hint=error.hint)


def _not_made(folder: Path, error: OSError) -> KeysError:
    if folder.is_dir() and any(folder.iterdir()):
        there = ", ".join(sorted(path.name for path in folder.iterdir()))
        return KeysError(
            f"{folder} holds {there}; keys are never replaced",
            hint="another folder is another platform; without its keys a store cannot be read",
        )
    return KeysError(f"keys cannot be written to {folder}: {error.strerror}")
