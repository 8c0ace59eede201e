"""Events sorted by user and time: what training reads, built once for each generation.

Months follow one another and each is sorted by user and time already. So nothing is left to sort:
the place of every event follows from how many its user had before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from isthmus_client.histories import Histories
from isthmus_client.store.columns import Sorted
from isthmus_client.store.mapped import Arrays, packed
from isthmus_client.store.segments import PSEUDONYM


@dataclass(frozen=True)
class Built:
    """Sequences, ready to be stored.

    Attributes:
        data: a safetensors file: pseudonyms, offsets, items, behaviours, times.
        users: with at least one event.
        single: of those, with one event; they are left out.
    """

    data: bytes
    users: int
    single: int


def build(
    months: Sequence[Sorted],
    pseudonyms: pa.Array,
    item_rows: npt.NDArray[np.int32],
    *,
    timed: bool,
) -> Built:
    """All events as histories: users by pseudonym, events by time and then as they lay.

    It gives what `isthmus_client.relations.collect` gives for the same events.

    Args:
        months: of ascending time, each sorted by user and time.
        pseudonyms: by user number. (users,)
        item_rows: row in the catalogue by item number. (items,)
        timed: whether times are real; if not, a counter takes their place.
    """
    counts = _counts(months, len(pseudonyms))
    ids = np.frombuffer(pseudonyms.buffers()[1], dtype=np.uint8).reshape(-1, PSEUDONYM)
    ids = ids[pseudonyms.offset :][: len(pseudonyms)]
    kept = np.flatnonzero(counts > 1)
    kept = kept[_by_bytes(ids[kept])]
    rows = np.full(counts.size, -1, dtype=np.int32)
    rows[kept] = np.arange(kept.size, dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum(counts[kept])]).astype(np.int64)
    arrays = _filled(months, rows, offsets, item_rows)
    if not timed:
        arrays["times"] = _positions(offsets)
    arrays |= {"pseudonyms": ids[kept], "offsets": offsets}
    return Built(packed(arrays), int((counts > 0).sum()), int((counts == 1).sum()))


def histories(arrays: Arrays, *, timed: bool) -> Histories:
    """Stored sequences as what training reads, without a copy of the events."""
    ids = arrays["pseudonyms"].tobytes().hex()
    step = 2 * PSEUDONYM
    return Histories(
        user_ids=tuple(ids[at : at + step] for at in range(0, len(ids), step)),
        offsets=arrays["offsets"],
        items=arrays["items"],
        behaviours=arrays["behaviours"],
        times=arrays["times"],
        timed=timed,
    )


def _by_bytes(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Order of pseudonyms as byte strings. (values,)"""
    words = np.ascontiguousarray(values).view(">u8").astype(np.uint64)  # (values, 4)
    order = np.argsort(words[:, 0])
    first = words[order, 0]
    if (first[1:] == first[:-1]).any():  # as good as never: they are hashes
        order = np.lexsort(words.T[::-1])
    return order


def _filled(
    months: Sequence[Sorted],
    rows: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.int64],
    item_rows: npt.NDArray[np.int32],
) -> dict[str, npt.NDArray[Any]]:
    """The events' columns, user after user, each column written once.

    Args:
        rows: of each user in the histories, -1 = left out. (users,)
        offsets: where each row's events lie. (rows + 1,)
    """
    events = int(offsets[-1])
    items = np.empty(events, dtype=np.int32)
    behaviours = np.empty(events, dtype=np.int8)
    times = np.empty(events, dtype=np.int64)
    free = offsets[:-1].copy()  # each row's next free place
    for month in months:
        first, counts = _runs(month.user)
        row = rows[month.user[first]]
        first, counts, row = first[row >= 0], counts[row >= 0], row[row >= 0]
        source = _ranges(first, counts, month.user.size)
        place = np.arange(counts.sum()) + np.repeat(free[row] - _starts(counts), counts)
        items[place] = item_rows[month.item[source]]
        behaviours[place] = month.behaviour[source]
        times[place] = month.time[source]
        free[row] += counts
    return {"items": items, "behaviours": behaviours, "times": times}


def _counts(months: Sequence[Sorted], users: int) -> npt.NDArray[np.int64]:
    """Events of each user. (users,)"""
    found = np.zeros(users, dtype=np.int64)
    for month in months:
        first, counts = _runs(month.user)
        found[month.user[first]] += counts
    return found


def _runs(
    user: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where each user's events start in a sorted column, and how many they are. (users,) both"""
    first = np.flatnonzero(np.append(True, user[1:] != user[:-1]))
    return first, np.diff(np.append(first, user.size))


def _ranges(
    first: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], whole: int
) -> npt.NDArray[np.int64] | slice:
    """The places `first` to `first + counts` of every run; a slice where that is everything."""
    total = int(counts.sum())
    if total == whole:
        return slice(None)
    return np.asarray(np.arange(total) + np.repeat(first - _starts(counts), counts))


def _starts(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where runs start that follow one another. (runs,)"""
    return np.asarray(np.cumsum(counts) - counts)


def _positions(offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A counter that starts at 0 with each user. (events,)"""
    return np.arange(offsets[-1], dtype=np.int64) - np.repeat(offsets[:-1], np.diff(offsets))
