"""Judged rows to columns of numbers: what is staged of the accepted ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from isthmus_client.store.columns import EventColumns
from isthmus_client.store.orders import Orders
from isthmus_client.store.people import FORGOTTEN, People
from isthmus_client.store.quarantine import Quarantine
from isthmus_client.store.staging import Staging

SLAB: Final = 4_194_304  # accepted events whose users are numbered together
_NOT_YET: Final = np.empty(0, dtype=np.int32)


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
        self._users: list[pa.Array] = []

    def add(self, judged: pa.Table) -> None:
        """A judged batch: its accepted rows are kept, the others go to the quarantine."""
        accepted = judged
        if judged["reason"].null_count < judged.num_rows:
            good = pc.is_null(judged["reason"])
            self._quarantine.add_judged(judged.filter(pc.invert(good)))
            accepted = judged.filter(good)
        if not accepted.num_rows:
            return
        self._users.append(_whole(accepted, "user_id"))
        self._parts.append(self._columns(accepted))
        if sum(map(len, self._users)) >= SLAB:
            self.flush()

    def _columns(self, rows: pa.Table) -> EventColumns:
        """All columns but `user`, which is filled in when the slab is whole."""
        return EventColumns(
            user=_NOT_YET,
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
        numbers = self._people.numbers(self._users)
        for events, user in zip(self._parts, numbers, strict=True):
            self._staging.add(self._remembered(replace(events, user=user)))
        self._users, self._parts = [], []

    def _remembered(self, events: EventColumns) -> EventColumns:
        """Without those of persons who asked to be forgotten."""
        gone = events.user == FORGOTTEN
        if not gone.any():
            return events
        self._quarantine.add(events.line[gone], "forgotten", "user_id")
        return events.at(np.flatnonzero(~gone))


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
