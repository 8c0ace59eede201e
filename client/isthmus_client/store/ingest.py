"""A platform's feeds into its store: read, judge, pseudonymise, merge, and commit at once.

Until the manifest is replaced nothing that this does is in the store. So a crash, a full disk or a
refusal at any point leaves the generation before, and the same call again does the work anew.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from isthmus.progress import Progress
from isthmus_client.contract.model import Contract
from isthmus_client.reading import NO_SPILL
from isthmus_client.relations import connect
from isthmus_client.rows.rules import DAY
from isthmus_client.store import quarantine
from isthmus_client.store.calendar import moment
from isthmus_client.store.intake import Taken, Task, refuse_bad
from isthmus_client.store.intake_events import stage_events
from isthmus_client.store.intake_items import ItemsTaken, take_items
from isthmus_client.store.intake_tables import TablesTaken, take_tables
from isthmus_client.store.items import item_rows, no_items
from isthmus_client.store.manifest import FeedRecord, Manifest
from isthmus_client.store.months import NEVER, Months, MonthWriter
from isthmus_client.store.people import People, no_people
from isthmus_client.store.quarantine import write_quarantine
from isthmus_client.store.reading import reading, require_same_reading
from isthmus_client.store.renumbering import without_idle
from isthmus_client.store.result import IngestResult
from isthmus_client.store.sequences import build
from isthmus_client.store.staging import MAX_EVENTS, Staging
from isthmus_client.store.store import Store


def ingest(
    contract: Contract,
    folder: Path,
    store: Store,
    progress: Progress,
    *,
    now: int,
    accept_rejected: bool = False,
    rebuild: bool = False,
    most: int = MAX_EVENTS,
) -> IngestResult:
    """Take in what is new in the contract's feeds.

    Args:
        contract: names the feeds and says how they are read.
        folder: from which the contract's paths are seen.
        store: open for writing.
        progress: shown to a person.
        now: Unix seconds; judges times and ends retention.
        accept_rejected: take a feed even if too many of its rows are bad.
        rebuild: forget what was read before and take all feeds anew, in one step.
        most: events to hold in memory; more wait sealed on the disk.

    Raises:
        ContractError: stored rows were read in another way than the contract now says.
        DataMissingError, DataInvalidError, NotInstalledError: a feed cannot be read.
        FeedRefusedError: a feed lacks a column, or too many of its rows are bad.
        StoreError: the store is damaged or cannot be written.

    Guarantees:
        User ids and order ids reach the disk as pseudonyms under the platform's keys, and nothing
        of a row is on the disk unsealed. A person who was forgotten does not come back.
    """
    if not rebuild:
        store.require_files()
    before = _emptied(store.manifest) if rebuild else store.manifest
    require_same_reading(contract, before)
    with connect() as connection:
        connection.execute(NO_SPILL)
        connection.execute(f"SET threads = {_cores()}")
        task = Task(contract, folder, before, connection, now, accept_rejected, progress)
        return _Ingest(task, store, most).run()


def _cores() -> int:
    """Those that this process may use; DuckDB counts all that there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _emptied(manifest: Manifest) -> Manifest:
    """The next generation's start where everything is read anew."""
    return Manifest(
        key_id=manifest.key_id, generation=manifest.generation, forgotten=manifest.forgotten
    )


class _Ingest:
    """The steps of one ingest."""

    def __init__(self, task: Task, store: Store, most: int) -> None:
        self._task = task
        self._store = store
        self._before = task.manifest
        self._most = most

    def run(self) -> IngestResult:
        task, key = self._task, self._store.keyring.pseudonym
        stored = self._store.pseudonyms() if self._before.users else no_people()
        people = People(key, stored, self._before.forgotten)
        items = take_items(task, self._store.items() if self._before.items else no_items())
        staging = Staging(self._store.segments, self._most)
        events = stage_events(task, items.items, people, staging, key)
        tables = take_tables(task, people, self._store.segments)
        taken = [*items.feeds, *events, *tables.feeds]
        if all(one.known for one in taken) and self._same(tables):
            return self._result(taken, 0)
        months = self._months(staging, events)
        refuse_bad(task, taken)
        if all(self._nothing_new(one) for one in taken) and self._same(tables):
            return self._result(taken, 0)
        self._commit(items, people, months, tables, taken)
        return self._result(taken, months.expired)

    def _months(self, staging: Staging, events: Sequence[Taken]) -> Months:
        """The events of the next generation; counts go to their feeds."""
        contract = self._task.contract
        names = {r.number: r.name for r in self._before.feeds if r.table == "events"}
        read = [one for one in events if not one.known]
        names |= {one.number: one.feed.name for one in read}
        writer = MonthWriter(
            self._store.segments,
            [names[number] for number in range(len(names))],
            contract.events.duplicates if contract.events.timed else "keep",
            self._oldest(),
            {one.number: one.quarantine for one in read},
        )
        months = writer.write(self._before, staging)
        for one in read:
            one.added, one.already = int(months.added[one.number]), int(months.already[one.number])
        return months

    def _oldest(self) -> int:
        """The moment before which nothing is kept."""
        contract = self._task.contract
        days = contract.history.retention_days
        return self._task.now - days * DAY if days and contract.events.timed else NEVER

    def _nothing_new(self, one: Taken) -> bool:
        """Whether a feed was read again, for a reason such as unknown items, and in vain."""
        record = self._task.record(one.table, one.feed.name)
        return one.known or (
            record is not None
            and record.fingerprint == one.fingerprint
            and (one.added, one.updated) == (0, 0)
            and record.rejected == one.quarantine.counts()
        )

    def _same(self, tables: TablesTaken) -> bool:
        """Whether all but the feeds is as it was, and nothing is too old to be kept."""
        return (
            self._before is self._store.manifest
            and tables.files == self._before.tables
            and all(segment.first >= self._oldest() for segment in self._before.segments)
        )

    def _commit(
        self,
        items: ItemsTaken,
        people: People,
        months: Months,
        tables: TablesTaken,
        taken: Sequence[Taken],
    ) -> None:
        """Write what is left of the next generation, and make it the current one."""
        contract, store = self._task.contract, self._store
        kept = without_idle(store.segments, people.pseudonyms, months.segments, months.events)
        built = build(kept.events, kept.people, item_rows(items.items), timed=contract.events.timed)
        users = pa.table({"pseudonym": kept.people})
        store.commit(
            Manifest(
                generation=self._before.generation + 1,
                key_id=self._before.key_id,
                name=contract.platform.name,
                timed=contract.events.timed,
                reading={table: reading(contract, table) for table in ("events", "items")},
                behaviours=contract.events.behaviours,
                segments=kept.segments,
                feeds=self._records(taken, items.items.num_rows),
                users=store.segments.write_table("users", users),
                items=self._items(items),
                sequences=store.segments.write("sequences", built.data),
                tables=tables.files,
                user_count=built.users,
                single_users=built.single,
                item_count=items.items.num_rows,
                forgotten=self._before.forgotten,
                quarantine=self._quarantine(taken),
            )
        )

    def _items(self, items: ItemsTaken) -> str:
        if self._before.items and not items.changed:
            return self._before.items
        return self._store.segments.write_table("items", items.items)

    def _records(self, taken: Sequence[Taken], items: int) -> tuple[FeedRecord, ...]:
        """What is now known of all feeds that were ever taken in."""
        when = moment(self._task.now)
        found = {(record.table, record.name): record for record in self._before.feeds}
        for one in taken:
            if not one.known:
                record = one.result().record(one.number, one.fingerprint, items=items, taken=when)
                found[one.table, one.feed.name] = record
        return tuple(found.values())

    def _quarantine(self, taken: Sequence[Taken]) -> str:
        """The file of rejected rows; "" where there are none."""
        feeds = [one.quarantine for one in taken if one.quarantine.lines]
        if not feeds:
            return ""
        name = f"{self._before.generation + 1}.csv"
        write_quarantine(self._store.folder / quarantine.FOLDER / name, feeds)
        return name

    def _result(self, taken: Sequence[Taken], expired: int) -> IngestResult:
        manifest = self._store.manifest
        folder = self._store.folder / quarantine.FOLDER
        rejected = any(one.quarantine.lines for one in taken)  # read in vain: as it did before
        return IngestResult(
            feeds=tuple(one.result() for one in taken),
            generation=manifest.generation,
            changed=manifest.generation != self._before.generation,
            expired=expired,
            users=manifest.user_count,
            items=manifest.item_count,
            events=manifest.events,
            quarantine=folder / manifest.quarantine if rejected else None,
        )
