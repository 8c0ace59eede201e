"""Day one of a platform that the federation never saw, in the form of results.json."""

from __future__ import annotations

from isthmus.progress import Progress
from isthmus.statistics import paired_bootstrap
from isthmus_client.day_one import SIZES, Day, measure_days, task_count
from isthmus_client.day_one_models import Recipe
from isthmus_client.ranker_model import RankerModel
from isthmus_client.ranking import Ranking
from isthmus_client.workspace import Workspace
from isthmus_simulations.plan import TrainingPlan
from isthmus_simulations.results import (
    Metrics,
    Newcomer,
    NewcomerModel,
    NewcomerSize,
    PairedDifference,
)

MODELS: tuple[NewcomerModel, ...] = (
    "prior",
    "release",
    "popularity",
    "item_knn",
    "local",
    "personalised",
)


def report_newcomer(
    workspace: Workspace,
    release: RankerModel,
    plan: TrainingPlan,
    progress: Progress,
    workers: int = 1,
) -> Newcomer:
    """What the release gives a newcomer, next to what it could train alone, for each size.

    Sizes beyond the platform's own number of training users are left out.
    """
    label, total = (
        f"newcomer {workspace.platform.name}",
        task_count(workspace, SIZES, everyone=False),
    )
    with progress.track(label, total) as advance:
        days = measure_days(workspace, release, recipe_of(plan), workers=workers, advance=advance)
    return Newcomer(
        platform=workspace.platform.name,
        test_users=days[0].models["release"].test.users.size,
        sizes=tuple(_size(day, plan.seed) for day in days),
    )


def recipe_of(plan: TrainingPlan) -> Recipe:
    """A simulation's way of training, for a platform at home."""
    return Recipe(
        plan.encoder,
        plan.settings,
        plan.ranker,
        plan.passes,
        plan.patience,
        plan.seed,
        ranker_start=plan.ranker_start,
    )


def _size(day: Day, seed: int) -> NewcomerSize:
    ranked = {name: day.models[name].test for name in MODELS if name in day.models}
    return NewcomerSize(
        users=day.users,
        models={name: Metrics.of(ranking) for name, ranking in ranked.items()},
        differences=_differences(ranked, seed),
    )


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
