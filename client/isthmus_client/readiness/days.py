"""Days without events, and weeks that fall off: pure functions of daily counts."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

WEEK: Final = 7  # days
MANY: Final = 20  # events a day, from which on an empty day is no chance: exp(-20) = 2e-9
DROP: Final = 0.25  # of the week before; a smaller week is a drop

Counts = npt.NDArray[np.int64]


def gaps(counts: Counts) -> list[int]:
    """The places of days without an event in a time that has many.

    The week on either side has on average `MANY` events a day, and the same weekday of the weeks
    around has events too: a shop that is closed on Sundays has no gaps. Only gaps up to six days
    are told day by day; a longer one is a drop.

    Args:
        counts: events of each day from the first to the last, without a hole. (days,)
    """
    found = [int(day) for day in np.flatnonzero(counts == 0)]
    return [day for day in found if _is_busy(counts, day) and not _is_closed(counts, day)]


def _is_busy(counts: Counts, day: int) -> bool:
    before, after = counts[max(day - WEEK, 0) : day], counts[day + 1 : day + 1 + WEEK]
    return bool(before.size and after.size and before.mean() >= MANY and after.mean() >= MANY)


def _is_closed(counts: Counts, day: int) -> bool:
    """Whether this weekday has no events in most of the four weeks on either side."""
    places = [day + WEEK * weeks for weeks in range(-4, 5) if weeks]
    same = [int(counts[place]) for place in places if 0 <= place < counts.size]
    return len(same) > 1 and float(np.median(same)) == 0.0


def drops(counts: Counts) -> list[int]:
    """The first days of weeks with less than a quarter of the events of the week before.

    Days without any event are `gaps` and not counted twice: means go over days with events,
    unless four or more of a week's seven have none. Of several starts in a row the deepest is
    told. (days,) -> places
    """
    found: list[tuple[int, float]] = []
    for day in range(WEEK, counts.size - WEEK + 1):
        before, after = _level(counts[day - WEEK : day]), _level(counts[day : day + WEEK])
        if before >= MANY and after < DROP * before:
            found.append((day, after / before))
    return _deepest(found)


def _level(week: Counts) -> float:
    """Mean events of a day with events; of all days where most have none."""
    with_events = week[week > 0]
    return float(with_events.mean() if with_events.size > WEEK // 2 else week.mean())


def _deepest(found: list[tuple[int, float]]) -> list[int]:
    """Of each run of neighbouring days the one with the smallest ratio, the first of equals."""
    runs: list[list[tuple[int, float]]] = []
    for day, ratio in found:
        if runs and day - runs[-1][-1][0] <= WEEK:
            runs[-1].append((day, ratio))
        else:
            runs.append([(day, ratio)])
    return [min(run, key=lambda pair: (pair[1], pair[0]))[0] for run in runs]
