"""What users who met the same items tell: neighbours, ridge regression, factors, transitions.

Every model is fitted on what was counted before a cut and scores rows of a user's own history.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse
from scipy.sparse.linalg import svds

from isthmus_client.baselines import item_similarity
from isthmus_client.histories import Histories
from isthmus_client.sequences import Ints

Scores = npt.NDArray[np.float32]

NEIGHBOURS = 100  # similar items kept for an item
SHRINKAGE = 10.0  # of cosines and transitions; damps rare items
RIDGE_ITEMS = 4000  # the most popular items, among which the ridge regression works
FACTORS = 48
TILE = 256  # rows that are mirrored at once
DENSE = 1000  # users or items up to which the factors are found without iteration
_NEGLIGIBLE = 1e-10  # of the largest squared singular value: rounding


@dataclass(frozen=True)
class Collaborative:
    """Item-to-item knowledge of one platform before one cut.

    Attributes:
        similarity: shrunk cosines of items' user sets. (items, items)
        ridge: EASE's weights among `ridge_items`. (ridge items, ridge items)
        factors: item factors of a truncated SVD, scaled for history and candidates.
            (items, factors) each
        transition: how often a basket with one item is followed by one with another, normalised.
            (items, items)
    """

    similarity: sparse.csr_matrix
    ridge_items: Ints
    ridge: Scores
    factors: tuple[Scores, Scores]
    transition: sparse.csr_matrix

    def knn(self, rows: sparse.csr_matrix) -> sparse.csr_matrix:
        """Item-based nearest neighbours (Sarwar et al. 2001). (rows, items)."""
        return (rows @ self.similarity).tocsr()

    def ease(self, rows: sparse.csr_matrix, out: Scores | None = None) -> Scores:
        """EASE (Steck 2019) among popular items, 0 elsewhere; into `out`. (rows, items)."""
        scores = np.empty(rows.shape, dtype=np.float32) if out is None else out
        scores.fill(0.0)
        scores[:, self.ridge_items] = rows[:, self.ridge_items] @ self.ridge
        return scores

    def svd(self, rows: sparse.csr_matrix, out: Scores | None = None) -> Scores:
        """PureSVD (Cremonesi et al. 2010), popularity-scaled; into `out`. (rows, items)."""
        into, items = self.factors
        return np.matmul(rows @ into, items.T, out=out)

    def follow(self, rows: sparse.csr_matrix) -> sparse.csr_matrix:
        """What usually comes in the next basket after items of the history. (rows, items)."""
        return (rows @ self.transition).tocsr()


def fit_collaborative(
    histories: Histories, counted: Ints, counts: sparse.csr_matrix
) -> Collaborative:
    """Fit all of them.

    Args:
        counted: one past the last event of each user that counts. (users,)
        counts: how often each of them met each item. (users, items)
    """
    binary = counts.copy().astype(np.float32)
    binary.data[:] = 1.0
    chosen, ridge = _ridge(binary)
    return Collaborative(
        similarity=item_similarity(counts, neighbours=NEIGHBOURS, shrinkage=SHRINKAGE),
        ridge_items=chosen,
        ridge=ridge,
        factors=_factors(binary),
        transition=_transitions(histories, counted, counts.shape[1]),
    )


def _ridge(binary: sparse.csr_matrix) -> tuple[Ints, Scores]:
    """EASE's closed form; the ridge grows with how often items are met."""
    popular = np.asarray(binary.sum(axis=0)).ravel()
    chosen = np.sort(np.argsort(-popular, kind="stable")[:RIDGE_ITEMS])
    chosen = chosen[popular[chosen] > 0]
    part = binary[:, chosen]
    gram = (part.T @ part).toarray().astype(np.float32, copy=False)  # exact counts
    if not gram.size:
        return chosen, gram
    diagonal = np.diag_indices_from(gram)
    gram[diagonal] += np.float32(np.clip(10.0 * gram[diagonal].mean(), 20.0, 500.0))
    inverse = _inverse(gram)
    inverse /= -np.diag(inverse)
    inverse[diagonal] = 0.0
    return chosen, inverse


def _inverse(matrix: Scores) -> Scores:
    """Inverse of a positive definite matrix, in its place, by Cholesky's factors.

    In single precision: the ridge bounds the condition number, and with 4 000 items the weights are
    within 3e-6 of those in double precision.
    """
    upper, _ = linalg.cho_factor(matrix.T, lower=True, overwrite_a=True, check_finite=False)
    (invert,) = linalg.get_lapack_funcs(("potri",), (upper,))
    half, failed = invert(upper, lower=True, overwrite_c=True)
    if failed:
        raise linalg.LinAlgError(f"potri of a {matrix.shape} matrix: {failed}")
    inverse = np.ascontiguousarray(half.T)  # a view: rows lie together, the upper half is right
    for start in range(0, len(inverse), TILE):
        stop = start + TILE
        tile = inverse[start:stop, start:stop]
        tile[:] = np.triu(tile) + np.triu(tile, 1).T
        inverse[stop:, start:stop] = inverse[start:stop, stop:].T
    return inverse


def _factors(binary: sparse.csr_matrix) -> tuple[Scores, Scores]:
    """Factors of the matrix with each item divided by the root of its users plus 5."""
    popular = np.asarray(binary.sum(axis=0)).ravel()
    weight = 1.0 / np.sqrt(popular + 5.0)
    scaled = (binary @ sparse.diags(weight)).tocsr().astype(np.float32)
    scaled = scaled[np.flatnonzero(np.diff(scaled.indptr))]
    rank = min(FACTORS, min(scaled.shape) - 1)
    if rank < 1:
        nothing = np.zeros((binary.shape[1], 1), dtype=np.float32)
        return nothing, nothing
    axes = _axes(scaled, rank) if min(scaled.shape) <= DENSE else _axes_of_many(scaled, rank)
    into, out = axes * weight[:, None], axes / weight[:, None]
    return into.astype(np.float32), out.astype(np.float32)


def _axes(matrix: sparse.csr_matrix, rank: int) -> npt.NDArray[np.float64]:
    """Right singular vectors, the largest last, by the smaller Gram matrix. (items, rank).

    Axes without any weight are left out: which ones a solver returns is arbitrary.
    """
    wide = matrix.shape[0] <= matrix.shape[1]
    exact = matrix.astype(np.float64)
    gram = (exact @ exact.T if wide else exact.T @ exact).toarray()
    size = len(gram)
    values, vectors = linalg.eigh(gram, subset_by_index=(size - rank, size - 1))
    sure = values > _NEGLIGIBLE * values[-1]
    values, vectors = values[sure], vectors[:, sure]
    return np.asarray(matrix.T @ vectors / np.sqrt(values) if wide else vectors)


def _axes_of_many(matrix: sparse.csr_matrix, rank: int) -> npt.NDArray[np.float64]:
    """The same by iteration. ARPACK's restarts are random, but so many rows need none."""
    start = np.ones(min(matrix.shape), dtype=np.float32)  # random otherwise
    return np.asarray(svds(matrix, k=rank, v0=start, return_singular_vectors="vh")[2].T)


def _transitions(histories: Histories, counted: Ints, items: int) -> sparse.csr_matrix:
    """Counts of items in consecutive baskets of a user, over the root of both marginals.

    A basket is a moment where times are real, and a single event otherwise.
    """
    user = np.repeat(np.arange(histories.users), np.diff(histories.offsets))
    inside = np.arange(histories.events) < counted[user]
    user, item = user[inside], histories.items[inside]
    moment = histories.times[inside] if histories.timed else np.arange(item.size)
    new = np.ones(item.size, dtype=bool)
    new[1:] = (np.diff(user) != 0) | (np.diff(moment) != 0)
    basket = np.cumsum(new) - 1
    owner = user[new]
    shape = (owner.size, items)
    baskets = sparse.csr_matrix((np.ones(item.size, np.float32), (basket, item)), shape=shape)
    baskets.data[:] = 1.0
    before = np.flatnonzero(owner[1:] == owner[:-1])
    pairs = (baskets[before].T @ baskets[before + 1]).tocoo()
    return _normalised(pairs, items)


def _normalised(pairs: sparse.coo_matrix, items: int) -> sparse.csr_matrix:
    """Cosine-like, without an item's transition to itself."""
    other = pairs.row != pairs.col
    row, column, value = pairs.row[other], pairs.col[other], pairs.data[other]
    out = np.bincount(row, weights=value, minlength=items)
    into = np.bincount(column, weights=value, minlength=items)
    scaled = value / (np.sqrt(out[row] * into[column]) + SHRINKAGE)
    return sparse.csr_matrix((scaled.astype(np.float32), (row, column)), shape=(items, items))
