"""A platform's keys, its users' pseudonyms, and what is sealed under them at rest."""

from __future__ import annotations

from isthmus_client.vault.key_files import create_keys, load_keys
from isthmus_client.vault.keyring import Keyring
from isthmus_client.vault.passphrases import read_passphrase
from isthmus_client.vault.pseudonyms import pseudonym, pseudonyms
from isthmus_client.vault.sealed_files import read_sealed, write_sealed
from isthmus_client.vault.sealing import seal, unseal

__all__ = [
    "Keyring",
    "create_keys",
    "load_keys",
    "pseudonym",
    "pseudonyms",
    "read_passphrase",
    "read_sealed",
    "seal",
    "unseal",
    "write_sealed",
]
