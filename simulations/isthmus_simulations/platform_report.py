"""Everything that is measured on one platform, from trained encoders to `PlatformResults`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from isthmus.border import split
from isthmus.encoder import SharedEncoder, initial_encoder
from isthmus.statistics import paired_bootstrap
from isthmus_client.certificate import Judged
from isthmus_client.certificate_files import issue
from isthmus_client.evaluate import KNN_NEIGHBOURS, Evaluator
from isthmus_client.gate import Decision, Quality, decide
from isthmus_client.local_training import CurvePoint
from isthmus_client.ranker_model import RankerModel, rank_models
from isthmus_client.ranking import Ranking
from isthmus_client.release import fingerprint_of
from isthmus_client.remembering import record_of
from isthmus_client.stored_models import (
    StoredModel,
    content_model,
    item_knn_model,
    popularity_model,
    ranked_model,
    ranker_model,
)
from isthmus_client.track_record import FOLDER, TrackRecord
from isthmus_client.workspace import Workspace
from isthmus_simulations import results as schema
from isthmus_simulations.buckets import buckets_of
from isthmus_simulations.plan import TrainingPlan
from isthmus_simulations.rankers import Rankers

OWN: tuple[schema.ModelName, ...] = ("popularity", "item_knn", "prior", "local")
"""What a platform has without the federation. Own history ranks nothing new to the user."""

CANDIDATE: Final = "personalised"

DIFFERENCES: tuple[tuple[schema.ModelName, schema.ModelName], ...] = (
    ("personalised", "local"),
    ("federated", "local"),
    ("content", "prior"),
    ("pooled", "local"),
    ("personalised", "pooled"),
)


@dataclass(frozen=True)
class Models:
    """Everything that is compared on one platform."""

    rankers: Rankers
    initial: SharedEncoder
    neighbours: int  # of item-kNN, chosen on the tuning users


def report_platform(
    workspace: Workspace,
    rankers: Rankers,
    plan: TrainingPlan,
    folder: Path | None = None,
    record: TrackRecord | None = None,
) -> schema.PlatformResults:
    """Let the gate decide on the validation window, then touch the test once.

    Args:
        folder: of the run, where the gate's certificate goes and what it takes to verify it; None
            writes nothing.
        record: what an earlier release turned out to be worth here; the gate takes it into account.
    """
    started = time.perf_counter()
    models = Models(rankers, initial_encoder(plan.encoder, plan.seed), _neighbours(workspace))
    ranked = _rankings(Evaluator(workspace, "validation", "gate"), models)
    judged = _qualities(ranked)
    certified = replace(_judged(models, plan.seed, ranked), past=record)
    past = record.past if record is not None else None
    gate = decide(CANDIDATE, judged, OWN, seed=plan.seed, past=past)
    if folder is not None:
        issue(workspace, certified, folder, judged)
    new = _rankings(Evaluator(workspace, "test"), models)
    left = record_of(workspace, certified.release, CANDIDATE, _qualities(new), OWN)
    if folder is not None and left is not None:
        left.save(folder / FOLDER / f"{left.platform}.json")
    everything = _rankings(Evaluator(workspace, "test", masked=False), models)
    strongest = _strongest(new)
    histories = workspace.platform.histories
    return schema.PlatformResults(
        users=histories.users,
        items=workspace.items,
        events=histories.events,
        training_users=int(workspace.sequences.training_users.size),
        test_users=int(new["popularity"].users.size),
        models={name: schema.Metrics.of(ranking) for name, ranking in new.items()},
        repeat_models={name: schema.Metrics.of(ranking) for name, ranking in everything.items()},
        buckets=buckets_of(workspace, new),
        best_baseline=strongest,
        differences=_differences(new, strongest, plan.seed),
        gate=_certificate(gate),
        curves=_curves(rankers.curves),
        seconds={
            "training alone": rankers.seconds["local"],
            "personalisation": rankers.seconds["personalised"],
            "evaluation": time.perf_counter() - started,
        },
    )


def _neighbours(workspace: Workspace) -> int:
    """Item-kNN's number of neighbours with the best ranking of the tuning users."""
    tuning = Evaluator(workspace, "validation", "tuning")
    return max(KNN_NEIGHBOURS, key=lambda k: tuning.item_knn(k).mean_ndcg or 0.0)


def _rankings(evaluator: Evaluator, models: Models) -> dict[schema.ModelName, Ranking]:
    """Every model on the evaluator's users, in the order of a report.

    Rankers are for items new to the user: where repeats count they take no part.
    """
    release = models.rankers.federated.encoder
    cheap: dict[schema.ModelName, Callable[[], Ranking]] = {
        "popularity": evaluator.popularity,
        "own_history": evaluator.own_history,
        "item_knn": lambda: evaluator.item_knn(models.neighbours),
        "prior": lambda: evaluator.content(models.initial),
        "content": lambda: evaluator.content(release),
    }
    if not evaluator.masked:
        return {name: measure() for name, measure in cheap.items()}
    del cheap["own_history"]
    found = {name: measure() for name, measure in cheap.items()} | _ranked(evaluator, models)
    return {name: found[name] for name in schema.MODELS if name in found}


def _ranked(evaluator: Evaluator, models: Models) -> dict[schema.ModelName, Ranking]:
    """The models with a ranker, which share the work of making signals."""
    rankers, workspace = models.rankers, evaluator.workspace
    served: dict[schema.ModelName, RankerModel] = {
        "local": rankers.local,
        "federated": rankers.federated,
        "personalised": rankers.personalised,
        "pooled": rankers.pooled,
    }
    named = {str(name): model for name, model in served.items()}
    ranked = rank_models(workspace, evaluator.window, evaluator.task, named)
    return {name: ranked[name] for name in served}


def _qualities(rankings: Mapping[schema.ModelName, Ranking]) -> dict[str, Quality]:
    return {name: ranking.ndcg for name, ranking in rankings.items()}


def _judged(models: Models, seed: int, ranked: Mapping[schema.ModelName, Ranking]) -> Judged:
    """What the certificate stores; the pooled model is no platform's to have.

    Args:
        ranked: of the gate's users; they stand for a model that a sequence model is fused into.
    """
    rankers = models.rankers
    release = rankers.federated
    stored: dict[str, StoredModel] = {
        "popularity": popularity_model(),
        "item_knn": item_knn_model(models.neighbours),
        "prior": content_model(models.initial),
        "content": content_model(release.encoder),
        "local": _stored(rankers.local, ranked["local"]),
        "federated": ranker_model(release),
        "personalised": _stored(rankers.personalised, ranked["personalised"]),
    }
    fingerprint = fingerprint_of(split(release.encoder)[0], split(release.ranker)[0])
    return Judged(stored, CANDIDATE, OWN, fingerprint, seed)


def _stored(model: RankerModel, ranking: Ranking) -> StoredModel:
    if model.beside is None:
        return ranker_model(model)
    return ranked_model(
        ranking, {"beside": model.beside.contender.name, "share": model.beside.share}
    )


def _incumbent(certificate: Decision) -> schema.ModelName:
    return next(name for name in OWN if name == certificate.incumbent)


def _certificate(certificate: Decision) -> schema.Gate:
    difference = certificate.difference
    return schema.Gate(
        decision=certificate.decision,
        served=CANDIDATE if certificate.decision == "federated" else _incumbent(certificate),
        candidate=CANDIDATE,
        incumbent=_incumbent(certificate),
        difference=difference.mean if difference else None,
        low=difference.low if difference else None,
        high=difference.high if difference else None,
        users=certificate.users,
        both=certificate.both,
        validation={name: certificate.validation.get(name) for name in OWN + _JUDGED},
    )


_JUDGED: tuple[schema.ModelName, ...] = ("content", "federated", "personalised", "pooled")


def _strongest(rankings: Mapping[schema.ModelName, Ranking]) -> schema.ModelName:
    """The best of the platform's own models on the test window itself.

    Choosing it by the very users of the comparison favours the baseline: a lift that is left over
    is not owed to a weak choice.
    """
    return max(OWN, key=lambda name: rankings[name].mean_ndcg or 0.0)


def _differences(
    rankings: Mapping[schema.ModelName, Ranking], strongest: schema.ModelName, seed: int
) -> dict[str, schema.PairedDifference]:
    """Paired differences on the test window."""
    if not rankings[strongest].users.size:
        return {}
    pairs = {f"{a} - {b}": (a, b) for a, b in DIFFERENCES}
    pairs[schema.MAIN_DIFFERENCE] = ("personalised", strongest)
    return {
        label: schema.PairedDifference.of(
            paired_bootstrap(rankings[a].ndcg, rankings[b].ndcg, seed=seed)
        )
        for label, (a, b) in pairs.items()
    }


def _curves(curves: Mapping[str, tuple[CurvePoint, ...]]) -> schema.Curves:
    points = {
        name: tuple(schema.CurvePoint(step=p.step, seconds=p.seconds, ndcg=p.ndcg) for p in curve)
        for name, curve in curves.items()
    }
    return schema.Curves(**points)
