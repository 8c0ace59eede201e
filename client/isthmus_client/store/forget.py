"""Persons out of the store: the next generation holds nothing of them and keeps them away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from isthmus.errors import StoreError
from isthmus.files import sync_folder
from isthmus.progress import Progress
from isthmus_client.store.columns import Sorted
from isthmus_client.store.intake_tables import USERS
from isthmus_client.store.items import item_rows
from isthmus_client.store.manifest import Manifest, Segment
from isthmus_client.store.people import PSEUDONYMS
from isthmus_client.store.renumbering import Numbers, Renumbering, users_of
from isthmus_client.store.sequences import build
from isthmus_client.store.store import Store

EVENTS = "events"


@dataclass(frozen=True)
class Erasure:
    """A generation without some persons, written and not yet the current one.

    Attributes:
        manifest: of that generation; the current one where nothing is to change.
        before: the current generation's number.
        rows: of each person, {table: rows that the new generation lacks}, tables without any left
            out; as `pseudonyms` were given.
        known: of each person, whether they were remembered as forgotten before.
        replaced: names of the sealed files that the new generation has no use for.
    """

    manifest: Manifest
    before: int
    rows: tuple[dict[str, int], ...]
    known: tuple[bool, ...]
    replaced: tuple[str, ...]

    @property
    def changes(self) -> bool:
        """Whether there is anything to commit."""
        return self.manifest.generation != self.before


def stored_rows(store: Store, pseudonyms: Sequence[bytes]) -> tuple[dict[str, int], ...]:
    """What the store holds of each person: {table: rows}, tables without any left out.

    Args:
        store: open.
        pseudonyms: each once.

    Raises:
        StoreError: a file is damaged.
    """
    tally = _Tally(len(pseudonyms))
    numbers = _numbers(store, pseudonyms)
    for segment in store.manifest.segments:
        tally.add(EVENTS, _counts(users_of(store.segments, segment), numbers))
    for name, file in store.manifest.tables.items():
        tally.add(name, _of_persons(store.segments.read_table(file), pseudonyms)[0])
    return tally.rows()


def erase(store: Store, pseudonyms: Sequence[bytes], progress: Progress) -> Erasure:
    """Write the generation without these persons; `commit` makes it the current one.

    Args:
        store: open for writing.
        pseudonyms: each once.
        progress: shown to a person.

    Raises:
        StoreError: a file is damaged or cannot be written; the store is as it was.

    Guarantees:
        In the new generation no row, number or sequence is of one of these persons; their
        pseudonyms stand only in its list of persons who may not come back. All else that it gives
        is what a store gives which they were never in.
    """
    before, tally = store.manifest, _Tally(len(pseudonyms))
    listed = [pseudonym.hex() for pseudonym in pseudonyms]
    known = tuple(text in before.forgotten for text in listed)
    numbers = _numbers(store, pseudonyms)
    changed: dict[str, Any] = _events(store, numbers, tally, progress)
    changed["tables"] = _tables(store, pseudonyms, tally)
    changed["forgotten"] = tuple(sorted({*before.forgotten, *listed}))
    after = before.model_copy(update=changed)
    if after != before:
        after = after.model_copy(update={"generation": before.generation + 1})
    replaced = tuple(sorted(before.files() - after.files()))
    return Erasure(after, before.generation, tally.rows(), known, replaced)


def commit(store: Store, erasure: Erasure) -> None:
    """Make an erasure's generation the current one and delete the files of the one before.

    Raises:
        StoreError: it cannot be written; or it is, and the old files cannot be deleted: then the
            next process that writes deletes them.

    Guarantees:
        Once this returns, the old files' names are gone from the disk, after a power cut too. A
        crash leaves the old generation or the new one, never a mixture.
    """
    if not erasure.changes:
        return
    store.commit(erasure.manifest)
    try:
        sync_folder(store.segments.folder)
    except OSError as error:
        raise StoreError(f"{store.folder} cannot be written: {error.strerror}") from error


class _Tally:
    """Rows by person and table."""

    def __init__(self, persons: int) -> None:
        self._counts: dict[str, npt.NDArray[np.int64]] = {}
        self._persons = persons

    def add(self, table: str, counts: npt.NDArray[np.int64]) -> None:
        """Add rows of each person. (persons,)"""
        self._counts[table] = self._counts.get(table, 0) + counts

    def rows(self) -> tuple[dict[str, int], ...]:
        """{table: rows} of each person."""
        found = ((name, counts.tolist()) for name, counts in self._counts.items())
        named = list(found)
        return tuple(
            {name: counts[person] for name, counts in named if counts[person]}
            for person in range(self._persons)
        )


def _numbers(store: Store, pseudonyms: Sequence[bytes]) -> Numbers:
    """The persons' numbers as users; -1 where they are none. (persons,)"""
    asked = pa.array(pseudonyms, PSEUDONYMS)
    found = pc.index_in(asked, value_set=store.pseudonyms()).fill_null(-1)
    return np.asarray(found.to_numpy(), dtype=np.int32)


def _counts(users: Numbers, numbers: Numbers) -> npt.NDArray[np.int64]:
    """Events of each person. (persons,)"""
    counts = np.bincount(users, minlength=int(numbers.max(initial=-1)) + 1)
    return np.where(numbers >= 0, counts[numbers] if counts.size else 0, 0)


def _events(store: Store, numbers: Numbers, tally: _Tally, progress: Progress) -> dict[str, Any]:
    """Months, users and sequences without the persons; {} where none of them is a user."""
    people, gone = store.pseudonyms(), np.unique(numbers[numbers >= 0])
    if not gone.size:
        return {}
    renumbering = Renumbering.without(len(people), gone)
    people = people.take(pa.array(renumbering.order))
    manifest, kept = store.manifest, list[tuple[Segment, Sorted]]()
    with progress.track("months", len(manifest.segments)) as advance:
        for segment in manifest.segments:
            tally.add(EVENTS, _counts(users_of(store.segments, segment), numbers))
            kept += renumbering.month(store.segments, segment)
            advance(1)
    months = [events for _, events in kept]
    built = build(months, people, item_rows(store.items()), timed=manifest.timed)
    return {
        "segments": tuple(segment for segment, _ in kept),
        "users": store.segments.write_table("users", pa.table({"pseudonym": people})),
        "sequences": store.segments.write("sequences", built.data),
        "user_count": built.users,
        "single_users": built.single,
    }


def _tables(store: Store, pseudonyms: Sequence[bytes], tally: _Tally) -> dict[str, str]:
    """The optional tables' files, written anew where a row goes."""
    files = dict(store.manifest.tables)
    for name, file in files.items():
        table = store.segments.read_table(file)
        counts, stay = _of_persons(table, pseudonyms)
        tally.add(name, counts)
        if counts.any():
            files[name] = store.segments.write_table(name, table.filter(stay))
    return files


def _of_persons(
    table: pa.Table, pseudonyms: Sequence[bytes]
) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Rows of each person, on whichever side they stand, and which rows are of none of them.

    No row has a person on both sides: the rules let no edge join a user to itself.

    (persons,), (rows,)
    """
    asked = pa.array(pseudonyms, PSEUDONYMS)
    counts = np.zeros(len(pseudonyms), dtype=np.int64)
    stay = np.ones(table.num_rows, dtype=np.bool_)
    for name in USERS:
        if name in table.column_names:
            place = pc.index_in(table[name].combine_chunks(), value_set=asked)
            person = place.fill_null(-1).to_numpy()
            counts += np.bincount(person[person >= 0], minlength=len(pseudonyms))
            stay &= person < 0
    return counts, pa.array(stay)
