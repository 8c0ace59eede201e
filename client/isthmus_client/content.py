"""Content vectors made comparable: centred and whitened on the platform's own catalogue text.

Sentence embeddings share a few dominant directions, so that raw cosines are all alike. Whitening
removes them (Su et al. 2021, "Whitening Sentence Representations"). We whiten symmetrically (ZCA),
because rotating each catalogue to its own axes would give every platform another coordinate system.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]


def whiten(vectors: Matrix, *, power: float = 0.5, shrinkage: float = 0.1) -> Matrix:
    """Centre, whiten and scale to unit length.

    Args:
        vectors: one row an item. (items, content)
        power: each principal direction is divided by its standard deviation to the `2 * power`;
            0.5 is full whitening, 0 only centres.
        shrinkage: share of the mean variance added to every direction, so that directions which a
            small catalogue hardly shows are not blown up.

    Returns:
        Unit rows; a row that equals the centre stays zero. (items, content)

    Guarantees:
        A function of catalogue text alone: no user data goes in.
    """
    wide = vectors.astype(np.float64)
    wide = wide - wide.mean(axis=0)
    covariance = wide.T @ wide / max(len(wide) - 1, 1)  # (content, content)
    variances, axes = np.linalg.eigh(covariance)
    variances = np.clip(variances, 0.0, None)
    floor = shrinkage * variances.mean() + 1e-12
    transform = (axes * (variances + floor) ** -power) @ axes.T
    return unit_rows((wide @ transform).astype(np.float32))


def unit_rows(matrix: Matrix) -> Matrix:
    """Rows scaled to length one; zero rows stay zero. (rows, columns)."""
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.maximum(norms, 1e-12), dtype=np.float32)
