"""Users' histories as columns, and how they are cut into training, validation and test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

SplitKind = Literal["time", "leave-one-out"]


@dataclass(frozen=True)
class Histories:
    """All events of a platform, sorted by user and, within a user, by time and original order.

    User `u` owns the events `offsets[u]:offsets[u + 1]`.

    Attributes:
        user_ids: the platform's ids of its users; they never leave the platform. (users,)
        offsets: int64. (users + 1,)
        items: row in the catalogue, int32. (events,)
        behaviours: code of `isthmus.behaviours`, int8. (events,)
        times: Unix seconds, int64; a plain counter per user where `timed` is false. (events,)
        timed: whether `times` are real.
    """

    user_ids: tuple[str, ...]
    offsets: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    behaviours: npt.NDArray[np.int8]
    times: npt.NDArray[np.int64]
    timed: bool

    @property
    def users(self) -> int:
        """Number of users."""
        return len(self.user_ids)

    @property
    def events(self) -> int:
        """Number of events."""
        return int(self.items.size)


@dataclass(frozen=True)
class Split:
    """Where each user's training ends and validation ends, as absolute event positions.

    User `u` trains on `offsets[u]:train_stop[u]`, is validated on
    `train_stop[u]:validation_stop[u]` and tested on `validation_stop[u]:offsets[u + 1]`.
    Each of the three may be empty.
    """

    kind: SplitKind
    train_stop: npt.NDArray[np.int64]  # (users,)
    validation_stop: npt.NDArray[np.int64]  # (users,)


def split_by_time(histories: Histories, validation_start: int, test_start: int) -> Split:
    """Cut every history at the same two moments (Unix seconds): no user sees another's future.

    Raises:
        ValueError: the moments are not in order.
    """
    if not validation_start < test_start:
        raise ValueError(f"validation starts at {validation_start}, test at {test_start}")
    return Split("time", _first_at(histories, validation_start), _first_at(histories, test_start))


def _first_at(histories: Histories, moment: int) -> npt.NDArray[np.int64]:
    """Each user's first event position at or after `moment`. (users,)"""
    before = np.concatenate([[0], np.cumsum(histories.times < moment)])
    counts = before[histories.offsets[1:]] - before[histories.offsets[:-1]]
    return np.asarray(histories.offsets[:-1] + counts, dtype=np.int64)


def leave_one_out(histories: Histories) -> Split:
    """Each user's last event is the test, the one before it the validation.

    Users with fewer than three events only train: papers filter them out.
    """
    start, stop = histories.offsets[:-1], histories.offsets[1:]
    long_enough = stop - start >= 3  # noqa: PLR2004 - one event for each of the three parts
    train_stop = np.where(long_enough, stop - 2, stop)
    validation_stop = np.where(long_enough, stop - 1, stop)
    return Split("leave-one-out", train_stop, validation_stop)
