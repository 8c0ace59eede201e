"""Every ranker of a simulation: federated, fine-tuned at home, trained alone, and pooled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from isthmus.border import split
from isthmus.parameters import Shared
from isthmus.progress import Advance
from isthmus.ranker import SharedRanker
from isthmus.ranker_public import starting_ranker
from isthmus_client.computing import stopwatch
from isthmus_client.contender import Contender
from isthmus_client.local_training import CurvePoint, Keeper
from isthmus_client.ranker_fitting import at_home, fit_ranker
from isthmus_client.ranker_model import RankerModel
from isthmus_client.ranker_trainer import RankerData, RankerTrainer, ranker_of
from isthmus_client.ranker_training import ranker_optimiser, train_ranker
from isthmus_client.training import Settings, batches, generator
from isthmus_client.workspace import Workspace
from isthmus_server.history import RunResult
from isthmus_simulations.federation import federate, federate_ranker, federated_curves
from isthmus_simulations.job import Job
from isthmus_simulations.plan import TrainingPlan
from isthmus_simulations.stages import Trained, encoder_of

POOLED = "pooled-ranker"


@dataclass(frozen=True)
class Rankers:
    """What one platform can serve, and how each was trained.

    Attributes:
        local: the whole recipe without the federation: own encoder, own ranker.
        federated: the release as it is.
        personalised: the release with what the platform adds at home.
        pooled: the whole recipe on everybody's raw data.
        curves: validation of all but the third while their rankers were trained.
        seconds: of computing at home: `local`, `personalised`, and `pooled` of everybody.
    """

    local: RankerModel
    federated: RankerModel
    personalised: RankerModel
    pooled: RankerModel
    curves: Mapping[str, tuple[CurvePoint, ...]]
    seconds: Mapping[str, float]


def federate_release(job: Job, workspaces: Sequence[Workspace]) -> RankerModel:
    """Both federations, one after the other: the encoder, then the ranker that reads its score."""
    run = federate(job, workspaces)
    data = [RankerData(w, job.plan.seed, job.plan.ranker) for w in workspaces]
    ranking = federate_ranker(job, data, run.best)
    return RankerModel(encoder_of(run.best, job.plan.encoder), ranker_of(ranking.best))


def train_rankers(
    job: Job,
    workspaces: Sequence[Workspace],
    release: Shared,
    alone: Mapping[str, Trained],
    pooled: Trained,
    own: Mapping[str, Contender] | None = None,
) -> tuple[RunResult, dict[str, Rankers]]:
    """Federate the ranker around the released encoder, and train it in every other way.

    Every way gets the same passes over the same kind of examples.

    Args:
        own: a sequence model of each platform's own, by the platform's name; None = no such models.

    Returns:
        The ranker's federation, and each platform's rankers by its name.
    """
    data = [RankerData(w, job.plan.seed, job.plan.ranker) for w in workspaces]
    with job.progress.track("signals of users and items", len(data)) as advance:

        def make(each: RankerData) -> None:
            each.make()
            advance(1)

        job.parallel(make, data)
    run = federate_ranker(job, data, release)
    encoders = {"release": release, POOLED: pooled.parameters}
    made = _without_federation(job, data, encoders, alone)
    curves = federated_curves(run)
    found = [_assemble(job.plan, each, run, encoders, alone, made, curves) for each in data]
    with job.progress.track("trees and own models on top", len(data)) as advance:

        def finish(place: int) -> Rankers:
            helper = None if own is None else own[data[place].workspace.platform.name]
            done = _finished(data[place], found[place], helper, job.plan.seed)
            advance(1)
            return done

        finished = job.parallel(finish, list(range(len(data))))
    return run, {d.workspace.platform.name: r for d, r in zip(data, finished, strict=True)}


def _finished(data: RankerData, rankers: Rankers, own: Contender | None, seed: int) -> Rankers:
    """One platform's models with what it adds at home, to all but the release as it is."""
    spent = stopwatch()

    def added(model: RankerModel) -> RankerModel:
        return at_home(RankerTrainer(data, model.encoder), model, own, seed=seed)

    personalised = added(rankers.personalised)
    seconds = spent()  # the three ways take as long as each other
    return replace(
        rankers,
        local=added(rankers.local),
        personalised=personalised,
        pooled=added(rankers.pooled),
        seconds={
            "local": rankers.seconds["local"] + seconds,
            "personalised": seconds,
            "pooled": rankers.seconds["pooled"] + seconds,
        },
    )


def _without_federation(
    job: Job,
    data: Sequence[RankerData],
    encoders: Mapping[str, Shared],
    alone: Mapping[str, Trained],
) -> dict[str, Trained]:
    """The trainings at home and the pooled one, by stage."""
    total = job.plan.passes * (len(data) * (1 if job.plan.private is None else 2) + 1)
    with job.progress.track("rankers alone and pooled, passes", total) as advance:
        stages: dict[str, Callable[[], Trained]] = {
            POOLED: partial(_pooled, job.plan, data, encoders[POOLED], advance)
        }
        for each in data:
            name = each.workspace.platform.name
            encoder = alone[name].parameters
            stages[f"ranker-alone-{name}"] = partial(_alone, job.plan, each, encoder, advance)
            if job.plan.private is not None:  # no ranker was federated: one of its own reads it
                release = encoders["release"]
                stages[f"ranker-home-{name}"] = partial(_alone, job.plan, each, release, advance)
        made = job.parallel(lambda name: job.stages.once(name, stages[name]), list(stages))
    return dict(zip(stages, made, strict=True))


def _alone(plan: TrainingPlan, data: RankerData, encoder: Shared, advance: Advance) -> Trained:
    """A ranker trained at home from where the run starts."""
    spent = stopwatch()
    trainer = RankerTrainer(data, encoder_of(encoder, plan.encoder))
    fitted = fit_ranker(
        trainer,
        _initial(plan),
        epochs=plan.passes,
        patience=plan.patience,
        seed=plan.seed,
        advance=advance,
    )
    curves = {data.workspace.platform.name: fitted.curve}
    best, seconds = fitted.curve[fitted.best].step, spent()
    return Trained(split(fitted.ranker)[0], curves, best, seconds)


def _initial(plan: TrainingPlan) -> SharedRanker:
    return starting_ranker(plan.ranker_start, plan.seed)


def _pooled(
    plan: TrainingPlan, data: Sequence[RankerData], encoder: Shared, advance: Advance
) -> Trained:
    """One ranker on everybody's examples in random order, stopped by the mean validation."""
    spent = stopwatch()
    module = encoder_of(encoder, plan.encoder)
    trainers = [RankerTrainer(each, module) for each in data]
    ranker, keeper = _initial(plan), Keeper(plan.patience)
    optimiser = ranker_optimiser(ranker, plan.ranker.learning_rate, plan.ranker.weight_decay)
    random = generator(plan.seed, POOLED)
    scores = [_scores(ranker, trainers)]
    keeper.note(0.0, _relative(scores), ranker.state_dict())
    for epoch in range(1, plan.passes + 1):
        for trainer, rows in _mixed(trainers, plan, random):
            train_ranker(ranker, trainer.examples, [rows], optimiser)
        scores.append(_scores(ranker, trainers))
        advance(1)
        if keeper.note(float(epoch), _relative(scores), ranker.state_dict()):
            break
    ranker.load_state_dict(keeper.restore())
    curves = {
        trainer.platform: tuple(
            CurvePoint(point.step, point.seconds, row[place])
            for point, row in zip(keeper.curve, scores, strict=True)
        )
        for place, trainer in enumerate(trainers)
    }
    best, seconds = keeper.curve[keeper.best].step, spent()
    return Trained(split(ranker)[0], curves, best, seconds)


def _mixed(
    trainers: Sequence[RankerTrainer], plan: TrainingPlan, random: np.random.Generator
) -> list[tuple[RankerTrainer, np.ndarray]]:
    """One pass over everybody's examples: every platform's batches, shuffled together."""
    size = Settings(batch_size=plan.ranker.batch_size)
    parts = [
        (trainer, rows)
        for trainer in trainers
        if len(trainer.examples)
        for rows in batches(np.arange(len(trainer.examples)), size, 1.0, random)
    ]
    return [parts[place] for place in random.permutation(len(parts))]


def _scores(ranker: SharedRanker, trainers: Sequence[RankerTrainer]) -> list[float | None]:
    return [trainer.judge.rank(ranker).mean_ndcg for trainer in trainers]


def _relative(scores: Sequence[Sequence[float | None]]) -> float | None:
    """Mean over platforms of the latest score relative to the first; None if nobody has one."""
    pairs = zip(scores[-1], scores[0], strict=True)
    ratios = [last / first for last, first in pairs if last is not None and first]
    return float(np.mean(ratios)) if ratios else None


def _assemble(
    plan: TrainingPlan,
    data: RankerData,
    run: RunResult,
    encoders: Mapping[str, Shared],
    alone: Mapping[str, Trained],
    made: Mapping[str, Trained],
    curves: Mapping[str, tuple[CurvePoint, ...]],
) -> Rankers:
    """One platform's models from the trainings' parameters."""
    name = data.workspace.platform.name
    own = made[f"ranker-alone-{name}"]
    home = made.get(f"ranker-home-{name}")

    def model(encoder: Shared, ranker: Shared) -> RankerModel:
        return RankerModel(encoder_of(encoder, plan.encoder), ranker_of(ranker))

    return Rankers(
        local=model(alone[name].parameters, own.parameters),
        federated=model(encoders["release"], run.best),
        personalised=model(encoders["release"], home.parameters if home else run.best),
        pooled=model(encoders[POOLED], made[POOLED].parameters),
        curves={
            "federated": curves.get(name, ()),
            "local": own.curves[name],
            "pooled": made[POOLED].curves[name],
        },
        seconds={
            "local": alone[name].seconds + own.seconds,
            "pooled": made[POOLED].seconds,
        },
    )
