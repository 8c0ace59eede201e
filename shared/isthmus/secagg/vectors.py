"""Sums on the grid as one vector, and back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isthmus.parameters import GridSum
from isthmus.secagg.alarms import Alarm, refuse
from isthmus.secagg.masks import Vector


def flattened(tensors: GridSum) -> Vector:
    """All steps in the order of names, read as unsigned. (size,)."""
    parts = [tensor.reshape(-1) for tensor in tensors.tensors.values()]
    return np.concatenate(parts).view(np.uint64)


def restored(vector: Vector, shapes: Mapping[str, tuple[int, ...]]) -> GridSum:
    """A sum as tensors again, read as signed.

    Args:
        vector: 64-bit words. (size,).
        shapes: by name, as `GridSum.shapes` gives them.

    Raises:
        AggregationError: the vector is longer or shorter than the shapes, or not of 64 bits.
    """
    sizes = {name: int(np.prod(shapes[name], dtype=np.int64)) for name in sorted(shapes)}
    total = sum(sizes.values())
    if vector.shape != (total,) or vector.dtype.itemsize != np.dtype(np.int64).itemsize:
        refuse(
            Alarm.BAD_VECTOR,
            f"a sum of {vector.shape} {vector.dtype} does not fill {total} places of 64 bits",
        )
    ends = np.cumsum(list(sizes.values()))[:-1]
    parts = np.split(vector.view(np.int64), ends)
    return GridSum({n: p.reshape(shapes[n]) for n, p in zip(sizes, parts, strict=True)})
