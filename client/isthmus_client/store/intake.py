"""The feeds of a contract, one after the other, into items, staged events and counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from isthmus.errors import FeedRefusedError
from isthmus.progress import Progress
from isthmus_client.contract.model import Contract
from isthmus_client.feeds import Feed, Malformed, open_feeds
from isthmus_client.rows import COLUMNS, require_columns
from isthmus_client.store.manifest import FeedRecord, Manifest
from isthmus_client.store.quarantine import Quarantine
from isthmus_client.store.reading import fingerprint
from isthmus_client.store.result import FeedResult

_POLICY = {"forgotten", "out_of_retention"}  # rows that are rejected without a fault of the feed

_PASSING = {"time_in_future", "missing_image"}  # what may end without a change of the feed


@dataclass(frozen=True)
class Task:
    """One ingest: what every table's part of it is told.

    Attributes:
        contract: names the feeds.
        folder: from which the contract's paths are seen.
        manifest: the generation before.
        connection: a DuckDB that keeps everything in memory.
        now: Unix seconds.
        accept_rejected: whether a feed with too many bad rows is taken all the same.
        progress: shown to a person.
    """

    contract: Contract
    folder: Path
    manifest: Manifest
    connection: duckdb.DuckDBPyConnection
    now: int
    accept_rejected: bool
    progress: Progress

    def feeds(self, table: str) -> tuple[Feed, ...]:
        """A table's feeds, by name.

        Raises:
            DataMissingError, DataInvalidError, NotInstalledError: they cannot be opened.
            FeedRefusedError: one lacks a column.
        """
        found = open_feeds(getattr(self.contract, table), self.folder, COLUMNS[table].all)
        faults = [
            f"{feed.name}: {fault.line()}"
            for feed in found
            for fault in require_columns(self.contract, table, feed.columns)
        ]
        if faults:
            raise FeedRefusedError("\n".join(faults), hint="nothing was stored")
        return found

    def record(self, table: str, name: str) -> FeedRecord | None:
        """What is known of a feed."""
        records = (r for r in self.manifest.feeds if (r.table, r.name) == (table, name))
        return next(records, None)

    def known(self, table: str, print_: str | None, items: int) -> bool:
        """Whether a feed of this content was taken in, and nothing more of it can be now."""
        if print_ is None:
            return False
        same = [r for r in self.manifest.feeds if (r.table, r.fingerprint) == (table, print_)]
        return bool(same) and not any(_may_pass(r, items) for r in same)


def _may_pass(record: FeedRecord, items: int) -> bool:
    """Whether rows that were rejected might be good by now, though the feed is the same."""
    unknown = "unknown_item" in record.rejected and items != record.items
    return unknown or bool(_PASSING & record.rejected.keys())


@dataclass
class Taken:
    """One feed on its way.

    Attributes:
        feed: where it is read from.
        number: of an events feed in the store.
        quarantine: its rejected rows.
        fingerprint: of content and contract.
        known: whether nothing of it has to be read.
        read: rows so far.
        added: rows that were new.
        updated: rows that replaced one.
        already: rows that were stored.
    """

    table: str
    feed: Feed
    number: int
    quarantine: Quarantine
    fingerprint: str | None
    known: bool
    read: int = 0
    added: int = 0
    updated: int = 0
    already: int = 0
    malformed: dict[str, list[int]] = field(default_factory=dict)

    def judged(
        self, columns: Sequence[str], judge: Callable[[pa.RecordBatch], pa.Table]
    ) -> Iterator[pa.Table]:
        """Its batches, judged; counts what comes by."""
        for batch in self.feed.batches(columns, self._malformed):
            self.read += batch.num_rows
            yield judge(batch)
        for reason, lines in self.malformed.items():
            self.read += len(lines)
            self.quarantine.add(lines, reason)

    def _malformed(self, fault: Malformed) -> None:
        self.malformed.setdefault(fault.reason, []).append(fault.line)

    def result(self) -> FeedResult:
        """Its part of the ingest's result."""
        return FeedResult(
            self.table,
            self.feed.name,
            self.known,
            self.read,
            self.added,
            self.updated,
            self.already,
            self.quarantine.counts(),
        )


def started(
    task: Task, table: str, *, items: int = 0, numbers: dict[str, int] | None = None
) -> list[Taken]:
    """A table's feeds before any row is read.

    Args:
        task: the ingest.
        table: of the contract.
        items: that are known by now.
        numbers: {name: number} of events feeds; new names are added.
    """
    found: list[Taken] = []
    for feed in task.feeds(table):
        print_ = fingerprint(task.contract, table, feed.fingerprint)
        copy = print_ is not None and any(one.fingerprint == print_ for one in found)
        known = copy or task.known(table, print_, items)  # as if it came with the next ingest
        number = 0 if numbers is None or known else numbers.setdefault(feed.name, len(numbers))
        found.append(Taken(table, feed, number, Quarantine(table, feed.name), print_, known))
    return found


def refuse_bad(task: Task, taken: Sequence[Taken]) -> None:
    """That no feed has more bad rows than the contract allows, unless the caller accepts it.

    Raises:
        FeedRefusedError: names each such feed with its reasons, counts and first lines.
    """
    if task.accept_rejected:
        return
    limit = task.contract.limits.rejected_share
    lines = []
    for one in taken:
        faults = {r: n for r, n in one.quarantine.counts().items() if r not in _POLICY}
        bad = sum(faults.values())
        if bad > limit * one.read:
            lines.append(f"{one.feed.name}: {bad} of {one.read} rows are rejected")
            lines += [
                f"  {r}: {n}, first line {one.quarantine.first(r)}" for r, n in faults.items()
            ]
    if lines:
        raise FeedRefusedError(
            "\n".join(lines),
            hint=f"more than {limit:.0%} of a feed; nothing was stored. isthmus client check says "
            "what to do about each reason; --accept-rejected takes the other rows",
        )
