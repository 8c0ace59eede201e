"""The two-stage ranker: what it learns, what it may know, and that its ranking stays full."""

from dataclasses import replace

import numpy as np
import pytest
from planted_histories import histories_of, platform_of

from isthmus_client import lightgbm_ranker
from isthmus_client.classical import fit_popularity
from isthmus_client.contender import best_trial
from isthmus_client.evaluate import Evaluator
from isthmus_client.histories import split_by_time
from isthmus_client.lightgbm_ranker import FLOOR, SHAPES, TREES, fit_lightgbm
from isthmus_client.workspace import Workspace

ITEMS, DAY, DAYS, TEST = 40, 24 * 3600, 24, 22
QUICK = tuple(replace(shape, rows_in_leaf=20) for shape in SHAPES[1:2])


def orderly(*, seed=3, users=90):
    """Every user walks the items, one step a day; after item n comes item n + 1 (of all ITEMS)."""
    random = np.random.default_rng(seed)
    lists = []
    for _ in range(users):
        first, begins = random.integers(ITEMS), random.integers(4)
        days = range(int(begins), DAYS)
        lists.append([(int((first + day) % ITEMS), day * DAY) for day in days])
    histories = histories_of(*lists)
    split = split_by_time(histories, 20 * DAY, TEST * DAY)
    return platform_of(histories, ITEMS, split=split)


@pytest.fixture(scope="module")
def workspace():
    return Workspace(orderly(), max_events=10)


@pytest.fixture(autouse=True)
def _fewer_rows_than_in_life(monkeypatch):
    monkeypatch.setattr(lightgbm_ranker, "SHAPES", QUICK)
    monkeypatch.setattr(lightgbm_ranker, "CANDIDATES", 8)


def test_it_learns_an_order_that_popularity_does_not_know(workspace):
    steps = []
    made = fit_lightgbm(workspace, seed=5, advance=steps.append)
    test = Evaluator(workspace, "test")
    popular = test.scorer(fit_popularity(workspace).scorer("test")).mean_ndcg
    learned = test.scorer(made.scorer("test")).mean_ndcg
    assert learned > popular + 0.3
    assert learned > 0.6
    assert len(made.trials) == len(QUICK) * len(TREES)
    assert steps == [1] * len(QUICK)


def test_the_figure_of_its_choice_is_its_ranking(workspace):
    made = fit_lightgbm(workspace, seed=5)
    tuning = Evaluator(workspace, "validation", "tuning").scorer(made.scorer("validation"))
    assert made.chosen == best_trial(made.trials)
    assert tuning.mean_ndcg == pytest.approx(made.trials[made.chosen].ndcg, abs=1e-12)


def test_a_seed_gives_the_same_scores_and_another_one_others(workspace):
    users = Evaluator(workspace, "test").task.users
    one, same, other = (fit_lightgbm(workspace, seed=s).scorer("test")(users) for s in (5, 5, 6))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_nothing_of_the_test_window_is_in_its_scores(workspace):
    platform = workspace.platform
    late = platform.histories.times >= TEST * DAY
    items = np.where(late, (platform.histories.items + 11) % ITEMS, platform.histories.items)
    histories = replace(platform.histories, items=items.astype(np.int32))
    other = Workspace(replace(platform, histories=histories), workspace.max_events)
    users = Evaluator(workspace, "test").task.users
    before, after = (fit_lightgbm(w, seed=5).scorer("test")(users) for w in (workspace, other))
    np.testing.assert_array_equal(before, after)


def test_nothing_of_the_validation_window_trains_the_trees(workspace):
    """With other validation purchases the scores at that window stay, tree by tree."""
    platform = workspace.platform
    times, items = platform.histories.times, platform.histories.items
    inside = (times >= 20 * DAY) & (times < TEST * DAY)
    items = np.where(inside, (items + 11) % ITEMS, items).astype(np.int32)
    histories = replace(platform.histories, items=items)
    other = Workspace(replace(platform, histories=histories), workspace.max_events)
    users = Evaluator(workspace, "validation").task.users
    made = [fit_lightgbm(w, seed=5).scorer for w in (workspace, other)]
    trees = [replace(ranker, trees=50)("validation")(users) for ranker in made]
    np.testing.assert_array_equal(*trees)


def test_what_is_no_candidate_ranks_below_by_popularity(workspace):
    users = Evaluator(workspace, "test").task.users[:5]
    scores = fit_lightgbm(workspace, seed=5).scorer("test")(users)
    popular = fit_popularity(workspace).scorer("test")(users)
    rest = scores < FLOOR / 2
    np.testing.assert_array_equal(scores[rest], (FLOOR + popular)[rest])
    assert np.isfinite(scores).all()
    assert (rest.any(axis=1) & ~rest.all(axis=1)).all()


def test_without_anything_to_learn_it_ranks_by_popularity():
    lonely = Workspace(platform_of(histories_of([0, 1, 1], [1, 1, 1]), 4), max_events=6)
    users = np.array([0, 1])
    made = fit_lightgbm(lonely, seed=5)
    popular = fit_popularity(lonely)
    assert made.name == "lightgbm"
    np.testing.assert_array_equal(made.scorer("test")(users), popular.scorer("test")(users))
