"""The platform's data as the worker holds it: read from the sealed store, anew after a change."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from isthmus.encoder_config import EncoderConfig
from isthmus.errors import NotApprovedError
from isthmus.progress import Progress, Silent
from isthmus_client.contract.loading import load_contract
from isthmus_client.home import Home
from isthmus_client.own_platform import OwnPlatform, prepare_tables
from isthmus_client.store import Store
from isthmus_client.text_encoder import TextEncoder
from isthmus_client.vault import Keyring
from isthmus_client.worker.published import publish, published_users
from isthmus_client.workspace import Workspace

VECTORS: Final = "vectors"
"""Folder of the item texts' vectors in `federation/`, kept so that a restart is quick."""


@dataclass(frozen=True)
class _Read:
    generation: int
    own: OwnPlatform


class OwnData:
    """What a platform trains on.

    Args:
        home: the platform's.
        name: under which it joined; what it trains depends on it.
        keyring: opens the store.
        encoder: of the items' texts.
        cache: folder of their vectors; None = in the home.
        progress: shown to a person.
    """

    def __init__(
        self,
        home: Home,
        name: str,
        keyring: Keyring,
        encoder: TextEncoder,
        *,
        cache: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._home, self._name, self._keyring, self._encoder = home, name, keyring, encoder
        self._cache = cache or home.federation / VECTORS
        self._progress = progress or Silent()
        self._lock = threading.Lock()
        self._read: _Read | None = None

    def generation(self) -> int:
        """Of the store on the disk: it changes with every feed and with every person forgotten.

        Raises:
            KeysError, StoreError: the store cannot be opened.
        """
        with Store.open(self._home.store, self._keyring, writable=False) as store:
            return int(store.manifest.generation)

    def workspace(self, config: EncoderConfig) -> Workspace:
        """The data for an encoder of this shape.

        Guarantees:
            What the store held before a person was forgotten is not used after it.

        The first time, the platform's number of users is published (`published.publish`).

        Raises:
            DataMissingError, DataInvalidError: there are no data, or they cannot be used.
            KeysError, StoreError: the store cannot be opened.
        """
        with self._lock:
            own = self._current()
        platform = replace(own.platform, name=self._name)
        made = Workspace(platform, own.read_by(config.max_events))
        if published_users(self._home) is None:
            publish(self._home, int(made.sequences.training_users.size))
        return made

    def require_encoder(self, fingerprint: str) -> None:
        """Refuse a run whose text encoder is another one than ours.

        Args:
            fingerprint: as the federation contract has it; "" = it says nothing.

        Raises:
            NotApprovedError: it is another one.
        """
        if fingerprint and fingerprint != self._encoder.fingerprint:
            raise NotApprovedError(
                f"the run uses the text encoder {fingerprint[:16]}..., this platform has "
                f"{self._encoder.name} ({self._encoder.fingerprint[:16]}...)",
                hint="every platform of a federation uses the same text encoder",
            )

    def _current(self) -> OwnPlatform:
        with Store.open(self._home.store, self._keyring, writable=False) as store:
            newest = int(store.manifest.generation)
            if self._read is None or self._read.generation != newest:
                self._read = None  # frees the memory before the new one is read
                contract, tables = load_contract(self._home.contract), store.tables()
                own = prepare_tables(tables, contract, self._encoder, self._cache, self._progress)
                self._read = _Read(int(store.manifest.generation), own)
        return self._read.own
