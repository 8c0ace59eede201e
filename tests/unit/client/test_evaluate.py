"""Which users, histories and items a ranking sees: no window sees its own future."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted_histories import PURCHASE, histories_of, platform_of, random_platform

from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus_client.baselines import interactions, item_knn, item_similarity
from isthmus_client.content import whiten
from isthmus_client.evaluate import TUNING_USERS, Evaluator
from isthmus_client.model import PRIOR_DECAY, PlatformModel, PrivateHead
from isthmus_client.ranking import build_task, rank
from isthmus_client.workspace import KNN_SHRINKAGE, Workspace, stable_order

CONFIG = EncoderConfig(content=6, dim=8, layers=1, heads=2, max_events=6)


@pytest.fixture
def workspace():
    return Workspace(random_platform(users=30, items=40, seed=4), max_events=6)


@pytest.fixture
def encoder():
    made = initial_encoder(CONFIG, seed=2)
    with torch.no_grad():
        made.item.weight.normal_(generator=torch.Generator().manual_seed(2))
    return made


def same(one, other):
    names = ("users", "ndcg", "hit", "reciprocal", "target_ranks", "target_rows", "target_items")
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in names)


@pytest.mark.parametrize("window", ["validation", "test"])
def test_at_round_zero_the_ranking_is_the_priors(workspace, window):
    evaluator = Evaluator(workspace, window)
    content, histories = whiten(workspace.platform.vectors), workspace.platform.histories
    stop = getattr(workspace.split, {"validation": "train_stop", "test": "validation_stop"}[window])

    def prior(users):
        rows = []
        for user in users:
            start = max(histories.offsets[user], stop[user] - 6)
            items = histories.items[start : stop[user]][::-1]
            rows.append(sum(content[i] * PRIOR_DECAY**age for age, i in enumerate(items)))
        return np.array(rows) @ content.T

    ranking = evaluator.content(initial_encoder(CONFIG, seed=2))
    slow = rank(build_task(histories, workspace.split, window, 40), prior)
    np.testing.assert_allclose(ranking.ndcg, slow.ndcg, atol=1e-9)
    np.testing.assert_array_equal(ranking.target_ranks, slow.target_ranks)


def test_a_new_head_ranks_like_the_release(workspace, encoder):
    evaluator = Evaluator(workspace, "test")
    model = PlatformModel(encoder, PrivateHead(40, CONFIG.dim))
    np.testing.assert_allclose(evaluator.model(model).ndcg, evaluator.content(encoder).ndcg)


def test_parts_add_up_to_the_release(workspace, encoder):
    evaluator = Evaluator(workspace, "validation", purpose="tuning")
    parts = evaluator.parts(encoder)
    scores = dict(zip(evaluator.task.users.tolist(), parts.prior + parts.content, strict=True))
    summed = evaluator.scorer(lambda users: np.array([scores[int(u)] for u in users]))
    np.testing.assert_allclose(summed.ndcg, evaluator.content(encoder).ndcg, atol=1e-9)


def test_validation_users_are_halved():
    workspace = Workspace(random_platform(users=41, items=40, seed=4), max_events=6)
    tuning, gate, everyone = (
        Evaluator(workspace, "validation", purpose=purpose).task.users.tolist()
        for purpose in ("tuning", "gate", "all")
    )
    assert sorted(tuning + gate) == everyone
    assert abs(len(tuning) - len(gate)) <= 1
    assert tuning == sorted(tuning)
    assert tuning != everyone[: len(tuning)]  # drawn, not the most active


def test_a_large_platform_tunes_on_some_and_decides_by_the_rest():
    workspace = Workspace(random_platform(users=1200, items=40, seed=4, events=4), max_events=6)
    tuning, gate, everyone = (
        Evaluator(workspace, "validation", purpose=purpose).task
        for purpose in ("tuning", "gate", "all")
    )
    assert tuning.users.size == TUNING_USERS
    assert gate.users.size == everyone.users.size - TUNING_USERS
    assert not set(tuning.users.tolist()) & set(gate.users.tolist())


def test_halves_keep_each_users_own_history_and_targets(workspace):
    whole = Evaluator(workspace, "validation").task
    for purpose in ("tuning", "gate"):
        part = Evaluator(workspace, "validation", purpose=purpose).task
        rows = np.searchsorted(whole.users, part.users)
        assert (part.history != whole.history[rows]).nnz == 0
        assert (part.targets != whole.targets[rows]).nnz == 0


def changed_after(platform, stop):
    """Other items at and after each user's stop."""
    histories = platform.histories
    user = np.repeat(np.arange(histories.users), np.diff(histories.offsets))
    late = np.arange(histories.events) >= stop[user]
    items = np.where(late, (histories.items + 7) % len(platform.catalogue), histories.items)
    return replace(platform, histories=replace(histories, items=items.astype(np.int32)))


@pytest.mark.parametrize("name", ["content", "popularity", "own_history", "item_knn"])
def test_the_test_window_changes_no_validation_figure(workspace, encoder, name):
    platform = workspace.platform
    other = Workspace(changed_after(platform, platform.split.validation_stop), max_events=6)
    args = {"content": (encoder,), "item_knn": (0,)}.get(name, ())
    one, two = (
        getattr(Evaluator(w, "validation", masked=False), name)(*args) for w in (workspace, other)
    )
    assert same(one, two)


@pytest.mark.parametrize("name", ["content", "popularity", "own_history", "item_knn"])
@pytest.mark.parametrize("window", ["validation", "test"])
def test_a_windows_own_events_change_targets_but_no_score(workspace, encoder, name, window):
    platform = workspace.platform
    stop = platform.split.train_stop if window == "validation" else platform.split.validation_stop
    other = Workspace(changed_after(platform, stop), max_events=6)
    args = {"content": (encoder,), "item_knn": (0,)}.get(name, ())
    rankings = []
    for each in (workspace, other):
        evaluator = Evaluator(each, window, masked=False)
        # Both are asked to rank every item for the same users: what differs is the model alone.
        evaluator.__dict__["task"] = Evaluator(workspace, window, masked=False).task
        rankings.append(getattr(evaluator, name)(*args))
    assert same(*rankings)


def test_who_does_not_train_is_tested_but_plays_no_part_before():
    platform = random_platform(users=30, items=40, seed=4)
    some = np.arange(0, 30, 3)
    newcomer = Workspace(platform, max_events=6, training_users=some)
    whole = Workspace(platform, max_events=6)
    assert set(newcomer.sequences.training_users.tolist()) <= set(some.tolist())
    assert set(Evaluator(newcomer, "validation").task.users.tolist()) <= set(some.tolist())
    np.testing.assert_array_equal(
        Evaluator(newcomer, "test").task.users, Evaluator(whole, "test").task.users
    )
    assert newcomer.counts[np.setdiff1d(np.arange(30), some)].nnz == 0
    assert (newcomer.counts[some] != whole.counts[some]).nnz == 0


def test_a_platform_of_which_nobody_trains(encoder):
    platform = random_platform(users=12, items=40, seed=4)
    day_one = Workspace(platform, max_events=6, training_users=np.array([], np.int64))
    assert day_one.sequences.training_users.size == 0
    assert day_one.counts.nnz == 0
    assert Evaluator(day_one, "validation").content(encoder).mean_ndcg is None
    assert Evaluator(day_one, "test").content(encoder).mean_ndcg is not None
    assert Evaluator(day_one, "test").item_knn(100).mean_ndcg is not None


def test_training_counts_stop_before_validation():
    histories = histories_of([0, 0, 1, 2, 3], [4, 3, 2])  # the last two of each are held back
    workspace = Workspace(platform_of(histories, 5), max_events=6)
    assert workspace.counts.toarray().tolist() == [[2, 1, 0, 0, 0], [0, 0, 0, 0, 1]]


def test_item_knn_knows_validation_events_when_it_is_tested(workspace):
    platform = workspace.platform
    seen = interactions(platform.histories, platform.split.validation_stop, 40)
    counts = workspace.counts_before("test")
    similarity = item_similarity(counts, neighbours=3, shrinkage=KNN_SHRINKAGE)
    evaluator = Evaluator(workspace, "test")
    assert same(evaluator.item_knn(3), evaluator.scorer(item_knn(similarity, seen)))


def test_similarities_are_computed_once_for_each_number_of_neighbours(workspace):
    few, all_of_them = workspace.similarity(2), workspace.similarity(0)
    assert workspace.similarity(2) is few
    assert few.nnz < all_of_them.nnz


def test_repeats_are_ranked_where_nothing_is_masked():
    repeats = [[(0, 0, PURCHASE), 1, 0, 0], [2, 3, 2, 2]]
    workspace = Workspace(platform_of(histories_of(*repeats), 5), max_events=6)
    assert Evaluator(workspace, "test").task.users.size == 0
    own = Evaluator(workspace, "test", masked=False).own_history()
    assert own.ndcg.tolist() == [1.0, 1.0]


def test_nobody_to_validate(encoder):
    workspace = Workspace(platform_of(histories_of([1, 2], [3]), 9), max_events=6)
    evaluator = Evaluator(workspace, "validation", purpose="tuning")
    assert evaluator.content(encoder).mean_ndcg is None
    assert evaluator.popularity().users.size == 0
    assert evaluator.parts(encoder).prior.shape == (0, 9)


def test_an_order_depends_on_count_and_seed_alone():
    orders = [stable_order(*args).tolist() for args in ((9, 0), (9, 0), (9, 1))]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == list(range(9))
    assert stable_order(0, 0).size == 0
