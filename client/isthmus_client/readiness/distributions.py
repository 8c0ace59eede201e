"""Quantiles and histograms of values that were counted in SQL."""

from __future__ import annotations

import math
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt

from isthmus_client.readiness.results import Distribution

_QUANTILES: Final = {
    "min": 0.0,
    "p5": 0.05,
    "p25": 0.25,
    "median": 0.5,
    "p75": 0.75,
    "p95": 0.95,
    "p99": 0.99,
    "max": 1.0,
}
_STEPS: Final = (1.0, 2.0, 5.0)
_BINS: Final = 16  # of values that lie within a factor of `_CLOSE`
_CLOSE: Final = 20.0


def distribution_of(connection: duckdb.DuckDBPyConnection, values: str) -> Distribution:
    """Of a query that gives one column `value` of numbers from 0 on; NULL is left out."""
    query = (
        "SELECT value::DOUBLE AS value, count(*) AS n FROM ("
        f"{values}) WHERE value IS NOT NULL GROUP BY ALL ORDER BY ALL"
    )
    columns = connection.execute(query).fetchnumpy()
    return distribution(_plain(columns["value"], np.float64), _plain(columns["n"], np.int64))


def distribution(values: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> Distribution:
    """Of sorted distinct values and how often each occurs. Both (values,)."""
    if not values.size:
        return Distribution()
    above = np.cumsum(counts)
    total = int(above[-1])
    places = {name: math.ceil(share * total) for name, share in _QUANTILES.items()}
    quantiles = {
        name: float(values[np.searchsorted(above, max(place, 1))]) for name, place in places.items()
    }
    finest = 1.0 if bool(np.all(values == np.rint(values))) else 0.0
    edges = _edges(float(values[0]), float(values[-1]), finest)
    bins, _ = np.histogram(values, bins=edges, weights=counts)
    return Distribution(
        count=total,
        quantiles=quantiles,
        edges=tuple(edges),
        bins=tuple(int(each) for each in np.rint(bins)),
    )


def _edges(low: float, high: float, finest: float) -> list[float]:
    """Round edges: evenly apart where the values are within a factor, else 1, 2, 5, 10, ..."""
    if high <= 0:
        return [0.0, 1.0]
    return _even(low, high, finest) if high <= _CLOSE * max(low, 0.0) else _spread(low, high)


def _even(low: float, high: float, finest: float) -> list[float]:
    """Multiples of a round step that is not below `finest`, about `_BINS` of them."""
    rough = max(high - low, high * 1e-3) / _BINS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (*_STEPS, 10.0) if each * power >= rough)
    step = max(step, finest)
    first = math.floor(low / step)
    last = math.floor(high / step) + 1
    return [float(f"{step * place:.12g}") for place in range(first, last + 1)]


def _spread(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, ... around both, over six decades at most; 0 for what is less."""
    least = max(low, high * 1e-6)
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(high)) + 2)
    series = [step * 10.0**power for power in powers for step in _STEPS]
    start = max((place for place, edge in enumerate(series) if edge <= least), default=0)
    end = next(place for place, edge in enumerate(series) if edge > high)
    edges = series[start : end + 1]
    return edges if low >= edges[0] else [0.0, *edges]


def _plain(column: Any, kind: Any) -> npt.NDArray[Any]:
    """A DuckDB column without its mask; it holds no NULL."""
    return np.ascontiguousarray(np.ma.getdata(column), dtype=kind)
