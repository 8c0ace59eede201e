"""Numbers made comparable: mean 0 and deviation 1 over the catalogue for each user."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Signals = npt.NDArray[np.float32]

SPREAD = 1e-3  # added to a deviation, so that what does not vary stays 0


def level(values: Signals, out: Signals | None = None) -> Signals:
    """Mean 0 and deviation 1 over the catalogue for each user; what does not vary is 0.

    Args:
        values: (users, items)
        out: where to write, `values` itself if need be; None = a new array. (users, items)

    Returns:
        `out`. (users, items)
    """
    values = np.asarray(values, dtype=np.float32)
    made: Signals = np.subtract(values, values.mean(axis=1, keepdims=True), out=out)
    squares = np.vecdot(made, made) / max(made.shape[1], 1)  # (users,)
    made *= (1.0 / (np.sqrt(squares) + SPREAD)).astype(np.float32)[:, None]
    return made


def level_groups(
    values: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64], of: npt.NDArray[np.integer]
) -> Signals:
    """`level` of values that items of a group share, without looking at the items.

    Args:
        values: (users, groups)
        sizes: items of each group. (groups,)
        of: group of each item. (items,)

    Returns:
        (users, items)
    """
    share = sizes / max(sizes.sum(), 1.0)
    centred = values - (values @ share)[:, None]
    deviation = np.sqrt((centred * centred) @ share)
    made = (centred / (deviation + SPREAD)[:, None]).astype(np.float32)
    return np.take(made, of, axis=1)
