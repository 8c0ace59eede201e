"""A new platform's folder: contract, keys, and where the store will be."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from isthmus.errors import ScenarioError, StoreError
from isthmus.files import sync_folder, write_text
from isthmus_client.contract.template import contract_text
from isthmus_client.example_tables import example_events, example_items
from isthmus_client.home import Home
from isthmus_client.vault import Keyring, create_keys


def create_platform(
    home: Home, *, name: str, example: bool = False, passphrase: bytes | None = None
) -> Keyring:
    """Make `platform.toml`, `keys/`, `store/` and `receipts/`, the last three mode 0700.

    Args:
        home: of the platform; other files may be in its folder.
        name: of the platform.
        example: also write `events.csv` and `items.csv`, two small tables that fit the contract.
        passphrase: as of `create_keys`.

    Guarantees:
        Nothing that is there is replaced or changed. The contract is written last, so that where
        it is, all is.

    Raises:
        ScenarioError: something is there already; nothing was done.
        KeysError: the keys cannot be written.
        StoreError: something else cannot be written.
    """
    tables = {"events.csv": example_events, "items.csv": example_items} if example else {}
    texts = {home.folder / file: made() for file, made in tables.items()}
    texts[home.contract] = contract_text(name, example=example)
    _refuse_existing([*texts, home.keys, home.store, home.receipts])
    keyring = create_keys(home.keys, passphrase=passphrase)  # fails for the later of two at once
    try:
        _write(home, texts)
    except OSError as error:
        raise StoreError(f"{home.folder} cannot be written: {error.strerror}") from error
    return keyring


def _refuse_existing(paths: list[Path]) -> None:
    there = [path for path in paths if os.path.lexists(path)]
    if there:
        raise ScenarioError(
            f"there already: {', '.join(map(str, there))}; nothing was changed",
            hint="name another folder; keys and store are never replaced, move them by hand",
        )


def _write(home: Home, texts: Mapping[Path, str]) -> None:
    for folder in (home.store, home.receipts):
        folder.mkdir(mode=0o700)
    for path, text in texts.items():
        write_text(path, text)
    sync_folder(home.folder)
