"""Events sorted by user and time: what training reads, built once for each generation.

Months follow one another and each is sorted by user and time already, so that a stable counting
sort by user is all that is left: one pass, no comparison. (Cormen, Leiserson, Rivest and Stein,
Introduction to Algorithms, section 8.2; here SciPy's conversion to compressed rows.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

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
    bytes_of = np.frombuffer(pseudonyms.buffers()[1], dtype=np.uint8)
    bytes_of = bytes_of.reshape(-1, PSEUDONYM)[pseudonyms.offset :][: len(pseudonyms)]
    kept = np.flatnonzero(counts > 1)
    kept = kept[_by_bytes(bytes_of[kept])]
    rows = np.full(counts.size, -1, dtype=np.int32)
    rows[kept] = np.arange(kept.size, dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum(counts[kept])]).astype(np.int64)
    order = _stable(months, rows, kept.size)
    times = _gathered(months, "time", order)
    arrays: dict[str, npt.NDArray[Any]] = {
        "pseudonyms": bytes_of[kept],
        "offsets": offsets,
        "items": item_rows[_gathered(months, "item", order)],
        "behaviours": _gathered(months, "behaviour", order),
        "times": times if timed else _positions(offsets),
    }
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


def _counts(months: Sequence[Sorted], users: int) -> npt.NDArray[np.int64]:
    """Events of each user. (users,)"""
    counts = np.zeros(users, dtype=np.int64)
    for month in months:
        counts += np.bincount(month.user, minlength=users)
    return counts


def _by_bytes(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Order of equally long byte strings. (values,)"""
    words = np.ascontiguousarray(values).view(">u8").astype(np.uint64)  # (values, 4)
    return np.lexsort(words.T[::-1]) if len(values) else np.empty(0, dtype=np.int64)


def _stable(
    months: Sequence[Sorted], rows: npt.NDArray[np.int32], users: int
) -> npt.NDArray[np.int32]:
    """Places of all events of kept users, by user and then as they lie. (kept events,)"""
    if not months:
        return np.empty(0, dtype=np.int32)
    row = np.concatenate([rows[month.user] for month in months])
    place = np.flatnonzero(row >= 0)
    marks = np.ones(place.size, dtype=np.bool_)
    matrix = sparse.coo_array((marks, (row[place], place)), shape=(users, row.size))
    return np.asarray(matrix.tocsr().indices)


def _gathered(
    months: Sequence[Sorted], name: str, order: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    columns = [getattr(month, name) for month in months]
    return np.concatenate(columns)[order] if columns else np.empty(0, dtype=np.int64)


def _positions(offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A counter that starts at 0 with each user. (events,)"""
    return np.arange(offsets[-1], dtype=np.int64) - np.repeat(offsets[:-1], np.diff(offsets))
