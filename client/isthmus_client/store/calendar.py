"""Months in UTC: the store's partitions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

DAY: Final = 86_400  # seconds


def months(times: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Months since January 1970 of times in Unix seconds; by way of days, of which there are few.

    (events,)
    """
    if not times.size:
        return np.empty(0, dtype=np.int32)
    days = times // DAY
    first = int(days.min())
    span = np.arange(first, int(days.max()) + 1).astype("datetime64[D]")
    table = span.astype("datetime64[M]").astype(np.int32)
    return table[days - first]


def month_name(month: int) -> str:
    """Such as 2024-11."""
    return f"{1970 + month // 12:04d}-{month % 12 + 1:02d}"


def moment(seconds: float) -> str:
    """ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
