"""Day one of a platform that the federation never saw: catalogue only, then a few own users."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from isthmus.encoder import SharedEncoder, initial_encoder
from isthmus.progress import Progress
from isthmus.statistics import paired_bootstrap
from isthmus_client.evaluate import KNN_NEIGHBOURS, Evaluator
from isthmus_client.local_training import train_alone
from isthmus_client.personalise import personalise
from isthmus_client.ranking import Ranking
from isthmus_client.training import generator
from isthmus_client.workspace import Workspace
from isthmus_simulations.plan import TrainingPlan
from isthmus_simulations.results import (
    Metrics,
    Newcomer,
    NewcomerModel,
    NewcomerSize,
    PairedDifference,
)

SIZES = (0, 100, 300, 1000)  # own users; 0 = the catalogue alone
WITH_RELEASE = "personalised - local"


def report_newcomer(
    workspace: Workspace, release: SharedEncoder, plan: TrainingPlan, progress: Progress
) -> Newcomer:
    """What the release gives a newcomer, next to what it could train alone, for each size.

    Every size is tested on the same users, all of the test window's; only training, tuning and
    early stopping are limited to the newcomer's first users. Sizes beyond the platform's own
    number of training users are left out.
    """
    everyone = workspace.sequences.training_users
    order = generator(plan.seed, "newcomer", workspace.platform.name).permutation(everyone)
    sizes = [size for size in SIZES if size <= everyone.size]
    with progress.track(f"newcomer {workspace.platform.name}", len(sizes)) as advance:
        reports = []
        for size in sizes:
            few = replace(workspace, training_users=np.sort(order[:size]))
            reports.append(_size(few, release, plan, size))
            advance(1)
    users = Evaluator(workspace, "test").task.users.size
    return Newcomer(platform=workspace.platform.name, test_users=users, sizes=tuple(reports))


def _size(
    workspace: Workspace, release: SharedEncoder, plan: TrainingPlan, users: int
) -> NewcomerSize:
    test = Evaluator(workspace, "test")
    ranked: dict[NewcomerModel, Ranking] = {
        "prior": test.content(initial_encoder(plan.encoder, plan.seed)),
        "release": test.content(release),
    }
    if users:
        ranked |= _with_users(workspace, test, release, plan)
    return NewcomerSize(
        users=users,
        models={name: Metrics.of(ranking) for name, ranking in ranked.items()},
        differences=_differences(ranked, plan.seed),
    )


def _with_users(
    workspace: Workspace, test: Evaluator, release: SharedEncoder, plan: TrainingPlan
) -> dict[NewcomerModel, Ranking]:
    """Models that need the newcomer's own users."""
    alone = train_alone(
        workspace,
        plan.encoder,
        plan.settings,
        epochs=plan.passes,
        patience=plan.patience,
        seed=plan.seed,
    )
    local = personalise(workspace, alone.encoder, plan.head, seed=plan.seed)
    own = personalise(workspace, release, plan.head, seed=plan.seed)
    return {
        "popularity": test.popularity(),
        "item_knn": test.item_knn(KNN_NEIGHBOURS[0]),
        "local": test.model(local.model),
        "personalised": test.model(own.model),
    }


def _differences(ranked: dict[NewcomerModel, Ranking], seed: int) -> dict[str, PairedDifference]:
    """The release against what the newcomer has without it."""
    pairs: list[tuple[NewcomerModel, NewcomerModel]] = [("release", "prior")]
    pairs += [("personalised", "local")] if "local" in ranked else []
    if not ranked["prior"].users.size:
        return {}
    return {
        f"{a} - {b}": PairedDifference.of(
            paired_bootstrap(ranked[a].ndcg, ranked[b].ndcg, seed=seed)
        )
        for a, b in pairs
    }
