"""Make a platform smaller: rare items, short histories, a random subset of users."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from isthmus.errors import DataInvalidError
from isthmus_client.catalogue import Catalogue
from isthmus_client.histories import Histories
from isthmus_client.relations import PlatformTables

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Limits:
    """What to keep; 0 = no limit.

    Attributes:
        min_item_users: users who touched an item, before any user is left out here.
        max_items: the items that most users touched, ties by catalogue order.
        min_user_events: a user's events on the kept items.
        max_users: drawn at random without regard to activity.
    """

    min_item_users: int = 0
    max_items: int = 0
    min_user_events: int = 2
    max_users: int = 0


def taken_at(tables: PlatformTables, moment: int, *, name: str) -> PlatformTables:
    """The platform as it stood at a moment (Unix seconds): no event from then on.

    Users with a single event by then are left out, as a reading on that day would have done. A
    platform without times stays as it is. The catalogue stays whole; limits come after.

    Raises:
        DataInvalidError: nobody is left.
    """
    histories = tables.histories
    if not histories.timed:
        return tables
    earlier = histories.times < moment
    users = np.bincount(_owners(histories)[earlier], minlength=histories.users) > 1
    if not users.any():
        raise DataInvalidError(
            f"platform {name}: nobody has two events before the end under [split]",
            hint="set a later end, or leave the platform out",
        )
    rows = np.arange(len(tables.catalogue))
    return replace(tables, histories=_histories(histories, earlier, users, rows))


def restrict(tables: PlatformTables, limits: Limits, *, name: str, seed: int) -> PlatformTables:
    """The platform within its limits: items first, then users, then the draw.

    Args:
        tables: the whole platform.
        limits: what to keep.
        name: of the platform; each platform draws its own users.
        seed: of the draw.

    Raises:
        DataInvalidError: nothing is left.
    """
    items = _kept_items(tables, limits)
    on_kept = items[tables.histories.items]
    users = _kept_users(tables.histories, on_kept, limits, _generator(name, seed))
    if not users.any():
        raise DataInvalidError(
            f"platform {name}: no user has {limits.min_user_events} events on the "
            f"{int(items.sum())} items that are left",
            hint="lower min_item_users or min_user_events, or raise max_items",
        )
    catalogue = _catalogue(tables.catalogue, items)
    histories = _histories(tables.histories, on_kept, users, np.cumsum(items) - 1)
    return replace(tables, catalogue=catalogue, histories=histories)


def _generator(name: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _owners(histories: Histories) -> npt.NDArray[np.int64]:
    """The user row of each event. (events,)"""
    return np.repeat(np.arange(histories.users, dtype=np.int64), np.diff(histories.offsets))


def _kept_items(tables: PlatformTables, limits: Limits) -> Mask:
    """Which items stay. (items,)"""
    count = len(tables.catalogue)
    if not limits.min_item_users and not limits.max_items:
        return np.ones(count, dtype=np.bool_)
    pairs = np.unique(_owners(tables.histories) * count + tables.histories.items)
    users = np.bincount(pairs % count, minlength=count)
    kept = users >= limits.min_item_users
    if limits.max_items and kept.sum() > limits.max_items:
        most = np.argsort(np.where(kept, -users, 1), kind="stable")[: limits.max_items]
        kept = np.zeros(count, dtype=np.bool_)
        kept[most] = True
    return kept


def _kept_users(
    histories: Histories, on_kept: Mask, limits: Limits, generator: np.random.Generator
) -> Mask:
    """Which users stay. (users,)"""
    counts = np.bincount(_owners(histories)[on_kept], minlength=histories.users)
    kept = counts >= limits.min_user_events
    if limits.max_users and kept.sum() > limits.max_users:
        drawn = generator.choice(np.flatnonzero(kept), limits.max_users, replace=False)
        kept = np.zeros(histories.users, dtype=np.bool_)
        kept[drawn] = True
    return kept


def _catalogue(catalogue: Catalogue, items: Mask) -> Catalogue:
    rows = np.flatnonzero(items).tolist()
    return Catalogue(
        item_ids=tuple(catalogue.item_ids[row] for row in rows),
        texts=tuple(catalogue.texts[row] for row in rows),
        categories=tuple(catalogue.categories[row] for row in rows),
        prices=catalogue.prices[items],
    )


def _histories(
    histories: Histories, on_kept: Mask, users: Mask, new_rows: npt.NDArray[np.int64]
) -> Histories:
    owners = _owners(histories)
    events = on_kept & users[owners]
    counts = np.bincount(owners[events], minlength=histories.users)[users]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    times = histories.times[events]
    if not histories.timed:  # count anew: events between were left out
        times = np.arange(times.size, dtype=np.int64) - np.repeat(offsets[:-1], counts)
    return Histories(
        user_ids=tuple(histories.user_ids[row] for row in np.flatnonzero(users).tolist()),
        offsets=offsets,
        items=new_rows[histories.items[events]].astype(np.int32),
        behaviours=histories.behaviours[events],
        times=times,
        timed=histories.timed,
    )
