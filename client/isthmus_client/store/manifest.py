"""The store's table of contents: sealed, and replaced in one step.

What it does not name is not in the store. A generation is one such table; every ingest that
changes something makes the next one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from isthmus.errors import KeysError, StoreError
from isthmus_client.store.segments import FOLDER
from isthmus_client.vault import Keyring, read_sealed, write_sealed

FORMAT: Final = 1  # raised when an older version would misread the store
NAME: Final = "manifest"
ROLE: Final = "store manifest"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Segment(_Part):
    """The events of one month.

    Attributes:
        file: name in the folder of segments; no other file ever has it.
        month: months since January 1970 in UTC; 0 where events have no times.
        rows: events.
        first: smallest time, Unix seconds.
        last: largest time.
    """

    file: str
    month: int
    rows: int
    first: int
    last: int


class FeedRecord(_Part):
    """A feed that was taken in, as it was the last time.

    Attributes:
        table: "events", "items" or another table of the contract.
        name: of the feed.
        number: of an events feed, as its stored events have it; counts from 0.
        fingerprint: of its content and of how it was read; None = not known before reading all.
        taken: ISO 8601, UTC.
        read: its rows, those that were rejected among them.
        added: rows that were new.
        updated: rows that replaced an older one.
        already: rows that were in the store.
        rejected: {reason: rows}.
        items: that were stored when it was read.
    """

    table: str
    name: str
    number: int
    fingerprint: str | None
    taken: str
    read: int
    added: int
    updated: int
    already: int
    rejected: dict[str, int]
    items: int = 0


class Manifest(_Part):
    """One generation.

    Attributes:
        generation: counts from 0, the empty store.
        key_id: of the keys that seal the store.
        name: the platform's, for messages.
        timed: whether events have times.
        reading: {table: digest of how the contract has it read}.
        behaviours: {their word: ours} that stored events were read with.
        segments: by month.
        feeds: all that were ever taken in.
        users: file of the pseudonyms by number; "" = none yet.
        items: file of the items by number; "" = none yet.
        sequences: file of the events sorted by user; "" = none yet.
        tables: {table: file} of the contract's optional tables.
        user_count: users with an event.
        single_users: users with one event, whom sequences leave out.
        item_count: items.
        forgotten: pseudonyms, in hexadecimal, of persons who may not come back.
        quarantine: name of the file of what the last ingest rejected; "" = nothing. Files of
            earlier ones stay.
    """

    format: int = FORMAT
    generation: int = 0
    key_id: str
    name: str = ""
    timed: bool = True
    reading: dict[str, str] = {}
    behaviours: dict[str, str] = {}
    segments: tuple[Segment, ...] = ()
    feeds: tuple[FeedRecord, ...] = ()
    users: str = ""
    items: str = ""
    sequences: str = ""
    tables: dict[str, str] = {}
    user_count: int = 0
    single_users: int = 0
    item_count: int = 0
    forgotten: tuple[str, ...] = ()
    quarantine: str = ""

    @property
    def events(self) -> int:
        """Stored events."""
        return sum(segment.rows for segment in self.segments)

    def files(self) -> set[str]:
        """Names of all sealed files that this generation consists of."""
        named = {self.users, self.items, self.sequences, *self.tables.values()}
        return {*named, *(segment.file for segment in self.segments)} - {""}


def load_manifest(folder: Path, keyring: Keyring) -> Manifest:
    """The current generation; an empty one where nothing was ever stored.

    Raises:
        KeysError: the store was made with other keys.
        StoreError: the manifest is damaged, of a newer version, or lost: there are sealed files.
    """
    path = folder / NAME
    if not path.exists():
        _refuse_lost(folder)
        return Manifest(key_id=keyring.key_id)
    try:
        text = read_sealed(path, keyring.store, ROLE)
        found = Manifest.model_validate_json(text)
    except KeysError as error:
        raise KeysError(
            f"{folder} was made with other keys than {keyring.key_id}",
            hint="put back the keys folder that belongs to this store",
        ) from error
    except ValidationError:
        raise _unreadable(path) from None  # its text would show what is in the manifest
    if found.format != FORMAT:
        raise _unreadable(path)
    return found


def _refuse_lost(folder: Path) -> None:
    """Stop where a store has lost its manifest, and with it who may not come back.

    A writer saves a manifest before its first sealed file, so that a new store never looks so.
    """
    segments = folder / FOLDER
    if segments.is_dir() and any(segments.iterdir()):
        raise StoreError(
            f"{folder / NAME} is gone, though {segments} holds files that it should name",
            hint="restore the store from a backup; or move it away, take the feeds into a new one, "
            "and run isthmus client forget --replay",
        )


def _unreadable(path: Path) -> StoreError:
    return StoreError(
        f"{path} is of another version of this program, which reads format {FORMAT}",
        hint="use the version that wrote it, or take the feeds into a new store",
    )


def begun(folder: Path, keyring: Keyring) -> Manifest:
    """The current generation, for a writer: a new store gets its manifest first.

    Raises:
        KeysError, StoreError: as `load_manifest`, or it cannot be written.
    """
    found = load_manifest(folder, keyring)
    if not (folder / NAME).exists():
        save_manifest(folder, keyring, found)
    return found


def save_manifest(folder: Path, keyring: Keyring, manifest: Manifest) -> None:
    """Replace the manifest: from now on the store is this generation.

    Raises:
        StoreError: it cannot be written; the old generation stays.
    """
    write_sealed(folder / NAME, keyring.store, ROLE, manifest.model_dump_json().encode())
