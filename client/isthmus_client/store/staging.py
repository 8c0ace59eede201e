"""Accepted events on their way into the store, by month, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from isthmus_client.store.calendar import months
from isthmus_client.store.columns import EventColumns, joined
from isthmus_client.store.segments import Segments

MAX_EVENTS = 16_777_216  # held in memory: some 29 to 50 bytes each


@dataclass
class Staging:
    """New events by month. What is too much for memory waits sealed on the disk.

    A staged file is an orphan from the start: no manifest ever names it, and the next writer
    removes what a killed one left.

    Attributes:
        segments: where the overflow goes.
        most: events to hold in memory.
    """

    segments: Segments
    most: int = MAX_EVENTS
    _held: dict[int, list[EventColumns]] = field(default_factory=dict)
    _files: dict[int, list[str]] = field(default_factory=dict)
    _count: int = 0

    def add(self, events: EventColumns) -> None:
        """Some events, in the order of feeds and lines.

        Raises:
            StoreError: the overflow cannot be written.
        """
        if not len(events):
            return
        month = months(events.time)
        first = int(month.min())
        offset = (month - first).astype(np.uint16)
        if (np.diff(month) < 0).any():
            order = np.argsort(offset, kind="stable")  # a radix sort
            events, offset = events.at(order), offset[order]
        bounds = np.flatnonzero(np.diff(offset)) + 1
        for start, stop in zip([0, *bounds], [*bounds, len(events)], strict=True):
            self._held.setdefault(first + int(offset[start]), []).append(
                events.at(slice(start, stop))
            )
        self._count += len(events)
        if self._count > self.most:
            self._overflow()

    def _overflow(self) -> None:
        for month, parts in self._held.items():
            name = self.segments.write_events("staged", joined(parts))
            self._files.setdefault(month, []).append(name)
        self._held.clear()
        self._count = 0

    def months(self) -> list[int]:
        """Those that there are new events of, in order."""
        return sorted(self._held.keys() | self._files.keys())

    def pop(self, month: int) -> EventColumns:
        """A month's new events, which staging then no longer holds."""
        stored = [self.segments.read_events(name) for name in self._files.pop(month, [])]
        return joined([*stored, *self._held.pop(month, [])])
