"""Baselines on a platform's own data; none of them leaves it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from isthmus_client.histories import Histories
from isthmus_client.ranking import Scorer, Scores

Ints = npt.NDArray[np.int64]


def interactions(histories: Histories, stop: Ints, items: int) -> sparse.csr_matrix:
    """How often each user met each item before `stop`. (users, items)."""
    user = np.repeat(np.arange(histories.users), np.diff(histories.offsets))
    inside = np.arange(histories.events) < stop[user]
    ones = np.ones(int(inside.sum()), dtype=np.float32)
    shape = (histories.users, items)
    return sparse.csr_matrix((ones, (user[inside], histories.items[inside])), shape=shape)


def popularity(counts: sparse.csr_matrix) -> Scorer:
    """Items by the number of training users who met them.

    Args:
        counts: training interactions. (users, items)
    """
    users_of_item = np.bincount(counts.indices, minlength=counts.shape[1]).astype(np.float32)

    def score(users: Ints) -> Scores:
        return np.tile(users_of_item, (users.size, 1))

    return score


def own_history(counts: sparse.csr_matrix, seen: sparse.csr_matrix) -> Scorer:
    """Items by how often the user met them, ties by popularity: strong where people rebuy.

    Args:
        counts: training interactions, for the popularity. (users, items)
        seen: interactions before the window. (users, items)
    """
    popular = np.bincount(counts.indices, minlength=counts.shape[1]).astype(np.float32)
    tie_break = popular / (popular.max(initial=0.0) + 1.0)

    def score(users: Ints) -> Scores:
        return np.asarray(seen[users].toarray() + tie_break, dtype=np.float32)

    return score


def item_knn(similarity: sparse.csr_matrix, seen: sparse.csr_matrix) -> Scorer:
    """Item-based nearest neighbours (Sarwar et al. 2001): similarity to what the user met, summed.

    Args:
        similarity: from `item_similarity`. (items, items)
        seen: interactions before the window, what the user is known by. (users, items)
    """
    known = seen.copy()
    known.data[:] = 1.0

    def score(users: Ints) -> Scores:
        return np.asarray((known[users] @ similarity).toarray(), dtype=np.float32)

    return score


BLOCK = 1024  # items whose similarities are held densely at once


def item_similarity(
    counts: sparse.csr_matrix, *, neighbours: int, shrinkage: float
) -> sparse.csr_matrix:
    """Shrunk cosine similarity of items' user sets, zero diagonal. (items, items).

    Args:
        counts: training interactions. (users, items)
        neighbours: similar items kept for each item; 0 = all.
        shrinkage: added to the product of norms; damps similarities of rare items.
    """
    binary = counts.copy()
    binary.data[:] = 1.0
    norms = np.sqrt(np.asarray(binary.sum(axis=0)).ravel())
    columns = binary.tocsc()
    blocks = []
    for start in range(0, counts.shape[1], BLOCK):
        stop = min(start + BLOCK, counts.shape[1])
        block = (columns[:, start:stop].T @ binary).toarray()  # (block, items)
        block /= norms[start:stop, None] * norms + shrinkage + 1e-9
        block[np.arange(stop - start), np.arange(start, stop)] = 0.0
        blocks.append(_keep_best(block, neighbours))
    return sparse.vstack(blocks).tocsr()


def _keep_best(block: npt.NDArray[np.float32], neighbours: int) -> sparse.csr_matrix:
    """Each row's largest entries alone, as a sparse matrix."""
    if neighbours and neighbours < block.shape[1]:
        worst = np.partition(block, -neighbours, axis=1)[:, -neighbours, None]
        block = np.where(block >= worst, block, 0.0)
    return sparse.csr_matrix(block)
