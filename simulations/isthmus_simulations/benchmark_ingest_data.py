"""A year of a made-up shop as Parquet: the same bytes for the same seed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

ITEMS: Final = 50_000
EVENTS_OF_A_USER: Final = 20  # on average
USER_EXPONENT: Final = 0.6  # of Zipf's law: few are very active
ITEM_EXPONENT: Final = 0.9
START: Final = 1_672_531_200  # 2023-01-01
YEAR: Final = 365 * 86_400  # seconds
BLOCK: Final = 1_000_000  # rows that are made and written at once

_WORDS: Final = pa.array(["view", "click", "cart", "purchase"])
_SHARES: Final = (0.7, 0.1, 0.1, 0.1)


def write_platform(folder: Path, events: int, seed: int) -> None:
    """Write `events.parquet`, in order of time as logs are, and `items.parquet`.

    Ids are text, times timestamps without a zone; there are a behaviour, a price and a quantity.
    """
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(seed)
    users = max(events // EVENTS_OF_A_USER, 1)
    ids = pa.array([f"customer-{n:08d}" for n in random.permutation(users)])
    skus = pa.array([f"sku-{n:06d}" for n in random.permutation(ITEMS)])
    shares = _zipf(users, USER_EXPONENT), _zipf(ITEMS, ITEM_EXPONENT)
    times = START + np.sort(random.integers(0, YEAR, events))
    writer = None
    for first in range(0, events, BLOCK):
        moments = times[first : first + BLOCK]
        table = _block(random, (ids, skus), shares, moments)
        writer = writer or pq.ParquetWriter(folder / "events.parquet", table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    titles = pa.array([f"Item {n}" for n in range(ITEMS)])
    prices = random.integers(100, 20_000, ITEMS) / 100
    pq.write_table(
        pa.table({"item_id": skus, "title": titles, "price": prices}), folder / "items.parquet"
    )


def _block(
    random: np.random.Generator,
    ids: tuple[pa.Array, pa.Array],
    shares: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    moments: npt.NDArray[np.int64],
) -> pa.Table:
    """The events at these moments. (events,)"""
    chosen = [
        of.take(pa.array(np.searchsorted(share, random.random(moments.size))))
        for of, share in zip(ids, shares, strict=True)
    ]
    words = _WORDS.take(pa.array(random.choice(len(_WORDS), moments.size, p=_SHARES)))
    prices = random.integers(100, 20_000, moments.size).astype(np.float32) / np.float32(100)
    return pa.table(
        {
            "user_id": chosen[0],
            "item_id": chosen[1],
            "timestamp": pa.array(moments * 1_000_000, pa.timestamp("us")),
            "behaviour": words,
            "price": prices,
            "quantity": random.integers(1, 4, moments.size).astype(np.int32),
        }
    )


def _zipf(count: int, exponent: float) -> npt.NDArray[np.float64]:
    """Cumulated shares of ranks, ending just above 1. (count,)"""
    weights = 1.0 / np.arange(1, count + 1) ** exponent
    cumulated = np.cumsum(weights) / weights.sum()
    cumulated[-1] = 1.0 + 1e-9
    return np.asarray(cumulated)
