"""Signals of an item alone: how popular it is, how that changes, how old it is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isthmus_client.histories import Histories
from isthmus_client.sequences import Ints

Columns = dict[str, npt.NDArray[np.float32]]

ITEM_SIGNALS = (
    "popularity",
    "popularity_90d",
    "popularity_30d",
    "popularity_7d",
    "adoption_30d",
    "adoption_7d",
    "last_seen",
    "first_seen",
    "repeats",
)
_DAY = 86_400.0  # seconds
_NEVER = 365.0  # days since the last event of an item that nobody met


def item_signals(histories: Histories, counted: Ints, items: int) -> Columns:
    """Item statistics over everything that was counted before a cut.

    Popularity is the number of users who met an item; with a half-life, each counts by the age of
    the user's last event on it; adoption counts the first event instead. All in logarithms.
    Platforms without times have zeros where time is asked for.

    Args:
        counted: one past the last event of each user that counts. (users,)

    Returns:
        A value for each item by name, in the order of ITEM_SIGNALS. each (items,)
    """
    user = np.repeat(np.arange(histories.users), np.diff(histories.offsets))
    inside = np.arange(histories.events) < counted[user]
    user, item, time = user[inside], histories.items[inside], histories.times[inside]
    events = np.bincount(item, minlength=items)
    pairs, first, last = _pairs(user, item, items)
    users = np.bincount(pairs, minlength=items)
    columns = {name: np.zeros(items) for name in ITEM_SIGNALS}
    columns["popularity"] = np.log1p(users)
    columns["repeats"] = np.log1p(events / np.maximum(users, 1))
    if histories.timed and time.size:
        age = (time.max() - time) / _DAY
        columns |= _trends(pairs, age[first], age[last], items)
    return {name: column.astype(np.float32) for name, column in columns.items()}


def _pairs(
    user: Ints, item: npt.NDArray[np.int32], items: int
) -> tuple[npt.NDArray[np.int32], Ints, Ints]:
    """The item, first event and last event of each pair of user and item; each (pairs,)."""
    key = user.astype(np.int64) * items + item
    order = np.argsort(key, kind="stable")  # events of a user are in time order already
    change = np.flatnonzero(np.diff(key[order])) + 1
    begins = np.concatenate([[0], change]) if order.size else np.zeros(0, dtype=np.int64)
    ends = np.append(change, order.size)[: begins.size]
    first, last = order[begins], order[ends - 1]
    return item[first], first, last


def _trends(
    item: npt.NDArray[np.int32],
    first: npt.NDArray[np.float64],
    last: npt.NDArray[np.float64],
    items: int,
) -> dict[str, npt.NDArray[np.float64]]:
    """Decayed counts and ages in days from each pair's first and last age in days."""

    def decayed(age: npt.NDArray[np.float64], half_life: float) -> npt.NDArray[np.float64]:
        return np.log1p(np.bincount(item, weights=0.5 ** (age / half_life), minlength=items))

    newest, oldest = np.full(items, _NEVER), np.zeros(items)
    np.minimum.at(newest, item, last)
    np.maximum.at(oldest, item, first)
    return {
        "popularity_90d": decayed(last, 90.0),
        "popularity_30d": decayed(last, 30.0),
        "popularity_7d": decayed(last, 7.0),
        "adoption_30d": decayed(first, 30.0),
        "adoption_7d": decayed(first, 7.0),
        "last_seen": np.log1p(newest),
        "first_seen": np.log1p(oldest),
    }
