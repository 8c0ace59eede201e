"""The upper bound: one encoder trained on everybody's raw histories in one place.

This is what platforms may not do; it tells how much the federation leaves on the table.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from isthmus.border import split
from isthmus.encoder import SharedEncoder, initial_encoder
from isthmus.progress import Advance
from isthmus_client.computing import stopwatch
from isthmus_client.evaluate import Evaluator
from isthmus_client.local_training import CurvePoint, Keeper
from isthmus_client.training import batches, generator, optimiser_for, train_content
from isthmus_client.workspace import Workspace
from isthmus_simulations.plan import TrainingPlan
from isthmus_simulations.stages import Trained


def train_pooled(workspaces: Sequence[Workspace], plan: TrainingPlan, advance: Advance) -> Trained:
    """Train on all platforms' batches in random order, stopped by the mean relative validation.

    A batch comes from one platform, with negatives from that platform's catalogue.
    """
    spent = stopwatch()
    shared = initial_encoder(plan.encoder, plan.seed)
    evaluators = [Evaluator(w, "validation", purpose="tuning") for w in workspaces]
    optimiser, keeper = optimiser_for(shared, plan.settings), Keeper(plan.patience)
    random = generator(plan.seed, "pooled")
    scores = [_scores(shared, evaluators)]
    keeper.note(0.0, _progress(scores), shared.state_dict())
    for epoch in range(1, plan.passes + 1):
        for workspace, users in _mixed(workspaces, plan, random):
            train_content(
                shared,
                workspace.sequences,
                workspace.content,
                [users],
                settings=plan.settings,
                random=random,
                optimiser=optimiser,
            )
        scores.append(_scores(shared, evaluators))
        advance(1)
        if keeper.note(float(epoch), _progress(scores), shared.state_dict()):
            break
    shared.load_state_dict(keeper.restore())
    curves = _curves(workspaces, keeper, scores)
    best, seconds = keeper.curve[keeper.best].step, spent()
    return Trained(split(shared)[0], curves, best, seconds)


def _mixed(
    workspaces: Sequence[Workspace], plan: TrainingPlan, random: np.random.Generator
) -> list[tuple[Workspace, npt.NDArray[np.int64]]]:
    """One pass over everybody: every platform's batches, shuffled together."""
    parts = [
        (workspace, users)
        for workspace in workspaces
        for users in batches(workspace.sequences.training_users, plan.settings, 1.0, random)
    ]
    return [parts[place] for place in random.permutation(len(parts))]


def _scores(shared: SharedEncoder, evaluators: Sequence[Evaluator]) -> list[float | None]:
    return [evaluator.content(shared).mean_ndcg for evaluator in evaluators]


def _progress(scores: Sequence[Sequence[float | None]]) -> float | None:
    """Mean over platforms of the latest score relative to the first; None if nobody has one."""
    pairs = zip(scores[-1], scores[0], strict=True)
    ratios = [last / first for last, first in pairs if last is not None and first]
    return float(np.mean(ratios)) if ratios else None


def _curves(
    workspaces: Sequence[Workspace], keeper: Keeper, scores: Sequence[Sequence[float | None]]
) -> dict[str, tuple[CurvePoint, ...]]:
    """Each platform's own curve."""
    return {
        workspace.platform.name: tuple(
            CurvePoint(point.step, point.seconds, row[place])
            for point, row in zip(keeper.curve, scores, strict=True)
        )
        for place, workspace in enumerate(workspaces)
    }
