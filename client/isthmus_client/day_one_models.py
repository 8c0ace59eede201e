"""What is fitted on a newcomer's first day: each model, and which of them share their work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.ranker_public import RankerStart, starting_ranker
from isthmus_client.classical import fit_item_knn, fit_recent_popularity
from isthmus_client.computing import stopwatch
from isthmus_client.contender import Contender
from isthmus_client.evaluate import Evaluator
from isthmus_client.local_training import train_alone
from isthmus_client.ranker_fitting import at_home, fit_ranker
from isthmus_client.ranker_model import RankerModel
from isthmus_client.ranker_trainer import RankerData, RankerTrainer
from isthmus_client.ranker_training import RankerSettings
from isthmus_client.ranking import Ranking
from isthmus_client.sasrec import SasRecSettings, fit_sasrec
from isthmus_client.sequences import Targets
from isthmus_client.training import Settings
from isthmus_client.workspace import Workspace


@dataclass(frozen=True)
class Recipe:
    """How a platform trains at home, with the release or without it.

    Attributes:
        encoder: shapes of the release; the platform's own model gets the same.
        passes: over the training users, at most.
        patience: passes without a better validation before training stops.
        ranker_start: of the platform's own ranker, so that a release is not praised for what
            comes with the installation.
    """

    encoder: EncoderConfig
    training: Settings
    ranker: RankerSettings
    passes: int
    patience: int
    seed: int
    sasrec: SasRecSettings = SasRecSettings()  # noqa: RUF009 - frozen
    ranker_start: RankerStart = "mixture"


Value = TypeVar("Value")
Measure = Callable[[Evaluator], Ranking]
Fit = Callable[[Workspace, RankerModel, Recipe], Measure | RankerModel]
"""Fits one model on a workspace's training users; the model is the release."""


@dataclass(frozen=True)
class Fitted:
    """One model after fitting, before it is measured.

    Attributes:
        model: a ranker model, so that all of a day are ranked in one go, or a way to rank.
        seconds: of computing, to fit and tune it, with all that it would need if it were alone.
    """

    model: Measure | RankerModel
    seconds: float


@dataclass(frozen=True)
class Family:
    """Models that are fitted one after the other because they share work.

    Attributes:
        names: of the models.
        fit: as `Fit`, for all of them; keys are `names`.
    """

    names: tuple[str, ...]
    fit: Callable[[Workspace, RankerModel, Recipe], Mapping[str, Fitted]]


def single(name: str, fit: Fit) -> Family:
    """A model that shares nothing."""

    def timed(workspace: Workspace, release: RankerModel, recipe: Recipe) -> dict[str, Fitted]:
        return {name: Fitted(*_timed(0.0, lambda: fit(workspace, release, recipe)))}

    return Family((name,), timed)


def _prior(_workspace: Workspace, _release: RankerModel, recipe: Recipe) -> Measure:
    initial = initial_encoder(recipe.encoder, recipe.seed)
    return lambda evaluator: evaluator.content(initial)


def _release(_workspace: Workspace, release: RankerModel, _recipe: Recipe) -> RankerModel:
    return release


def _popularity(_workspace: Workspace, _release: RankerModel, _recipe: Recipe) -> Measure:
    return lambda evaluator: evaluator.popularity()


def _item_knn(workspace: Workspace, _release: RankerModel, _recipe: Recipe) -> Measure:
    return of_contender(fit_item_knn(workspace))


def _recent_popularity(workspace: Workspace, _release: RankerModel, _recipe: Recipe) -> Measure:
    return of_contender(fit_recent_popularity(workspace))


def fit_both_sasrec(workspace: Workspace, _release: RankerModel, recipe: Recipe) -> Measure:
    """SASRec with either kind of training target, the better one by the tuning users."""
    return of_contender(_better_sasrec(workspace, recipe))


def _better_sasrec(workspace: Workspace, recipe: Recipe) -> Contender:
    kinds: tuple[Targets, ...] = ("next", "horizon")
    settings = [replace(recipe.sasrec, targets=kind) for kind in kinds]
    found = [fit_sasrec(workspace, each, seed=recipe.seed) for each in settings]
    return max(found, key=lambda one: one.trials[one.chosen].ndcg or 0.0)


def fit_both_rankers(
    workspace: Workspace, release: RankerModel, recipe: Recipe
) -> dict[str, Fitted]:
    """The platform's own model and the release with what is added at home, on the same signals.

    The signals are made once and count for both.
    """
    data, made = _timed(0.0, lambda: _signals(workspace, recipe))
    return _both(data, release, recipe, None, made)


def fit_with_sasrec(
    workspace: Workspace, release: RankerModel, recipe: Recipe
) -> dict[str, Fitted]:
    """SASRec, and both rankers with its ranks fused in where that surely helps (`at_home`).

    What the three share is made once and counts for each that needs it.
    """
    own, before = _timed(0.0, lambda: _better_sasrec(workspace, recipe))
    data, made = _timed(before, lambda: _signals(workspace, recipe))

    return {
        "sasrec": Fitted(of_contender(own), before),
        **_both(data, release, recipe, own, made),
    }


def _both(
    data: RankerData,
    release: RankerModel,
    recipe: Recipe,
    own: Contender | None,
    before: float,
) -> dict[str, Fitted]:
    """The own model and the release, each with all that is added at home, and its seconds."""

    def finished(model: RankerModel) -> RankerModel:
        return at_home(RankerTrainer(data, model.encoder), model, own, seed=recipe.seed)

    return {
        "local": Fitted(*_timed(before, lambda: finished(_local(data, recipe)))),
        "personalised": Fitted(*_timed(before, lambda: finished(release))),
    }


def _signals(workspace: Workspace, recipe: Recipe) -> RankerData:
    """What rankers learn from and are judged by."""
    data = RankerData(workspace, recipe.seed, recipe.ranker)
    data.make()
    return data


def _timed(before: float, work: Callable[[], Value]) -> tuple[Value, float]:
    """The value of some work, and its seconds of computing with those spent before."""
    spent = stopwatch()
    value = work()
    return value, before + spent()


def _local(data: RankerData, recipe: Recipe) -> RankerModel:
    """The platform's own encoder and ranker, trained on its users alone."""
    epochs, patience, seed = recipe.passes, recipe.patience, recipe.seed
    alone = train_alone(
        data.workspace,
        recipe.encoder,
        recipe.training,
        epochs=epochs,
        patience=patience,
        seed=seed,
    )
    start = starting_ranker(recipe.ranker_start, seed)
    trainer = RankerTrainer(data, alone.encoder)
    fitted = fit_ranker(trainer, start, epochs=epochs, patience=patience, seed=seed)
    return RankerModel(alone.encoder, fitted.ranker)


def of_contender(contender: Contender) -> Measure:
    """A contender as a measure."""
    return lambda evaluator: evaluator.scorer(contender.scorer(evaluator.window))


def names(families: Sequence[Family]) -> tuple[str, ...]:
    """Every model of some families."""
    return tuple(name for family in families for name in family.names)


WITHOUT_USERS: Final = (single("prior", _prior), single("release", _release))
"""What needs a catalogue and nobody's history but the asking user's own."""

WITH_USERS: Final = (
    single("popularity", _popularity),
    single("item_knn", _item_knn),
    Family(("local", "personalised"), fit_both_rankers),
)
"""What needs users of one's own; a further model is a line here."""

STRONG: Final = (
    single("popularity", _popularity),
    single("recent_popularity", _recent_popularity),
    single("item_knn", _item_knn),
    Family(("sasrec", "local", "personalised"), fit_with_sasrec),
)
"""With the baselines that take longer, or that a simulation measures elsewhere, and with a sequence
model of the platform's own beside its rankers."""

OWN: Final = ("popularity", "recent_popularity", "item_knn", "prior", "sasrec", "local")
"""What a platform has without the release; a tie goes to the earlier one."""
