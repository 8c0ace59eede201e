"""Histories as padded batches for the encoder; columnar throughout, no loop over events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from isthmus.behaviours import PADDING, behaviour_code
from isthmus.encoder import GAP_BUCKETS
from isthmus_client.histories import Histories

Ints = npt.NDArray[np.int64]
Targets = Literal["horizon", "next"]
"""What a position predicts: one of the coming first encounters, or plainly the next event."""


@dataclass(frozen=True)
class Batch:
    """Left-aligned histories of some users.

    Attributes:
        items: catalogue rows, -1 where padded. (users, seq)
        behaviours: behaviour codes, 0 where padded. (users, seq)
        gaps: time-gap buckets. (users, seq)
        targets: the item to predict at each position, -1 where there is none. (users, seq)
    """

    items: Ints
    behaviours: Ints
    gaps: Ints
    targets: Ints

    @property
    def lengths(self) -> Ints:
        """Events of each history. (users,)."""
        return np.asarray((self.items >= 0).sum(axis=1), dtype=np.int64)

    def trimmed(self) -> Batch:
        """Without the last columns in which nobody has a target.

        Attention looks back only, so the loss and its gradient stay as they are.
        """
        used = np.flatnonzero((self.targets >= 0).any(axis=0))
        stop = int(used[-1]) + 1 if used.size else 1
        columns = (self.items, self.behaviours, self.gaps, self.targets)
        return Batch(*(column[:, :stop] for column in columns))


class Sequences:
    """Windows of a platform's histories, cut at each user's `stop`.

    Targets are the coming items that are new to the user: at a position one of the next `horizon`
    first encounters after the position's moment is drawn. Purchases of one basket share a moment,
    so their order carries nothing, and predicting the rest of a basket from its beginning is not
    the task: at serving time the basket is over.
    """

    def __init__(self, histories: Histories, stop: Ints, *, max_events: int, horizon: int) -> None:
        self._histories = histories
        self._stop = stop
        self._max_events = max_events
        self._horizon = horizon
        self._gaps = gap_buckets(histories)
        first, rank_after = _first_encounters(histories, stop)
        self._first, self._rank_after = _narrow(first), _narrow(rank_after)
        self._beyond = _narrow(np.searchsorted(first, stop))  # rank after a user's last one

    @property
    def training_users(self) -> Ints:
        """Users with at least one event that has a target. (training users,)."""
        start = self._histories.offsets[:-1]
        has = np.zeros(self._histories.users, dtype=bool)
        inside = start < self._stop
        has[inside] = self._rank_after[start[inside]] < self._beyond[inside]
        return np.flatnonzero(has)

    def latest(self, users: Ints) -> Batch:
        """The last `max_events` events of each user before `stop`, without targets."""
        return self._cut(users, self._stop[users], None)

    def window_lengths(self, users: Ints) -> Ints:
        """Events in each user's training window, the same for every draw. (users,)."""
        events = self._stop[users] - self._histories.offsets[users]
        return np.asarray(np.minimum(events, self._max_events), dtype=np.int64)

    def training_batch(
        self, users: Ints, random: np.random.Generator, *, targets: Targets = "horizon"
    ) -> Batch:
        """One random window of at most `max_events` events of each user, with targets.

        A window of a long history ends among its last `max_events` events: what a person buys for
        the first time after a year is not what they buy for the first time in their first week,
        and serving asks for the former.
        """
        start, stop = self._histories.offsets[users], self._stop[users]
        shortest = np.minimum(start + self._max_events, stop)
        shortest = np.maximum(shortest, stop - self._max_events)
        end = random.integers(shortest, stop + 1)
        return self._cut(users, end, random, targets)

    def _cut(
        self,
        users: Ints,
        end: Ints,
        random: np.random.Generator | None,
        targets: Targets = "horizon",
    ) -> Batch:
        begin = np.maximum(self._histories.offsets[users], end - self._max_events)
        width = int(max((end - begin).max(initial=0), 1))
        position = begin[:, None] + np.arange(width)  # (users, seq)
        valid = position < end[:, None]
        position = np.where(valid, position, 0)
        items = np.where(valid, self._histories.items[position], -1)
        behaviours = np.where(valid, self._histories.behaviours[position], PADDING)
        gaps = np.where(valid, self._gaps[position], 0)
        chosen = np.full(items.shape, -1, dtype=np.int64)
        if random is not None and targets == "horizon":
            chosen = np.where(valid, self._targets(users, position, random), -1)
        elif random is not None:
            chosen = np.where(valid, self._next(users, position), -1)
        return Batch(
            items.astype(np.int64), behaviours.astype(np.int64), gaps.astype(np.int64), chosen
        )

    def _next(self, users: Ints, position: Ints) -> Ints:
        """The item of the user's next event, -1 at the last one. (users, seq)."""
        last = position + 1 >= self._stop[users][:, None]
        follower = np.minimum(position + 1, self._histories.events - 1)
        return np.where(last, -1, self._histories.items[follower]).astype(np.int64)

    def _targets(self, users: Ints, position: Ints, random: np.random.Generator) -> Ints:
        """A coming first encounter of each position, -1 where none is left. (users, seq)."""
        lowest = self._rank_after[position]
        beyond = self._beyond[users][:, None]
        highest = np.minimum(lowest + self._horizon, beyond)
        drawn = lowest + (random.random(position.shape) * (highest - lowest)).astype(np.int64)
        place = self._first[np.minimum(drawn, self._first.size - 1)]
        return np.where(drawn < beyond, self._histories.items[place], -1).astype(np.int64)


def _narrow(column: Ints) -> npt.NDArray[np.int32] | Ints:
    """In half the memory where the numbers allow it."""
    fits = int(column.max(initial=0)) <= np.iinfo(np.int32).max
    return column.astype(np.int32) if fits else column


def gap_buckets(histories: Histories) -> npt.NDArray[np.int8]:
    """log2 of the seconds since the user's previous event, 1 to GAP_BUCKETS - 1; 0 = none.

    Bucket 1 is "the same moment"; each further bucket spans a factor of four from one minute.
    (events,)
    """
    if not histories.timed:
        return np.zeros(histories.events, dtype=np.int8)
    gaps = np.diff(histories.times, prepend=histories.times[:1]).astype(np.float64)
    minutes = np.maximum(gaps, 0.0) / 60.0
    buckets = 1 + np.ceil(np.log2(1.0 + minutes) / 2.0).astype(np.int64)
    buckets = np.clip(buckets, 1, GAP_BUCKETS - 1)
    buckets[histories.offsets[:-1][histories.offsets[:-1] < histories.events]] = 0
    return buckets.astype(np.int8)


def _first_encounters(histories: Histories, stop: Ints) -> tuple[Ints, Ints]:
    """Positions of first encounters, and for each event the rank of the first one after it.

    An encounter counts if it lies before the user's `stop` and is no return. "After" means at a
    later moment where times are real, and at a later position otherwise.

    Returns:
        Positions in ascending order (encounters,), and ranks into them (events,).
    """
    user = np.repeat(np.arange(histories.users), np.diff(histories.offsets))
    key = user * (int(histories.items.max(initial=0)) + 1) + histories.items
    first = np.zeros(histories.events, dtype=bool)
    first[np.unique(key, return_index=True)[1]] = True
    first &= np.arange(histories.events) < stop[user]
    first &= histories.behaviours != behaviour_code("return")
    places = np.flatnonzero(first)
    after = np.searchsorted(places, _moment_end(histories, user))
    return places, after.astype(np.int64)


def _moment_end(histories: Histories, user: Ints) -> Ints:
    """Position after the last event of the same user and moment. (events,)."""
    if not histories.timed or not histories.events:
        return np.arange(1, histories.events + 1)
    new = (np.diff(user) != 0) | (np.diff(histories.times) != 0)
    ends = np.append(np.flatnonzero(new) + 1, histories.events)
    return np.asarray(np.repeat(ends, np.diff(ends, prepend=0)), dtype=np.int64)
