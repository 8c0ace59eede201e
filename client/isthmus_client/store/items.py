"""The store's items: numbers by id, and what was last said of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from isthmus_client.catalogue import Catalogue

SCHEMA: Final = pa.schema(
    [
        ("item_id", pa.string()),
        ("text", pa.string()),
        ("category", pa.string()),
        ("brand", pa.string()),
        ("price", pa.float32()),
        ("image", pa.string()),
    ]
)


@dataclass(frozen=True)
class Change:
    """What a feed's items did to the stored ones.

    Attributes:
        items: after it, by number; numbers are never given anew.
        added: items that were not there.
        updated: items of which something changed.
        already: items that were there as they are.
    """

    items: pa.Table
    added: int
    updated: int
    already: int


def no_items() -> pa.Table:
    """An empty table of items."""
    return SCHEMA.empty_table()


def change(stored: pa.Table, new: pa.Table) -> Change:
    """Put a feed's items in: the latest word on an item counts, and none goes.

    Args:
        stored: by number.
        new: with the columns of SCHEMA, each item once.
    """
    new = new.select(SCHEMA.names).cast(SCHEMA).combine_chunks()
    place = pc.index_in(new["item_id"], value_set=stored["item_id"].combine_chunks())
    place = place.combine_chunks().fill_null(-1).to_numpy()
    known = np.flatnonzero(place >= 0)
    old = stored.take(pa.array(place[known]))
    fresh = new.take(pa.array(known))
    changed = known[_differ(old, fresh)]
    both = pa.concat_tables([stored, new])
    source = np.arange(stored.num_rows)
    source[place[changed]] = stored.num_rows + changed
    added = np.flatnonzero(place < 0)
    source = np.concatenate([source, stored.num_rows + added])
    items = both.take(pa.array(source)).combine_chunks()
    return Change(items, added.size, changed.size, known.size - changed.size)


def _differ(old: pa.Table, new: pa.Table) -> npt.NDArray[np.bool_]:
    """Rows that differ in some column; two unknown values are equal. (rows,)"""
    found = np.zeros(old.num_rows, dtype=np.bool_)
    for name in SCHEMA.names:
        left, right = old[name], new[name]
        unlike = pc.fill_null(pc.not_equal(left, right), False)
        one_sided = pc.xor(left.is_valid(), right.is_valid())
        found |= pc.or_(unlike, one_sided).to_numpy()
    return found


def item_rows(items: pa.Table) -> npt.NDArray[np.int32]:
    """Each item's row in the catalogue, which is sorted by id. (items,)"""
    rows = np.empty(items.num_rows, dtype=np.int32)
    rows[_by_id(items)] = np.arange(items.num_rows, dtype=np.int32)
    return rows


def catalogue(items: pa.Table) -> Catalogue:
    """All items by id."""
    ordered = items.take(pa.array(_by_id(items)))
    return Catalogue(
        item_ids=tuple(ordered["item_id"].to_pylist()),
        texts=tuple(ordered["text"].to_pylist()),
        categories=tuple(ordered["category"].fill_null("").to_pylist()),
        prices=ordered["price"].fill_null(float("nan")).to_numpy().astype(np.float32),
    )


def _by_id(items: pa.Table) -> npt.NDArray[np.uint64]:
    return np.asarray(pc.sort_indices(items["item_id"]).to_numpy())
