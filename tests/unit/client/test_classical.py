"""Tuned baselines: counts against slow truths, grids, and what a window may know."""

from dataclasses import replace

import numpy as np
import pytest
from planted_histories import PURCHASE, histories_of, platform_of, random_platform

from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus_client.baselines import (
    DAY,
    fewer_neighbours,
    item_similarity,
    recency_weights,
    recent_popularity,
)
from isthmus_client.classical import (
    KNN_DECAYS,
    NEIGHBOURS,
    PRIOR_DECAYS,
    SHRINKAGES,
    fit_item_knn,
    fit_own_history,
    fit_popularity,
    fit_prior,
    fit_recent_popularity,
)
from isthmus_client.contender import best_trial
from isthmus_client.evaluate import Evaluator
from isthmus_client.workspace import Workspace

FITS = (fit_popularity, fit_recent_popularity, fit_own_history, fit_item_knn, fit_prior)


@pytest.fixture
def workspace():
    return Workspace(random_platform(users=60, items=30, seed=4), max_events=6)


def test_recency_weights_are_those_of_a_loop():
    histories = histories_of([2, 0, 2, 1], [1])
    stop = np.array([4, 5])
    sums = recency_weights(histories, stop, 3, decay=0.5, repeats=True).toarray()
    np.testing.assert_allclose(sums, [[0.25, 1.0, 0.125 + 0.5], [0, 1, 0]])
    last = recency_weights(histories, stop, 3, decay=0.5).toarray()
    np.testing.assert_allclose(last, [[0.25, 1.0, 0.5], [0, 1, 0]])
    latest = recency_weights(histories, stop, 3, decay=0.5, latest=2, repeats=True).toarray()
    np.testing.assert_allclose(latest, [[0, 1.0, 0.5], [0, 1, 0]])
    earlier = recency_weights(histories, np.array([1, 4]), 3, decay=0.5).toarray()
    np.testing.assert_allclose(earlier, [[0, 0, 1], [0, 0, 0]])


@pytest.mark.parametrize(("adoption", "first_item"), [(False, 0.5), (True, 0.125)])
def test_an_encounter_halves_with_every_half_life(adoption, first_item):
    one = [(0, 0, PURCHASE), (0, 20 * DAY, PURCHASE), (1, 30 * DAY, PURCHASE)]
    two = [(1, 10 * DAY, PURCHASE)]
    histories = histories_of(one, two)
    found = recent_popularity(
        histories, histories.offsets[1:], 2, half_life=10.0, adoption=adoption
    )
    np.testing.assert_allclose(found, [first_item, 1.25])


def test_without_times_every_user_counts_fully():
    histories = histories_of([0, 0, 1], [1], timed=False)
    found = recent_popularity(histories, histories.offsets[1:], 3, half_life=0.001)
    np.testing.assert_allclose(found, [1, 2, 0])


@pytest.mark.parametrize("neighbours", [1, 3, 8])
def test_fewer_neighbours_are_those_that_were_kept_from_the_start(workspace, neighbours):
    wide = item_similarity(workspace.counts, neighbours=20, shrinkage=3.0)
    narrow = item_similarity(workspace.counts, neighbours=neighbours, shrinkage=3.0)
    assert (fewer_neighbours(wide, neighbours) != narrow).nnz == 0


@pytest.mark.parametrize("fit", FITS)
def test_the_best_of_the_grid_is_ranked_and_its_figure_is_its_ranking(workspace, fit):
    made = fit(workspace)
    assert made.chosen == best_trial(made.trials)
    again = Evaluator(workspace, "validation", "tuning").scorer(made.scorer("validation"))
    assert again.mean_ndcg == pytest.approx(made.trials[made.chosen].ndcg, abs=1e-12)
    assert made.trials[made.chosen].ndcg == max(trial.ndcg for trial in made.trials)


def test_grids_are_whole_and_begin_with_the_usual(workspace):
    knn = [dict(trial.settings) for trial in fit_item_knn(workspace).trials]
    assert len(knn) == len(NEIGHBOURS) * len(SHRINKAGES) + len(KNN_DECAYS)
    assert knn[0] == {"neighbours": 100, "shrinkage": 10.0, "decay": 1.0}
    assert len({tuple(trial.items()) for trial in knn}) == len(knn)
    prior = [trial.settings["decay"] for trial in fit_prior(workspace).trials]
    assert prior == list(PRIOR_DECAYS)


def test_the_priors_first_configuration_is_an_encoder_at_round_zero(workspace):
    fresh = initial_encoder(EncoderConfig(content=6, dim=8, layers=1, heads=2, max_events=6), 2)
    start = Evaluator(workspace, "validation", "tuning").content(fresh).mean_ndcg
    assert fit_prior(workspace).trials[0].ndcg == pytest.approx(start, abs=1e-9)


@pytest.mark.parametrize("fit", FITS)
def test_a_window_is_ranked_without_its_own_events(workspace, fit):
    """Events from the window on are replaced; the scores of its users stay as they are."""
    platform = workspace.platform
    users = Evaluator(workspace, "test").task.users
    later = np.arange(platform.histories.events) >= np.repeat(
        platform.split.validation_stop, np.diff(platform.histories.offsets)
    )
    items = np.where(later, (platform.histories.items + 7) % workspace.items, 0)
    items = np.where(later, items, platform.histories.items).astype(np.int32)
    changed = replace(platform, histories=replace(platform.histories, items=items))
    other = Workspace(changed, workspace.max_events)
    before, after = fit(workspace).scorer("test")(users), fit(other).scorer("test")(users)
    np.testing.assert_array_equal(before, after)


def test_the_test_window_knows_the_validation_events(workspace):
    platform = workspace.platform
    between = np.arange(platform.histories.events) == np.repeat(
        platform.split.train_stop, np.diff(platform.histories.offsets)
    )
    bought = np.bincount(platform.histories.items[between], minlength=workspace.items)
    made = fit_popularity(workspace)
    before, after = (made.scorer(window)(np.array([0]))[0] for window in ("validation", "test"))
    assert (after >= before).all()
    assert np.all((after > before) <= (bought > 0))
    assert (after > before).any()


def test_users_who_do_not_train_are_not_counted(workspace):
    few = Workspace(workspace.platform, workspace.max_events, np.arange(10))
    scores = fit_popularity(few).scorer("test")(np.array([0]))[0]
    assert scores.max() <= 10


def test_a_platform_without_tuning_users_takes_the_first_configuration():
    lonely = Workspace(platform_of(histories_of([0, 1], [1, 2]), 4), max_events=6)
    for fit in FITS:
        made = fit(lonely)
        assert made.chosen == 0
        assert made.trials[0].ndcg is None
