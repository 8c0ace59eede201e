"""What a release gives a platform that took no part in it: from the catalogue alone to all users.

For each number of own users every model is fitted anew, with those users alone: they train, tune
and stop it. All sizes are tested on the same users, those of the platform's test window.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.progress import Advance
from isthmus.ranker import RankerConfig, initial_ranker
from isthmus_client.classical import fit_item_knn, fit_recent_popularity
from isthmus_client.contender import Contender
from isthmus_client.evaluate import Evaluator
from isthmus_client.local_training import train_alone
from isthmus_client.ranker_fitting import fit_ranker, fit_release
from isthmus_client.ranker_model import RankerModel, rank_models
from isthmus_client.ranker_trainer import RankerData, RankerTrainer
from isthmus_client.ranker_training import RankerSettings
from isthmus_client.ranking import Ranking
from isthmus_client.sasrec import SasRecSettings, fit_sasrec
from isthmus_client.sequences import Ints, Targets
from isthmus_client.training import Settings, generator
from isthmus_client.workspace import Workspace

SIZES: Final = (0, 100, 300, 1000)  # own users; 0 = the catalogue alone


@dataclass(frozen=True)
class Recipe:
    """How a platform trains at home, with the release or without it.

    Attributes:
        encoder: shapes of the release; the platform's own model gets the same.
        passes: over the training users, at most.
        patience: passes without a better validation before training stops.
    """

    encoder: EncoderConfig
    training: Settings
    ranker: RankerSettings
    passes: int
    patience: int
    seed: int
    sasrec: SasRecSettings = SasRecSettings()  # noqa: RUF009 - frozen


Measure = Callable[[Evaluator], Ranking]
Fit = Callable[[Workspace, RankerModel, Recipe], Measure]
"""Fits one model on a workspace's training users; the model is the release."""


@dataclass(frozen=True)
class Measured:
    """One model after fitting.

    Attributes:
        test: on the test window.
        gate: on the half of the validation users whom no choice has seen.
        seconds: of computing, to fit and tune it.
    """

    test: Ranking
    gate: Ranking
    seconds: float


@dataclass(frozen=True)
class Day:
    """Everything that the platform has with so many own users, by the models' names."""

    users: int
    models: Mapping[str, Measured]


def measure_days(
    workspace: Workspace,
    release: RankerModel,
    recipe: Recipe,
    *,
    sizes: Sequence[int] = SIZES,
    everyone: bool = False,
    with_users: Mapping[str, Fit] | None = None,
    workers: int = 1,
    advance: Advance = lambda _: None,
) -> tuple[Day, ...]:
    """Fit and measure every model at every size.

    Args:
        sizes: own users; those beyond the platform's own number are left out.
        everyone: whether all own users are the last size.
        with_users: what to fit where there are users; None = `WITH_USERS`.
        workers: models that are fitted at the same time.
        advance: called with 1 after each of `task_count` models.
    """
    fits = WITH_USERS if with_users is None else with_users
    counts = _sizes(workspace, sizes, everyone)
    tasks = [
        (day, name, fit)
        for day in (_first_users(workspace, count, recipe.seed) for count in counts)
        for name, fit in {**WITHOUT_USERS, **(fits if _users(day).size else {})}.items()
    ]

    def one(task: tuple[Workspace, str, Fit]) -> Measured:
        measured = measure(task[0], task[2], release, recipe)
        advance(1)
        return measured

    # The longest first: with two workers the last one left is then short.
    with ThreadPoolExecutor(workers, thread_name_prefix="day") as pool:
        found = list(pool.map(one, reversed(tasks)))[::-1]
    models: dict[int, dict[str, Measured]] = {count: {} for count in counts}
    for (day, name, _), measured in zip(tasks, found, strict=True):
        models[_users(day).size][name] = measured
    return tuple(Day(count, models[count]) for count in counts)


def task_count(
    workspace: Workspace,
    sizes: Sequence[int],
    *,
    everyone: bool,
    with_users: Mapping[str, Fit] | None = None,
) -> int:
    """Models that `measure_days` fits: steps of its progress."""
    fitted = WITH_USERS if with_users is None else with_users
    counts = _sizes(workspace, sizes, everyone)
    return sum(len(WITHOUT_USERS) + len(fitted) * bool(size) for size in counts)


def _sizes(workspace: Workspace, sizes: Sequence[int], everyone: bool) -> tuple[int, ...]:
    """Sizes that the platform can show, in ascending order, each once."""
    total = int(workspace.sequences.training_users.size)
    kept = {size for size in sizes if size <= total}
    return tuple(sorted(kept | ({total} if everyone else set())))


def _first_users(workspace: Workspace, size: int, seed: int) -> Workspace:
    """The platform when so many users had come; a larger size holds the users of a smaller one."""
    everyone = workspace.sequences.training_users
    order = generator(seed, "newcomer", workspace.platform.name).permutation(everyone)
    return replace(workspace, training_users=np.sort(order[:size]))


def _users(workspace: Workspace) -> Ints:
    users = workspace.training_users
    assert users is not None, "a newcomer's users are counted"
    return users


def measure(workspace: Workspace, fit: Fit, release: RankerModel, recipe: Recipe) -> Measured:
    """Fit one model, then rank for the test window's users and for those who decide the gate."""
    started = time.thread_time()
    rank = fit(workspace, release, recipe)
    seconds = time.thread_time() - started
    gate = rank(Evaluator(workspace, "validation", "gate"))
    return Measured(rank(Evaluator(workspace, "test")), gate, seconds)


def _prior(_workspace: Workspace, _release: RankerModel, recipe: Recipe) -> Measure:
    initial = initial_encoder(recipe.encoder, recipe.seed)
    return lambda evaluator: evaluator.content(initial)


def _release(_workspace: Workspace, release: RankerModel, _recipe: Recipe) -> Measure:
    return lambda evaluator: _ranked(evaluator, release)


def _ranked(evaluator: Evaluator, model: RankerModel) -> Ranking:
    """An encoder with its ranker."""
    models = {"": model}
    return rank_models(evaluator.workspace, evaluator.window, evaluator.task, models)[""]


def _popularity(_workspace: Workspace, _release: RankerModel, _recipe: Recipe) -> Measure:
    return lambda evaluator: evaluator.popularity()


def _item_knn(workspace: Workspace, _release: RankerModel, _recipe: Recipe) -> Measure:
    return of_contender(fit_item_knn(workspace))


def _recent_popularity(workspace: Workspace, _release: RankerModel, _recipe: Recipe) -> Measure:
    return of_contender(fit_recent_popularity(workspace))


def fit_both_sasrec(workspace: Workspace, _release: RankerModel, recipe: Recipe) -> Measure:
    """SASRec with either kind of training target, the better one by the tuning users."""
    kinds: tuple[Targets, ...] = ("next", "horizon")
    settings = [replace(recipe.sasrec, targets=kind) for kind in kinds]
    found = [fit_sasrec(workspace, each, seed=recipe.seed) for each in settings]
    return of_contender(max(found, key=lambda one: one.trials[one.chosen].ndcg or 0.0))


def _local(workspace: Workspace, _release: RankerModel, recipe: Recipe) -> Measure:
    alone = train_alone(
        workspace,
        recipe.encoder,
        recipe.training,
        epochs=recipe.passes,
        patience=recipe.patience,
        seed=recipe.seed,
    )
    start = RankerModel(alone.encoder, initial_ranker(RankerConfig(), recipe.seed))
    return _fitted(workspace, start, recipe, released=False)


def _personalised(workspace: Workspace, release: RankerModel, recipe: Recipe) -> Measure:
    return _fitted(workspace, release, recipe, released=True)


def _fitted(workspace: Workspace, start: RankerModel, recipe: Recipe, *, released: bool) -> Measure:
    """An encoder with its ranker fitted on the platform's own users."""
    trainer = RankerTrainer(RankerData(workspace, recipe.seed, recipe.ranker), start.encoder)
    epochs, patience, seed = recipe.passes, recipe.patience, recipe.seed
    if released:
        fitted = fit_release(trainer, start.ranker, epochs=epochs, patience=patience, seed=seed)
    else:
        fitted = fit_ranker(
            trainer, start.ranker, epochs=epochs, patience=patience, seed=seed, careful=False
        )
    model = replace(start, ranker=fitted.ranker)
    return lambda evaluator: _ranked(evaluator, model)


def of_contender(contender: Contender) -> Measure:
    """A contender as a measure."""
    return lambda evaluator: evaluator.scorer(contender.scorer(evaluator.window))


WITHOUT_USERS: Final[Mapping[str, Fit]] = {"prior": _prior, "release": _release}
"""What needs a catalogue and nobody's history but the asking user's own."""

WITH_USERS: Final[Mapping[str, Fit]] = {
    "popularity": _popularity,
    "item_knn": _item_knn,
    "local": _local,
    "personalised": _personalised,
}
"""What needs users of one's own; a further model is a line here."""

STRONG: Final[Mapping[str, Fit]] = {
    "recent_popularity": _recent_popularity,
    "sasrec": fit_both_sasrec,
    **WITH_USERS,
}
"""With the baselines that take longer, or that a simulation measures elsewhere."""

OWN: Final = ("popularity", "recent_popularity", "item_knn", "prior", "sasrec", "local")
"""What a platform has without the release; a tie goes to the earlier one."""
