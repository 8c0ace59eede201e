"""New events beside stored ones: which are new, which are there already, which came twice.

Both sides are of one month. They are sorted by user and time, so that events which are equal in
everything lie among neighbours of equal user and time; only those few are looked at closely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

from isthmus_client.store.columns import EventColumns, joined

Positions = npt.NDArray[np.int64] | npt.NDArray[np.int32]

ADDED: Final = 0
ALREADY: Final = 1
DUPLICATE: Final = 2

_SPARSE: Final = 8  # highest number a counting sort takes, in multiples of what it sorts
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, odd


@dataclass(frozen=True)
class Merged:
    """A month after a merge.

    Attributes:
        events: sorted by user, time, feed's rank and line.
        fate: of each new event: ADDED, ALREADY or DUPLICATE, int8. (new events,)
    """

    events: EventColumns
    fate: npt.NDArray[np.int8]


def merge(
    stored: EventColumns,
    new: EventColumns,
    *,
    ranks: npt.NDArray[np.int32],
    duplicates: Literal["reject", "keep"],
) -> Merged:
    """Put new events of a month among those that are stored.

    With "reject" an event is a duplicate where its own feed has an equal one in an earlier line,
    and there already where the store or an earlier feed has one. With "keep" only what the same
    feed brought before counts: if it brought an event twice, its first two equal ones are there
    already, and the third is new.

    Args:
        stored: those of the month, each once where duplicates are rejected.
        new: in the order of feeds and lines.
        ranks: place of each feed among all feeds by name; orders events of one moment. (feeds,)
        duplicates: what the contract says.
    """
    rows = joined([stored, new]) if len(stored) else new
    order = by_user_and_time(rows.user, rows.time)
    tied = _tied(rows.user[order], rows.time[order])
    places = order[tied]
    fate = np.zeros(len(rows), dtype=np.int8)
    twins = _twins(rows, places)
    if twins.size:
        _judge(rows, twins, len(stored), fate, duplicates=duplicates)
    origin = (rows.line[places], ranks[rows.feed[places]])
    order[tied] = places[np.lexsort((*origin, rows.time[places], rows.user[places]))]
    if fate.any():
        order = order[fate[order] == ADDED]
    return Merged(rows.at(order), fate[len(stored) :])


def by_user_and_time(
    user: npt.NDArray[np.int32], time: npt.NDArray[np.int64]
) -> npt.NDArray[np.int32]:
    """Places in order of users and, within a user, of time; equals as they lie. (events,)"""
    if (time[1:] >= time[:-1]).all():  # as logs mostly are
        return by_number(user)
    order = np.argsort(time, kind="stable")
    return np.asarray(order[by_number(user[order])], dtype=np.int32)


def by_number(numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Places in order of numbers that are not below 0; equals as they lie. (events,)

    A counting sort: one pass, no comparison (Cormen, Leiserson, Rivest and Stein, Introduction to
    Algorithms, section 8.2). SciPy's conversion to compressed rows is one.
    """
    most = int(numbers.max(initial=0))
    if most > _SPARSE * numbers.size:  # its counters would cost more than comparing
        return np.argsort(numbers, kind="stable").astype(np.int32)
    places = np.arange(numbers.size, dtype=np.int32)
    marks = np.ones(numbers.size, dtype=np.bool_)
    matrix = sparse.coo_array((marks, (numbers, places)), shape=(most + 1, numbers.size))
    return np.asarray(matrix.tocsr().indices, dtype=np.int32)


def _tied(*keys: npt.NDArray[Any]) -> Positions:
    """Positions in sorted rows whose neighbour is equal in all keys."""
    equal = np.logical_and.reduce([key[1:] == key[:-1] for key in keys])
    return np.flatnonzero(np.append(equal, False) | np.append(False, equal))


def _twins(rows: EventColumns, places: Positions) -> Positions:
    """Those of the places whose event has an equal one, and few others: by a hash."""
    state = np.zeros(places.size, dtype=np.uint64)
    for column in rows.content():
        state = (state ^ column[places].astype(np.int64).view(np.uint64)) * _MIX
        state ^= state >> np.uint64(29)
    order = np.argsort(state)
    return places[order[_tied(state[order])]]


def _judge(
    rows: EventColumns,
    places: Positions,
    stored: int,
    fate: npt.NDArray[np.int8],
    *,
    duplicates: Literal["reject", "keep"],
) -> None:
    """Write the fate of new events that have equals into `fate`; the first `stored` are stored."""
    by_feed = [rows.feed] if duplicates == "keep" else []
    columns = [column[places] for column in (*by_feed, *rows.content())]
    is_new = places >= stored
    order = np.lexsort((places, is_new, *columns))  # stored first, then as they came
    places, is_new = places[order], is_new[order]
    equal = np.ones(places.size - 1, dtype=bool)
    for column in columns:
        equal &= column[order[1:]] == column[order[:-1]]
    start = np.append(True, ~equal)  # of a group of equal events
    found = _kept(start, is_new) if duplicates == "keep" else _single(rows, places, start, is_new)
    fate[places] = np.where(is_new, found, ADDED)


def _single(
    rows: EventColumns,
    places: Positions,
    start: npt.NDArray[np.bool_],
    is_new: npt.NDArray[np.bool_],
) -> npt.NDArray[np.int8]:
    """One of each group stays. (places,)"""
    feed = rows.feed[places]
    same_feed = np.append(False, (feed[1:] == feed[:-1]) & is_new[:-1])
    return np.where(start, ADDED, np.where(same_feed, DUPLICATE, ALREADY)).astype(np.int8)


def _kept(start: npt.NDArray[np.bool_], is_new: npt.NDArray[np.bool_]) -> npt.NDArray[np.int8]:
    """As many of each group as its feed brings now or brought before: the more. (places,)"""
    group = np.cumsum(start) - 1
    before = np.bincount(group, weights=~is_new).astype(np.int64)[group]
    place = np.arange(start.size) - np.flatnonzero(start)[group]
    return np.where(place - before < before, ALREADY, ADDED).astype(np.int8)
