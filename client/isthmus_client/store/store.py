"""A platform's store: opened by a writer alone, or by any number of readers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final, TypeVar

import pyarrow as pa

from isthmus.errors import DataInvalidError, DataMissingError, IsthmusError, StoreError
from isthmus_client.relations import PlatformTables
from isthmus_client.store import quarantine
from isthmus_client.store.items import SCHEMA, catalogue
from isthmus_client.store.lock import held
from isthmus_client.store.manifest import NAME, Manifest, begun, load_manifest, save_manifest
from isthmus_client.store.mapped import Arrays, map_descriptor, opened
from isthmus_client.store.people import no_people
from isthmus_client.store.segments import FOLDER, Segments
from isthmus_client.store.sequences import histories
from isthmus_client.vault import Keyring

Read = TypeVar("Read")

_READS: Final = (
    3  # a writer that replaces the generation while it is read makes a reader start anew
)


class Store:
    """One platform's events, items and sequences, sealed on the disk.

    Attributes:
        folder: of the store.
        keyring: the platform's keys.
        manifest: the generation that is open.

    Guarantees:
        No user id is in it. Everything but counts in file names, sizes and the quarantine (lines
        and reasons) is sealed under the keyring's store key.
    """

    def __init__(self, folder: Path, keyring: Keyring, manifest: Manifest) -> None:
        self.folder = folder
        self.keyring = keyring
        self.manifest = manifest
        self.segments = Segments(folder / FOLDER, keyring.store)

    @classmethod
    @contextmanager
    def open(
        cls, folder: Path, keyring: Keyring, *, writable: bool, wait: float = 0.0
    ) -> Iterator[Store]:
        """The store, while the context is open.

        Args:
            folder: made by the first writer.
            keyring: the platform's keys.
            writable: whether this process is to change it; there is one such at a time.
            wait: seconds to wait for another writer.

        Raises:
            StoreBusyError: another process writes to it.
            KeysError: it was made with other keys.
            StoreError: it is damaged or cannot be written.
        """
        if writable:
            _make(folder)
        with held(folder, wait) if writable else nullcontext():
            manifest = (begun if writable else load_manifest)(folder, keyring)
            store = cls(folder, keyring, manifest)
            if not writable:
                yield store
                return
            store.remove_orphans()
            try:
                yield store
            except IsthmusError:  # a refusal, a full disk: give the space back at once
                with suppress(StoreError):
                    store.remove_orphans()
                raise

    def commit(self, manifest: Manifest) -> None:
        """Make a generation the current one; only then the files of the old one go.

        Raises:
            StoreError: it cannot be written; the old generation stays.
        """
        save_manifest(self.folder, self.keyring, manifest)
        self.manifest = manifest
        self.remove_orphans()

    def require_files(self) -> None:
        """That all files which the generation consists of are there; not what is in them.

        Raises:
            StoreError: one is missing.
        """
        lost = [name for name in sorted(self.manifest.files()) if not self.segments.has(name)]
        if lost:
            raise StoreError(
                f"{', '.join(lost)} of {self.segments.folder} cannot be found",
                hint="restore the store from a backup, or read all feeds anew with --rebuild",
            )

    def remove_orphans(self) -> None:
        """Delete what no generation names: left by a killed writer, or replaced."""
        named, rejected = self.manifest.files(), self.folder / quarantine.FOLDER
        try:
            for path in (self.folder / FOLDER).iterdir():
                if path.name not in named:
                    path.unlink()
            for path in rejected.iterdir():
                if not path.stem.isdigit() or int(path.stem) > self.manifest.generation:
                    path.unlink()
            for path in self.folder.glob(f".{NAME}.*.tmp"):
                path.unlink()
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def pseudonyms(self) -> pa.Array:
        """Of the users by number. (users,)"""
        if not self.manifest.users:
            return no_people()
        return self.segments.read_table(self.manifest.users)["pseudonym"].combine_chunks()

    def items(self) -> pa.Table:
        """By number."""
        if not self.manifest.items:
            return SCHEMA.empty_table()
        return self.segments.read_table(self.manifest.items)

    def tables(self) -> PlatformTables:
        """Catalogue and histories; user ids are pseudonyms in hexadecimal.

        The histories' columns lie in read-only memory that other processes can share.

        Raises:
            DataMissingError: nothing was ever taken in.
            DataInvalidError: no user has two events.
            StoreError: a file is damaged.
        """
        return self.steady(self._tables)

    def sequences(self) -> tuple[Arrays, int]:
        """The sorted events as arrays, and a descriptor by which another process can map them.

        The descriptor is the caller's to close.

        Raises:
            DataMissingError: nothing was ever taken in.
            StoreError: the file is damaged.
        """
        return self.steady(self._sequences)

    def steady(self, read: Callable[[], Read]) -> Read:
        """What is read of one generation, even if a writer replaces it meanwhile.

        Args:
            read: reads the files of `manifest`; called again where that is no longer the newest.

        Raises:
            StoreError: a file is damaged.
        """
        for _ in range(_READS):
            try:
                return read()
            except StoreError:
                newer = load_manifest(self.folder, self.keyring)
                if newer.generation == self.manifest.generation:
                    raise
                self.manifest = newer
        raise StoreError(f"{self.folder} is replaced faster than it can be read")

    def _tables(self) -> PlatformTables:
        arrays, descriptor = self._sequences()
        os.close(descriptor)
        manifest = self.manifest
        found = histories(arrays, timed=manifest.timed)
        if not found.users:
            raise DataInvalidError(
                f"{manifest.name}: each of the {manifest.user_count} users has a single event",
                hint="a history needs at least two events; check that user_id names the person, "
                "not the order or the session",
            )
        return PlatformTables(catalogue(self.items()), found, _warnings(manifest))

    def _sequences(self) -> tuple[Arrays, int]:
        if not self.manifest.sequences:
            raise DataMissingError(
                f"{self.folder} holds no events", hint="fill it with isthmus client ingest"
            )
        descriptor = opened(self.segments.read(self.manifest.sequences))
        return map_descriptor(descriptor), descriptor


def _make(folder: Path) -> None:
    """The store's folders, for their owner alone."""
    try:
        for path in (folder, folder / FOLDER, folder / quarantine.FOLDER):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{folder} cannot be written: {error.strerror}",
        hint="look at the disk's free space and at who owns the folder",
    )


def _warnings(manifest: Manifest) -> tuple[str, ...]:
    if not manifest.single_users:
        return ()
    alone, all_users = manifest.single_users, manifest.user_count
    return (f"{manifest.name}: {alone} of {all_users} users have a single event and were left out",)
