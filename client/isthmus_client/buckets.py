"""Quality by the length of a user's history and by how well known the target item is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from isthmus_client.figures import BucketMetrics
from isthmus_client.ranking import Ranking, user_metrics
from isthmus_client.workspace import Workspace

_NO_END = 2**62
HISTORY = {
    "1-5 events": (1, 6),
    "6-20 events": (6, 21),
    "21-50 events": (21, 51),
    "over 50 events": (51, _NO_END),
}
ITEM = {
    "cold (no training user)": (0, 1),
    "rare (1-9 users)": (1, 10),
    "warm (10 users or more)": (10, _NO_END),
}

Table = dict[str, dict[str, BucketMetrics]]
"""Bucket, then model."""


def by_history(workspace: Workspace, rankings: Mapping[str, Ranking]) -> Table:
    """Test users by the events of their history before the test; empty buckets are left out."""
    known = workspace.split.validation_stop - workspace.platform.histories.offsets[:-1]  # (users,)

    def part(ranking: Ranking, low: int, high: int) -> BucketMetrics:
        return _mean(ranking.ndcg[(known[ranking.users] >= low) & (known[ranking.users] < high)])

    return _kept(
        {b: {n: part(r, *ends) for n, r in rankings.items()} for b, ends in HISTORY.items()}
    )


def by_item(workspace: Workspace, rankings: Mapping[str, Ranking]) -> Table:
    """Targets by their training users; in a bucket, only users with such a target count."""
    known = np.bincount(workspace.counts.indices, minlength=workspace.items)  # (items,)
    return _kept(
        {
            b: {name: _of_targets(r, known, *ends) for name, r in rankings.items()}
            for b, ends in ITEM.items()
        }
    )


def _kept(buckets: Table) -> Table:
    return {
        name: models for name, models in buckets.items() if any(m.users for m in models.values())
    }


def _of_targets(
    ranking: Ranking, popularity: npt.NDArray[np.int64], low: int, high: int
) -> BucketMetrics:
    known = popularity[ranking.target_items]
    inside = (known >= low) & (known < high)
    rows = ranking.target_rows[inside]
    ndcg = user_metrics(ranking.target_ranks[inside], rows, ranking.users.size)[:, 0]
    return _mean(ndcg[np.unique(rows)])


def _mean(values: npt.NDArray[np.float64]) -> BucketMetrics:
    return BucketMetrics(ndcg=float(values.mean()) if values.size else None, users=values.size)
