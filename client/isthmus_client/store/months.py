"""Staged events into the months of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from isthmus_client.store.calendar import month_name
from isthmus_client.store.columns import EventColumns, Sorted
from isthmus_client.store.manifest import Manifest, Segment
from isthmus_client.store.merging import ADDED, ALREADY, DUPLICATE, merge
from isthmus_client.store.quarantine import Quarantine
from isthmus_client.store.segments import Segments
from isthmus_client.store.staging import Staging

NEVER: Final = -(2**62)  # a moment before every event


@dataclass(frozen=True)
class Months:
    """All months after an ingest.

    Attributes:
        segments: those of the next generation.
        events: what sequences are made of, by month.
        added: new rows of each feed. (feeds,)
        already: rows of each feed that were stored. (feeds,)
        expired: stored events that retention removed.
    """

    segments: tuple[Segment, ...]
    events: tuple[Sorted, ...]
    added: npt.NDArray[np.int64]
    already: npt.NDArray[np.int64]
    expired: int


@dataclass
class MonthWriter:
    """Merges month after month, so that one month is in memory.

    Attributes:
        segments: the store's files.
        names: of all feeds by number.
        duplicates: what is done with equal events.
        oldest: what is stored of before this moment goes; NEVER = nothing goes.
        quarantines: by feed number; of the feeds of this ingest.
    """

    segments: Segments
    names: Sequence[str]
    duplicates: Literal["reject", "keep"]
    oldest: int
    quarantines: Mapping[int, Quarantine]

    def write(self, manifest: Manifest, staging: Staging) -> Months:
        """Merge what is staged with what is stored.

        Raises:
            StoreError: a segment is damaged or cannot be written.
        """
        stored = {segment.month: segment for segment in manifest.segments}
        counts = np.zeros((2, len(self.names)), dtype=np.int64)  # added, already
        found: list[tuple[Segment, Sorted]] = []
        for month in sorted({*stored, *staging.months()}):
            kept = self._month(month, stored.get(month), staging.pop(month), counts)
            found += [kept] if kept else []
        segments, events = tuple(s for s, _ in found), tuple(e for _, e in found)
        expired = manifest.events + int(counts[0].sum()) - sum(s.rows for s in segments)
        return Months(segments, events, counts[0], counts[1], expired)

    def _month(
        self,
        month: int,
        segment: Segment | None,
        new: EventColumns,
        counts: npt.NDArray[np.int64],
    ) -> tuple[Segment, Sorted] | None:
        """One month's segment, a new one where something changed; None where nothing is left."""
        if segment and not len(new) and segment.first >= self.oldest:
            return segment, self.segments.read_sorted(segment.file)
        stored = self.segments.read_events(segment.file) if segment else EventColumns.empty()
        merged = merge(stored, new, ranks=ranks(self.names), duplicates=self.duplicates)
        self._count(new, merged.fate, counts)
        events = merged.events
        if events.time.min(initial=self.oldest) < self.oldest:
            events = events.at(np.flatnonzero(events.time >= self.oldest))
        elif segment and not (merged.fate == ADDED).any():
            return segment, events.sorted()
        return (self._written(month, events), events.sorted()) if len(events) else None

    def _count(
        self, new: EventColumns, fate: npt.NDArray[np.int8], counts: npt.NDArray[np.int64]
    ) -> None:
        """Add a month's new rows to the counts of their feeds, duplicates to the quarantine."""
        for row, kind in enumerate((ADDED, ALREADY)):
            counts[row] += np.bincount(new.feed[fate == kind], minlength=len(self.names))
        repeated = np.flatnonzero(fate == DUPLICATE)
        for feed in np.unique(new.feed[repeated]).tolist():
            lines = new.line[repeated][new.feed[repeated] == feed]
            self.quarantines[feed].add(lines, "duplicate_event")

    def _written(self, month: int, events: EventColumns) -> Segment:
        return Segment(
            file=self.segments.write_events(month_name(month), events),
            month=month,
            rows=len(events),
            first=int(events.time.min()),
            last=int(events.time.max()),
        )


def ranks(names: Sequence[str]) -> npt.NDArray[np.int32]:
    """Each feed's place among all by name. (feeds,)"""
    found = np.empty(len(names), dtype=np.int32)
    found[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return found
