"""Accepted events as plain columns of numbers: what is staged, merged and stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]

ABSENT: Final[dict[str, Any]] = {
    "surface": np.int8(0),
    "price": np.float32(np.nan),
    "quantity": np.float32(np.nan),
    "rating": np.float32(np.nan),
    "order": np.int64(0),
}
"""What a row holds in a column that its feed does not have."""

OPTIONAL: Final = tuple(ABSENT)


@dataclass(frozen=True)
class Sorted:
    """Some events, sorted by user and time: what sequences are made of. As in `EventColumns`."""

    user: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    time: npt.NDArray[np.int64]
    behaviour: npt.NDArray[np.int8]


@dataclass(frozen=True)
class EventColumns:
    """Some events. An optional column that no event has a value in is None.

    Attributes:
        user: number of the user's pseudonym, int32. (events,)
        item: number of the item, int32. (events,)
        time: Unix seconds, int64; 0 where events have no times. (events,)
        behaviour: code of `isthmus.behaviours`, int8. (events,)
        feed: number of the feed, int32. (events,)
        line: in the feed, int64. (events,)
        surface: code, 0 = not said, int8. (events,)
        price: float32, NaN = not said. (events,)
        quantity: float32, NaN = not said. (events,)
        rating: float32, NaN = not said. (events,)
        order: keyed hash of the order's id, 0 = not said, int64. (events,)
    """

    user: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    time: npt.NDArray[np.int64]
    behaviour: npt.NDArray[np.int8]
    feed: npt.NDArray[np.int32]
    line: npt.NDArray[np.int64]
    surface: npt.NDArray[np.int8] | None = None
    price: npt.NDArray[np.float32] | None = None
    quantity: npt.NDArray[np.float32] | None = None
    rating: npt.NDArray[np.float32] | None = None
    order: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return int(self.user.size)

    @classmethod
    def empty(cls) -> Self:
        """No events."""
        small, large = np.empty(0, np.int32), np.empty(0, np.int64)
        return cls(small, small, large, np.empty(0, np.int8), small, large)

    def present(self) -> dict[str, Numbers]:
        """The columns that there are, by name."""
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: column for name, column in named if column is not None}

    def content(self) -> list[Numbers]:
        """What makes two events the same event, as whole numbers: all but where they came from."""
        return [
            column.view(np.int32) if column.dtype == np.float32 else column
            for name, column in self.present().items()
            if name not in {"feed", "line"}
        ]

    def at(self, places: Numbers | slice) -> Self:
        """The events at these places; views where `places` is a slice."""
        return type(self)(**{name: column[places] for name, column in self.present().items()})

    def sorted(self) -> Sorted:
        """Without what sequences do not need."""
        return Sorted(self.user, self.item, self.time, self.behaviour)


def joined(parts: Sequence[EventColumns]) -> EventColumns:
    """All events of the parts, in order; a single part as it is."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return EventColumns.empty()
    names = dict.fromkeys(name for part in parts for name in part.present())
    return EventColumns(
        **{name: np.concatenate([_filled(p, name) for p in parts]) for name in names}
    )


def _filled(part: EventColumns, name: str) -> Numbers:
    column = getattr(part, name)
    return np.full(len(part), ABSENT[name]) if column is None else column
