"""Users' recent histories as weighted sparse rows; columnar, no loop over users."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from isthmus_client.histories import Histories
from isthmus_client.sequences import Ints

RECENT = 50  # events that recency-weighted signals look back


def recent_rows(
    histories: Histories, stop: Ints, users: Ints, items: int, *, decay: float
) -> sparse.csr_matrix:
    """The last events of each user, weighted by recency and summed by item. (rows, items).

    Args:
        stop: one past the last known event of every user. (users,)
        users: whose rows. (rows,)
        decay: weight of an event for each that came after it.
    """
    position, valid = _positions(histories, stop, users)
    age = (stop[users, None] - 1 - position).astype(np.float32)
    weights = np.float32(decay) ** np.maximum(age, 0)
    return _rows(histories, position, valid, weights.astype(np.float32), items)


def last_moment_rows(
    histories: Histories, stop: Ints, users: Ints, items: int
) -> sparse.csr_matrix:
    """1 for each item of the user's last known moment: the last basket. (rows, items)."""
    position, valid = _positions(histories, stop, users)
    if histories.timed and histories.events:
        end = np.clip(stop[users] - 1, 0, histories.events - 1)
        same = histories.times[position] == histories.times[end][:, None]
    else:
        same = position == stop[users, None] - 1
    rows = _rows(histories, position, valid & same, np.ones(position.shape, np.float32), items)
    rows.data[:] = 1.0
    return rows


def _positions(
    histories: Histories, stop: Ints, users: Ints
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Positions of the last RECENT events, and which of them exist. both (rows, RECENT)."""
    position = stop[users, None] - np.arange(RECENT, 0, -1)
    valid = position >= histories.offsets[users, None]
    return np.where(valid, position, 0), valid


def _rows(
    histories: Histories,
    position: npt.NDArray[np.int64],
    valid: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.float32],
    items: int,
) -> sparse.csr_matrix:
    row, column = np.nonzero(valid)
    item = histories.items[position[row, column]]
    values = weights[row, column].astype(np.float32)
    return sparse.csr_matrix((values, (row, item)), shape=(len(position), items))
