"""Buckets against a loop over users and targets."""

from math import log2

import numpy as np
import pytest
from planted_histories import random_platform

from isthmus_client.buckets import HISTORY, ITEM
from isthmus_client.evaluate import Evaluator
from isthmus_client.workspace import Workspace
from isthmus_simulations.buckets import buckets_of


@pytest.fixture
def case():
    workspace = Workspace(random_platform(users=40, items=12, events=9, seed=5), 7)
    return workspace, Evaluator(workspace, "test").popularity()


def test_history_buckets_part_the_users(case):
    workspace, ranking = case
    buckets = buckets_of(workspace, {"popularity": ranking}).history

    assert sum(models["popularity"].users for models in buckets.values()) == ranking.users.size
    assert buckets.keys() <= HISTORY.keys()


def test_item_buckets_are_those_of_a_loop(case):
    workspace, ranking = case
    counts = np.bincount(workspace.counts.indices, minlength=workspace.items)
    buckets = buckets_of(workspace, {"popularity": ranking}).item
    limits = ITEM

    for name, models in buckets.items():
        low, high = limits[name]
        slow = [slow_ndcg(ranking, row, counts, low, high) for row in range(ranking.users.size)]
        kept = [value for value in slow if value is not None]
        assert models["popularity"].users == len(kept)
        assert models["popularity"].ndcg == pytest.approx(np.mean(kept))


def slow_ndcg(ranking, row, counts, low, high):
    """NDCG@10 of one user over the targets of a bucket; None without one."""
    ranks = [
        rank
        for rank, owner, item in zip(
            ranking.target_ranks, ranking.target_rows, ranking.target_items, strict=True
        )
        if owner == row and low <= counts[item] < high
    ]
    if not ranks:
        return None
    ideal = sum(1 / log2(place + 1) for place in range(1, min(len(ranks), 10) + 1))
    return min(sum(1 / log2(rank + 1) for rank in ranks if rank <= 10) / ideal, 1.0)


def test_empty_buckets_are_left_out(case):
    workspace, ranking = case

    for models in buckets_of(workspace, {"popularity": ranking}).item.values():
        assert models["popularity"].users > 0
