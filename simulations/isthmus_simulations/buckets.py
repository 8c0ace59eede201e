"""Quality by the length of a user's history and by how well known the target item is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from isthmus_client.ranking import Ranking, user_metrics
from isthmus_client.workspace import Workspace
from isthmus_simulations.results import BucketMetrics, Buckets, ModelName

HISTORY = {"1-5 events": (1, 6), "6-20 events": (6, 21), "21-50 events": (21, 51)}
HISTORY_LONG = "over 50 events"
ITEM = {"cold (no training user)": (0, 1), "rare (1-9 users)": (1, 10)}
ITEM_WARM = "warm (10 users or more)"
_NO_END = 2**62


def buckets_of(workspace: Workspace, rankings: Mapping[ModelName, Ranking]) -> Buckets:
    """Buckets of the test window; empty ones are left out."""
    histories, split = workspace.platform.histories, workspace.split
    known = split.validation_stop - histories.offsets[:-1]  # (users,)
    training_users = np.bincount(workspace.counts.indices, minlength=workspace.items)
    by_history = {**HISTORY, HISTORY_LONG: (51, _NO_END)}
    by_item = {**ITEM, ITEM_WARM: (10, _NO_END)}
    return Buckets(
        history=_kept({n: _by_user(rankings, known, *b) for n, b in by_history.items()}),
        item=_kept({n: _by_item(rankings, training_users, *b) for n, b in by_item.items()}),
    )


def _kept(
    buckets: dict[str, dict[ModelName, BucketMetrics]],
) -> dict[str, dict[ModelName, BucketMetrics]]:
    return {
        name: models for name, models in buckets.items() if any(m.users for m in models.values())
    }


def _by_user(
    rankings: Mapping[ModelName, Ranking], known: npt.NDArray[np.int64], low: int, high: int
) -> dict[ModelName, BucketMetrics]:
    """Users whose history before the test window has low..high-1 events."""
    return {
        name: _mean(ranking.ndcg[(known[ranking.users] >= low) & (known[ranking.users] < high)])
        for name, ranking in rankings.items()
    }


def _by_item(
    rankings: Mapping[ModelName, Ranking], popularity: npt.NDArray[np.int64], low: int, high: int
) -> dict[ModelName, BucketMetrics]:
    """Targets with low..high-1 training users; users without such a target are left out."""
    return {name: _of_targets(r, popularity, low, high) for name, r in rankings.items()}


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
