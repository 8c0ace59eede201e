"""Cuts lie inside the training window, the latest first, and each predicts up to the one before."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from planted_histories import histories_of, platform_of, random_platform

from isthmus_client.evaluate import Evaluator
from isthmus_client.histories import split_by_time
from isthmus_client.signals.cut import (
    FEW_USERS,
    INNER_SHARES,
    few_users_cuts,
    inner_cuts,
    task_of,
    window_cut,
)
from isthmus_client.workspace import Workspace


def timed_workspace(**settings):
    """Two users with an event a minute, a hundred in all; training ends at minute 40."""
    users = [[(k % 9, 60 * k) for k in range(50)], [((k + 3) % 9, 60 * k) for k in range(50)]]
    histories = histories_of(*users)
    platform = platform_of(histories, 9, split=split_by_time(histories, 40 * 60, 45 * 60))
    return Workspace(platform, 6, **settings)


def test_inner_cuts_leave_their_shares_of_the_training_events():
    workspace = timed_workspace()
    cuts = inner_cuts(workspace)
    assert len(cuts) == len(INNER_SHARES)
    trained = workspace.split.train_stop - workspace.platform.histories.offsets[:-1]
    for cut, share in zip(cuts, INNER_SHARES, strict=True):
        after = (workspace.split.train_stop - cut.stop).sum() / trained.sum()
        assert abs(after - share) < 0.03


def test_each_cut_predicts_up_to_the_one_before():
    workspace = timed_workspace()
    cuts = inner_cuts(workspace)
    assert (cuts[0].end == workspace.split.train_stop).all()
    for later, earlier in itertools.pairwise(cuts):
        assert (earlier.end == later.stop).all()
        assert (earlier.stop < earlier.end).all()


def test_no_moment_is_on_both_sides():
    """Purchases of one basket share a moment: none is split between signals and targets."""
    users = [[(item, 100 * basket) for basket in range(8) for item in range(4)] for _ in range(3)]
    histories = histories_of(*users)
    workspace = Workspace(platform_of(histories, 4, split=split_by_time(histories, 700, 701)), 6)
    cuts = inner_cuts(workspace)
    assert cuts
    for cut in cuts:
        assert (histories.times[cut.stop - 1] < histories.times[cut.stop]).all()


def test_without_times_the_last_training_event_is_asked_for():
    platform = platform_of(histories_of([0, 1, 2, 3], [4], [], timed=False), 5)
    (cut,) = inner_cuts(Workspace(platform, 6))
    assert cut.stop.tolist() == [1, 4, 5]
    assert cut.end.tolist() == platform.split.train_stop.tolist() == [2, 5, 5]


@pytest.mark.parametrize("window", ["validation", "test"])
def test_a_window_is_cut_where_it_is_ranked(window):
    workspace = Workspace(random_platform(users=20, items=30), 6)
    made, task = (
        task_of(workspace, window_cut(workspace, window)),
        Evaluator(workspace, window).task,
    )
    assert made.users.tolist() == task.users.tolist()
    assert (made.targets != task.targets).nnz == 0
    assert (made.history != task.history).nnz == 0


def test_targets_are_never_in_the_history():
    workspace = Workspace(random_platform(users=40, items=9), 6)
    tasks = [task_of(workspace, cut) for cut in inner_cuts(workspace)]
    assert sum(task.users.size for task in tasks) > 20
    assert not any(task.history.multiply(task.targets).nnz for task in tasks)


def test_who_does_not_train_counts_for_nothing_and_is_not_asked():
    workspace = timed_workspace(training_users=np.array([1]))
    starts = workspace.platform.histories.offsets[:-1]
    for cut in (*inner_cuts(workspace), window_cut(workspace, "test")):
        assert cut.counted[0] == starts[0]
        assert cut.counted[1] == cut.stop[1]
    assert all(set(task_of(workspace, c).users.tolist()) <= {1} for c in inner_cuts(workspace))


def test_moments_are_of_those_who_train():
    workspace = timed_workspace(training_users=np.array([1]))
    histories = workspace.platform.histories
    early = np.where(np.arange(histories.events) < 50, 0, histories.times)
    other = replace(
        workspace, platform=replace(workspace.platform, histories=replace(histories, times=early))
    )
    for one, two in zip(inner_cuts(workspace), inner_cuts(other), strict=True):
        assert one.stop[1] == two.stop[1]


def test_nobody_who_trains_means_no_cut():
    assert inner_cuts(timed_workspace(training_users=np.zeros(0, np.int64))) == ()


def test_few_users_count_and_everybody_is_asked_as_before():
    workspace = Workspace(random_platform(users=130, items=30), 6)
    (latest, *_), training = inner_cuts(workspace), workspace.sequences.training_users
    starts = workspace.platform.histories.offsets[:-1]
    cuts = few_users_cuts(workspace, np.random.default_rng(1))
    sizes = [size for size in FEW_USERS if size < training.size]
    assert len(cuts) == len(sizes) >= 3
    seen = set()
    for cut, size in zip(cuts, sizes, strict=True):
        assert np.array_equal(cut.stop, latest.stop)
        assert np.array_equal(cut.end, latest.end)
        counts = np.flatnonzero(cut.counted != starts)
        assert counts.size <= size
        assert np.array_equal(cut.counted[counts], latest.counted[counts])
        assert seen <= set(counts.tolist()) <= set(training.tolist())  # more and more of them
        seen = set(counts.tolist())
    assert len(seen) > 50


def test_a_platform_of_few_has_no_cut_of_more():
    workspace = timed_workspace(training_users=np.array([1]))
    (cut,) = few_users_cuts(workspace, np.random.default_rng(1))
    assert np.array_equal(cut.counted, workspace.platform.histories.offsets[:-1])
    nobody = timed_workspace(training_users=np.zeros(0, np.int64))
    assert few_users_cuts(nobody, np.random.default_rng(1)) == ()
