"""A moment at which signals are taken: what lies before it is known, what follows is predicted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from isthmus_client.histories import Histories, Split, split_by_time
from isthmus_client.ranking import Task, Window, build_task, window_bounds
from isthmus_client.sequences import Ints
from isthmus_client.workspace import Workspace

INNER_SHARES = (0.12, 0.24, 0.36)  # of the training events, that lie after each inner cut
FEW_USERS = (0, 30, 100, 300, 1000)  # behind the statistics of a young platform


@dataclass(frozen=True)
class Cut:
    """One moment of a platform.

    Attributes:
        stop: first event position of each user that is not known yet. (users,)
        counted: the same for statistics over users; empty histories for those who do not train.
            (users,)
        end: where what is to be predicted ends. (users,)
    """

    stop: Ints
    counted: Ints
    end: Ints

    @cached_property
    def key(self) -> bytes:
        """Names what is known at the cut, whatever is predicted from it. 16 bytes."""
        known = hashlib.blake2b(self.stop.tobytes(), digest_size=16)
        known.update(self.counted.tobytes())
        return known.digest()


def window_cut(workspace: Workspace, window: Window) -> Cut:
    """The moment at which a window begins: all that came before it is known, as in serving."""
    histories = workspace.platform.histories
    start, end = window_bounds(histories, workspace.split, window)
    return Cut(start, workspace.counted_before(window), end)


def inner_cuts(workspace: Workspace) -> tuple[Cut, ...]:
    """Moments inside the training window, the latest first; each predicts up to the one before.

    A ranker learns at them what it will be asked at the validation window: signals of what lay
    before, targets of what came then. Without times there is one, at each user's last training
    event.
    """
    histories, split = workspace.platform.histories, workspace.split
    if not histories.timed:
        stop = np.maximum(split.train_stop - 1, histories.offsets[:-1])
        return (Cut(stop, _counted(workspace, stop), split.train_stop),)
    cuts, end = [], split.train_stop
    for moment in _moments(histories, workspace.training_stop):
        stop = np.minimum(split_by_time(histories, moment, moment + 1).train_stop, end)
        cuts.append(Cut(stop, _counted(workspace, stop), end))
        end = stop
    return tuple(cuts)


def few_users_cuts(workspace: Workspace, random: np.random.Generator) -> tuple[Cut, ...]:
    """The latest inner cut with statistics over a few drawn users alone.

    What a young platform has: a ranker learns here how far to trust signals that nobody, or hardly
    anybody, stands behind. Who is asked about stays the same.

    Args:
        random: draws who counts.
    """
    cuts = inner_cuts(workspace)[:1]
    training = workspace.sequences.training_users
    order = random.permutation(training)
    sizes = [size for size in FEW_USERS if size < training.size]
    return tuple(
        replace(cut, counted=_only(cut, workspace, order[:n])) for cut in cuts for n in sizes
    )


def _only(cut: Cut, workspace: Workspace, users: Ints) -> Ints:
    """What counts at a cut if nobody but these users does. (users,)."""
    counted = workspace.platform.histories.offsets[:-1].copy()
    counted[users] = cut.counted[users]
    return counted


def _moments(histories: Histories, training_stop: Ints) -> list[int]:
    """Unix seconds of the inner cuts, the latest first; equal ones once.

    Args:
        training_stop: one past the last event of each user who trains. (users,)
    """
    user = np.repeat(np.arange(histories.users), np.diff(histories.offsets))
    times = histories.times[np.arange(histories.events) < training_stop[user]]
    if not times.size:
        return []
    found = np.quantile(times, [1 - share for share in INNER_SHARES]).astype(np.int64)
    return sorted({int(moment) for moment in found}, reverse=True)


def _counted(workspace: Workspace, stop: Ints) -> Ints:
    """`stop` for users who train, an empty history for all others."""
    if workspace.training_users is None:
        return stop
    counted = workspace.platform.histories.offsets[:-1].copy()
    counted[workspace.training_users] = stop[workspace.training_users]
    return counted


def task_of(workspace: Workspace, cut: Cut) -> Task:
    """Training users with something new to them after the cut, and what that is."""
    histories = workspace.platform.histories
    split = Split(workspace.split.kind, cut.stop, cut.end)
    return build_task(
        histories, split, "validation", workspace.items, users=workspace.training_users
    )
