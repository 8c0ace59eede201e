"""Baselines on a platform's own data; none of them leaves it."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import torch
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


def recency_weights(
    histories: Histories,
    stop: Ints,
    items: int,
    *,
    decay: float,
    latest: int = 0,
    repeats: bool = False,
) -> sparse.csr_matrix:
    """What each user is known by before `stop`, recent events weighing more. (users, items).

    An event weighs `decay` to the power of the user's events after it; weights below one millionth
    are left out.

    Args:
        items: size of the catalogue.
        decay: 1.0 = every event weighs the same.
        latest: events of a user that count, the last ones; 0 = all.
        repeats: True sums over an item's events, False takes the last one alone.
    """
    user = np.repeat(np.arange(histories.users), np.diff(histories.offsets))
    age = stop[user] - 1 - np.arange(histories.events)
    weight = np.power(decay, np.maximum(age, 0), dtype=np.float64)
    inside = (age >= 0) & (weight > _NEGLIGIBLE)
    if latest:
        inside &= age < latest
    if not repeats:
        inside &= last_encounters(histories, stop, items)
    rows, columns = user[inside], histories.items[inside]
    shape = (histories.users, items)
    return sparse.csr_matrix((weight[inside].astype(np.float32), (rows, columns)), shape=shape)


_NEGLIGIBLE = 1e-6


def last_encounters(histories: Histories, stop: Ints, items: int) -> npt.NDArray[np.bool_]:
    """Whether an event is its user's last one on its item before `stop`. (events,)."""
    return _one_of_each(histories, stop, items, backwards=True)


def _one_of_each(
    histories: Histories, stop: Ints, items: int, *, backwards: bool
) -> npt.NDArray[np.bool_]:
    """Whether an event is its user's last one, or else the first, on its item. (events,)."""
    user = np.repeat(np.arange(histories.users), np.diff(histories.offsets))
    place = np.flatnonzero(np.arange(histories.events) < stop[user])
    place = place[::-1] if backwards else place
    key = user[place].astype(np.int64) * items + histories.items[place]
    chosen = np.zeros(histories.events, dtype=bool)
    chosen[place[np.unique(key, return_index=True)[1]]] = True
    return chosen


def recent_popularity(
    histories: Histories, stop: Ints, items: int, *, half_life: float, adoption: bool = False
) -> npt.NDArray[np.float32]:
    """Each item's users, one who met it long ago counting less. (items,).

    A user's encounter of an item counts one half for every half-life that lies between it and the
    latest event before any `stop`.

    Args:
        half_life: in days; 0 = every user counts fully, as everyone does where times are not real.
        adoption: True looks at a user's first encounter of an item, False at the last one.
    """
    chosen = _one_of_each(histories, stop, items, backwards=not adoption)
    times, met = histories.times[chosen], histories.items[chosen]
    weights = np.ones(met.size)
    if half_life and histories.timed:
        before = np.arange(histories.events) < np.repeat(stop, np.diff(histories.offsets))
        now = histories.times[before].max(initial=0)
        weights = np.exp2((times - now) / (DAY * half_life))
    return np.bincount(met, weights=weights, minlength=items).astype(np.float32)


DAY = 24 * 3600  # seconds


def same_for_all(scores: npt.NDArray[np.float32]) -> Scorer:
    """One order of the catalogue for every user. `scores`: (items,)."""

    def score(users: Ints) -> Scores:
        return np.tile(scores, (users.size, 1))

    return score


def text_knn(weights: sparse.csr_matrix, content: npt.NDArray[np.float32]) -> Scorer:
    """Cosine of an item's content with the weighted mean of the user's. The untrained prior.

    Args:
        weights: what each user is known by. (users, items)
        content: whitened content vectors, of norm one. (items, content)
    """

    def score(users: Ints) -> Scores:
        query = weights[users] @ content  # (users, content)
        norms = np.linalg.norm(query, axis=1, keepdims=True)
        return np.asarray(query / np.maximum(norms, _TINY) @ content.T, dtype=np.float32)

    return score


_TINY = 1e-12


def popularity(counts: sparse.csr_matrix) -> Scorer:
    """Items by the number of training users who met them.

    Args:
        counts: training interactions. (users, items)
    """
    return same_for_all(np.bincount(counts.indices, minlength=counts.shape[1]).astype(np.float32))


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
    return weighted_knn(similarity, known)


def weighted_knn(similarity: sparse.csr_matrix, weights: sparse.csr_matrix) -> Scorer:
    """Item-kNN in which what the user met counts by its weight.

    Args:
        similarity: from `item_similarity`. (items, items)
        weights: from `recency_weights`. (users, items)
    """

    def score(users: Ints) -> Scores:
        return np.asarray((weights[users] @ similarity).toarray(), dtype=np.float32)

    return score


def most_alike(content: npt.NDArray[np.float32], neighbours: int) -> sparse.csr_matrix:
    """Cosines of unit rows, positive ones alone, the highest of each row. (rows, rows)."""
    blocks, buffer = [], np.empty((BLOCK, len(content)), dtype=np.float32)
    for start in range(0, len(content), BLOCK):
        part = content[start : start + BLOCK]
        block = np.matmul(part, content.T, out=buffer[: len(part)])
        block[np.arange(len(block)), np.arange(start, start + len(block))] = 0.0
        blocks.append(_keep_best(np.maximum(block, 0.0, out=block), neighbours))
    return sparse.vstack(blocks).tocsr()


BLOCK = 256  # items whose similarities are held at once: 15 MB with a catalogue of 15 000


def item_similarity(
    counts: sparse.csr_matrix, *, neighbours: int, shrinkage: float
) -> sparse.csr_matrix:
    """Shrunk cosine similarity of items' user sets, zero diagonal. (items, items).

    Args:
        counts: training interactions. (users, items)
        neighbours: similar items kept for each item, and those that tie with the last of them; 0 =
            all.
        shrinkage: added to the product of norms; damps similarities of rare items.
    """
    binary = counts.astype(np.float32)
    binary.data[:] = 1.0
    by_item = binary.T.tocsr()
    norms = np.sqrt(np.diff(by_item.indptr).astype(np.float32))
    blocks = [sparse.csr_matrix((0, norms.size), dtype=np.float32)]
    for start in range(0, norms.size, BLOCK):
        block = (by_item[start : start + BLOCK] @ binary).tocsr()  # users who met both
        lengths = np.diff(block.indptr)
        damped = np.repeat(norms[start : start + BLOCK], lengths)
        damped *= norms[block.indices]
        damped += np.float32(shrinkage + 1e-9)
        block.data /= damped
        row = np.repeat(np.arange(start, start + lengths.size, dtype=np.int32), lengths)
        block.data[row == block.indices] = 0.0
        blocks.append(fewer_neighbours(block, neighbours) if neighbours else block)
    found = sparse.vstack(blocks).tocsr()
    found.eliminate_zeros()
    return found


def _keep_best(block: npt.NDArray[np.float32], neighbours: int) -> sparse.csr_matrix:
    """Each row's largest entries alone, with all that tie with the last; as a sparse matrix."""
    if neighbours and neighbours < block.shape[1]:
        best = torch.topk(torch.from_numpy(block), neighbours, dim=1, sorted=False)  # a heap: fast
        block *= block >= best.values.numpy().min(axis=1, keepdims=True)
    return sparse.csr_matrix(block)


def fewer_neighbours(similarity: sparse.csr_matrix, neighbours: int) -> sparse.csr_matrix:
    """The same similarities with fewer neighbours kept for each item. (items, items).

    Args:
        neighbours: similar items kept for each item, and those that tie with the last of them.
    """
    kept = np.ones(similarity.nnz, dtype=bool)
    for start, stop in itertools.pairwise(similarity.indptr):
        if stop - start > neighbours:
            row = similarity.data[start:stop]
            kept[start:stop] = row >= np.partition(row, -neighbours)[-neighbours]
    indptr = np.concatenate([[0], np.cumsum(kept)])[similarity.indptr]
    pruned = (similarity.data[kept], similarity.indices[kept], indptr)
    return sparse.csr_matrix(pruned, shape=similarity.shape)
