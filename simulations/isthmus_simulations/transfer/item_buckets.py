"""Quality per user by how well known the target items are: averages over seeds need users."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus_client.buckets import ITEM
from isthmus_client.ranking import Ranking, user_metrics
from isthmus_client.workspace import Workspace
from isthmus_simulations.transfer.facts import Ints, Values


def item_buckets(workspace: Workspace, rankings: Sequence[Ranking]) -> Values:
    """NDCG@10 of each user by the targets of a bucket alone; NaN for users without such a target.

    (buckets, models, users)
    """
    known = np.bincount(workspace.counts.indices, minlength=workspace.items)  # (items,)
    return np.stack(
        [
            np.stack([_of_targets(ranking, known, *ends) for ranking in rankings])
            for ends in ITEM.values()
        ]
    )


def _of_targets(ranking: Ranking, known: Ints, low: int, high: int) -> Values:
    """One model in one bucket. (users,)."""
    training_users = known[ranking.target_items]
    inside = (training_users >= low) & (training_users < high)
    rows = ranking.target_rows[inside]
    ndcg = user_metrics(ranking.target_ranks[inside], rows, ranking.users.size)[:, 0]
    ndcg[np.setdiff1d(np.arange(ranking.users.size), rows)] = np.nan
    return ndcg
