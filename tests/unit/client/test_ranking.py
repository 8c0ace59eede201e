"""Ranking metrics computed by hand; tests/properties holds the comparison with a loop."""

import math

import numpy as np
import pytest
from planted_histories import RETURN, histories_of
from scipy import sparse

from isthmus_client.histories import Split
from isthmus_client.ranking import CHUNK, CUTOFF, Task, build_task, rank, window_bounds


def task_of(targets, history=None, masked=True):
    targets = np.asarray(targets, np.float32)
    history = np.zeros_like(targets) if history is None else np.asarray(history, np.float32)
    users = np.arange(len(targets))
    return Task(users, sparse.csr_matrix(history), sparse.csr_matrix(targets), masked)


def ranked(scores, targets, history=None, *, masked=True):
    table = np.asarray(scores, np.float32)
    return rank(task_of(targets, history, masked), lambda users: table[users])


def discounted(*ranks):
    return sum(1 / math.log2(1 + r) for r in ranks)


def test_one_target_at_rank_three():
    ranking = ranked([[5, 9, 7, 1]], [[1, 0, 0, 0]])
    assert ranking.ndcg == pytest.approx([0.5])  # 1 / log2(4)
    assert ranking.hit == pytest.approx([1])
    assert ranking.reciprocal == pytest.approx([1 / 3])


def test_several_targets():
    ranking = ranked([[5, 9, 7, 1]], [[1, 1, 0, 1]])
    assert ranking.ndcg == pytest.approx([discounted(1, 3, 4) / discounted(1, 2, 3)])
    assert ranking.reciprocal == pytest.approx([1])
    assert ranking.target_ranks.tolist() == [3, 1, 4]
    assert ranking.target_items.tolist() == [0, 1, 3]


@pytest.mark.parametrize(("place", "gain"), [(10, 1 / math.log2(11)), (11, 0.0)])
def test_the_list_ends_after_ten(place, gain):
    scores = -np.arange(15.0)[None]
    ranking = ranked(scores, np.eye(15)[[place - 1]])
    assert ranking.ndcg == pytest.approx([gain])
    assert ranking.hit == pytest.approx([float(gain > 0)])
    assert ranking.reciprocal == pytest.approx([1 / place])


def test_more_targets_than_the_list_has_places():
    scores = -np.arange(30.0)[None]
    targets = np.zeros((1, 30))
    targets[0, 1:21] = 1  # ranks 2 to 21
    ideal, got = discounted(*range(1, 11)), discounted(*range(2, 11))
    assert ranked(scores, targets).ndcg == pytest.approx([got / ideal])


def test_ties_stand_at_their_mean_rank():
    ranking = ranked([[2, 7, 7, 7, 7, 1]], [[0, 0, 1, 0, 0, 0]])
    assert ranking.target_ranks.tolist() == [2.5]
    assert ranking.reciprocal == pytest.approx([1 / 2.5])


def test_even_ties_of_many_targets_earn_no_more_than_perfection():
    assert ranked(np.zeros((1, 19)), np.ones((1, 19))).ndcg.tolist() == [1.0]


def test_a_masked_history_is_out_of_the_way():
    scores, targets, history = [[5, 9, 7, 1]], [[1, 0, 0, 0]], [[0, 1, 1, 0]]
    assert ranked(scores, targets, history).target_ranks.tolist() == [1]
    assert ranked(scores, targets, history, masked=False).target_ranks.tolist() == [3]


def test_the_scorer_keeps_its_scores():
    table = np.arange(4, dtype=np.float32)[None]
    before = table.copy()
    rank(task_of([[1, 0, 0, 0]], [[0, 1, 1, 0]]), lambda _: table)
    assert table.tolist() == before.tolist()


def test_coverage_is_the_share_of_items_on_anyones_list():
    scores = np.tile(np.arange(40.0), (3, 1))
    scores[2] = -scores[2]
    ranking = ranked(scores, np.ones((3, 40)))
    assert ranking.coverage == pytest.approx(20 / 40)


def test_what_is_masked_covers_nothing():
    history = np.zeros((1, 6))
    history[0, :4] = 1
    assert ranked([range(6)], [[0, 0, 0, 0, 0, 1]], history).coverage == pytest.approx(2 / 6)


@pytest.mark.parametrize("users", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 1])
def test_users_beyond_a_chunk_keep_their_own_scores(users):
    random = np.random.default_rng(0)
    targets = np.eye(12)[random.integers(12, size=users)]
    table = random.normal(size=(users, 12)).astype(np.float32)
    whole = ranked(table, targets)
    one_by_one = [ranked(table[[u]], targets[[u]]) for u in range(users)]
    assert whole.ndcg.tolist() == [float(r.ndcg[0]) for r in one_by_one]
    assert whole.target_rows.tolist() == list(range(users))
    assert whole.target_ranks.tolist() == [float(r.target_ranks[0]) for r in one_by_one]


def test_summary():
    told = ranked([[5, 9], [9, 5]], [[1, 0], [1, 0]]).summary()
    assert told == pytest.approx(
        {
            "ndcg@10": (1 / math.log2(3) + 1) / 2,
            "hr@10": 1.0,
            "mrr": 0.75,
            "coverage@10": 1.0,
            "users": 2.0,
        }
    )


def test_nobody_to_rank_for():
    ranking = ranked(np.zeros((0, 5)), np.zeros((0, 5)))
    assert ranking.mean_ndcg is None
    assert ranking.users.size == ranking.target_ranks.size == 0
    summary = ranking.summary()
    assert summary["users"] == 0
    assert all(math.isnan(summary[name]) for name in ("ndcg@10", "hr@10", "mrr"))


# Each comment: what is trained on, then validation, then test.
HISTORIES = histories_of(
    [0, 1, 1, 2, 3],  # 0 1 | 1 2 | 3
    [4, 5, (6, 200, RETURN)],  # 4 | 5 | returned 6
    [0, 1],  # nothing | 0 | 1
    [2, 2, 2],  # 2 | 2 | 2
)
SPLIT = Split("time", np.array([2, 6, 8, 11]), np.array([4, 7, 9, 12]))


@pytest.mark.parametrize(
    ("window", "masked", "expected"),
    [
        ("validation", True, {0: {2}, 1: {5}}),
        ("validation", False, {0: {1, 2}, 1: {5}, 3: {2}}),
        ("test", True, {0: {3}, 2: {1}}),
        ("test", False, {0: {3}, 2: {1}, 3: {2}}),
    ],
)
def test_who_is_ranked_for_and_what_hits(window, masked, expected):
    task = build_task(HISTORIES, SPLIT, window, 7, masked=masked)
    assert {
        int(user): set(task.targets[row].indices.tolist()) for row, user in enumerate(task.users)
    } == expected


def test_only_some_users_take_part():
    task = build_task(HISTORIES, SPLIT, "test", 7, users=np.array([3, 2, 1]))
    assert task.users.tolist() == [2]
    assert task.targets.toarray().tolist() == [[0, 1, 0, 0, 0, 0, 0]]


def test_windows_meet_where_the_split_says():
    assert [b.tolist() for b in window_bounds(HISTORIES, SPLIT, "validation")] == [
        [2, 6, 8, 11],
        [4, 7, 9, 12],
    ]
    assert [b.tolist() for b in window_bounds(HISTORIES, SPLIT, "test")] == [
        [4, 7, 9, 12],
        [5, 8, 10, 13],
    ]


def test_a_list_has_ten_places():
    assert CUTOFF == 10
