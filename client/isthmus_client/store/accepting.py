"""Judged rows to columns of numbers: what is staged of the accepted ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from isthmus_client.store.columns import EventColumns, joined
from isthmus_client.store.orders import Orders
from isthmus_client.store.people import FORGOTTEN, People
from isthmus_client.store.quarantine import Quarantine
from isthmus_client.store.staging import Staging

SLAB = 2_097_152  # accepted events that are numbered together: users' ids are hashed once in it


class Intake:
    """The accepted events of one feed, numbered and staged."""

    def __init__(
        self, number: int, people: People, orders: Orders, staging: Staging, quarantine: Quarantine
    ) -> None:
        """Args: number: of the feed."""
        self._number = number
        self._people = people
        self._orders = orders
        self._staging = staging
        self._quarantine = quarantine
        self._parts: list[EventColumns] = []
        self._users: list[pa.DictionaryArray] = []

    def add(self, judged: pa.Table) -> None:
        """A judged batch: its accepted rows are kept, the others go to the quarantine."""
        accepted = judged
        if judged["reason"].null_count < judged.num_rows:
            good = pc.is_null(judged["reason"])
            self._quarantine.add_judged(judged.filter(pc.invert(good)))
            accepted = judged.filter(good)
        if not accepted.num_rows:
            return
        self._users.append(_whole(accepted, "user_id").dictionary_encode())
        self._parts.append(self._columns(accepted))
        if sum(map(len, self._parts)) >= SLAB:
            self.flush()

    def _columns(self, rows: pa.Table) -> EventColumns:
        """All columns; `user` is filled in when the slab is whole."""
        return EventColumns(
            user=np.empty(rows.num_rows, dtype=np.int32),
            item=_numbers(rows, "item"),
            time=_numbers(rows, "time"),
            behaviour=_numbers(rows, "behaviour"),
            feed=np.full(rows.num_rows, self._number, dtype=np.int32),
            line=_numbers(rows, "line"),
            surface=_said(rows),
            price=_floats(rows, "price"),
            quantity=_floats(rows, "quantity"),
            rating=_floats(rows, "rating"),
            order=self._orders.numbers(_whole(rows, "order_id")),
        )

    def flush(self) -> None:
        """Number the users of what has come so far, and stage it.

        Raises:
            StoreError: staging cannot be written.
        """
        if not self._parts:
            return
        coded = pa.chunked_array(self._users).unify_dictionaries()
        numbers = self._people.numbers(coded.chunk(0).dictionary)
        codes = np.concatenate([chunk.indices.to_numpy() for chunk in coded.chunks])
        events = joined(self._parts)
        events.user[:] = numbers[codes]
        self._users, self._parts = [], []
        if (numbers == FORGOTTEN).any():
            gone = events.user == FORGOTTEN
            self._quarantine.add(events.line[gone], "forgotten", "user_id")
            events = events.at(np.flatnonzero(~gone))
        self._staging.add(events)


def _whole(rows: pa.Table, name: str) -> pa.Array:
    return rows[name].combine_chunks()


def _numbers(rows: pa.Table, name: str) -> npt.NDArray[Any]:
    """A column without nulls."""
    return np.asarray(rows[name].to_numpy())


def _floats(rows: pa.Table, name: str) -> npt.NDArray[np.float32] | None:
    """A column with one NaN for null and one zero; None where nothing is said."""
    column = rows[name]
    if column.null_count == rows.num_rows:
        return None
    return np.asarray(column.fill_null(np.nan).to_numpy() + np.float32(0), dtype=np.float32)


def _said(rows: pa.Table) -> npt.NDArray[np.int8] | None:
    """The surfaces; None where none is said."""
    surfaces = _numbers(rows, "surface")
    return surfaces if surfaces.any() else None
