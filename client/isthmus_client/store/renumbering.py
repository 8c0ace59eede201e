"""Users out of a store, and numbers without a gap for those who stay.

The users with the largest numbers move into the places that become free. So only those months are
written anew that somebody who goes, or one of the few who move, has events in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from isthmus_client.store.calendar import month_name
from isthmus_client.store.columns import EventColumns, Sorted
from isthmus_client.store.manifest import Segment
from isthmus_client.store.segments import Segments

Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Renumbering:
    """New numbers of a store's users.

    Attributes:
        order: old numbers of those who stay, by new number. (users who stay,)
        numbers: new numbers by old one, -1 = goes. (users,)
    """

    order: npt.NDArray[np.int64]
    numbers: Numbers

    @classmethod
    def without(cls, users: int, gone: Numbers) -> Renumbering:
        """Some go; the last of the others take their places.

        Args:
            users: so many there are.
            gone: numbers of those who go, each once.
        """
        stay = users - gone.size
        order = np.arange(stay)
        order[gone[gone < stay]] = np.setdiff1d(np.arange(stay, users), gone)
        numbers = np.full(users, -1, dtype=np.int32)
        numbers[order] = np.arange(stay, dtype=np.int32)
        return cls(order, numbers)

    def month(self, segments: Segments, segment: Segment) -> Iterator[tuple[Segment, Sorted]]:
        """A month as it is or written anew; nothing where nothing is left of it.

        Raises:
            StoreError: its file is damaged, or one cannot be written.
        """
        users = users_of(segments, segment)
        if np.array_equal(self.numbers[users], users):
            yield segment, segments.read_sorted(segment.file)
            return
        events = self._events(segments.read_events(segment.file))
        if len(events):
            name = segments.write_events(month_name(segment.month), events)
            first, last = int(events.time.min()), int(events.time.max())
            update = {"file": name, "rows": len(events), "first": first, "last": last}
            yield segment.model_copy(update=update), events.sorted()

    def _events(self, events: EventColumns) -> EventColumns:
        """Events of those who stay under their new numbers, by user and then as they lay."""
        user = self.numbers[events.user]
        kept = np.flatnonzero(user >= 0)
        order = kept[np.argsort(user[kept], kind="stable")]
        return replace(events.at(order), user=user[order])


@dataclass(frozen=True)
class Kept:
    """Months and users of whom each has an event.

    Attributes:
        people: pseudonyms by number. (users,)
        segments: the months' files.
        events: what sequences are made of, by month.
    """

    people: pa.Array
    segments: tuple[Segment, ...]
    events: tuple[Sorted, ...]


def without_idle(
    segments: Segments, people: pa.Array, months: Sequence[Segment], events: Sequence[Sorted]
) -> Kept:
    """Leave out users who have no event any more, since retention took their last.

    Args:
        segments: the store's files.
        people: pseudonyms by number. (users,)
        months: written already.
        events: of the same months.

    Raises:
        StoreError: a file is damaged or cannot be written.

    Guarantees:
        Whoever has no event in these months has no pseudonym among the users.
    """
    idle = np.ones(len(people), dtype=np.bool_)
    for month in events:
        idle[month.user] = False
    gone = np.flatnonzero(idle).astype(np.int32)
    if not gone.size:
        return Kept(people, tuple(months), tuple(events))
    new = Renumbering.without(len(people), gone)
    kept = [month for segment in months for month in new.month(segments, segment)]
    people = people.take(pa.array(new.order))
    return Kept(people, tuple(s for s, _ in kept), tuple(e for _, e in kept))


def users_of(segments: Segments, segment: Segment) -> Numbers:
    """Whose the events of a month are. (events,)"""
    return np.asarray(segments.read_table(segment.file, ["user"])["user"].to_numpy())
