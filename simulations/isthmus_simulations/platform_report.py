"""Everything that is measured on one platform, from trained encoders to `PlatformResults`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from isthmus.encoder import SharedEncoder, initial_encoder
from isthmus.statistics import paired_bootstrap
from isthmus_client.evaluate import KNN_NEIGHBOURS, Evaluator
from isthmus_client.gate import Decision, Quality, decide
from isthmus_client.local_training import CurvePoint
from isthmus_client.personalise import Personalised
from isthmus_client.ranking import Ranking
from isthmus_client.workspace import Workspace
from isthmus_simulations import results as schema
from isthmus_simulations.buckets import buckets_of
from isthmus_simulations.plan import TrainingPlan

OWN: tuple[schema.ModelName, ...] = ("popularity", "item_knn", "prior", "local")
"""What a platform has without the federation. Own history ranks nothing new to the user."""

DIFFERENCES: tuple[tuple[schema.ModelName, schema.ModelName], ...] = (
    ("personalised", "local"),
    ("federated", "local"),
    ("federated", "prior"),
    ("pooled", "local"),
    ("personalised", "pooled"),
)


@dataclass(frozen=True)
class Heads:
    """The private heads that one platform fitted around three encoders."""

    local: Personalised
    federated: Personalised
    pooled: Personalised


@dataclass(frozen=True)
class Models:
    """Everything that is compared on one platform."""

    heads: Heads
    initial: SharedEncoder
    neighbours: int  # of item-kNN, chosen on the tuning users


def report_platform(
    workspace: Workspace,
    heads: Heads,
    plan: TrainingPlan,
    curves: Mapping[str, tuple[CurvePoint, ...]],
) -> schema.PlatformResults:
    """Let the gate decide on the validation window, then touch the test once."""
    started = time.perf_counter()
    models = Models(heads, initial_encoder(plan.encoder, plan.seed), _neighbours(workspace))
    gate = _gate(Evaluator(workspace, "validation", "gate"), models, plan.seed)
    new = _rankings(Evaluator(workspace, "test"), models)
    everything = _rankings(Evaluator(workspace, "test", masked=False), models)
    strongest = _strongest(new)
    histories = workspace.platform.histories
    fits = (heads.local, heads.federated, heads.pooled)
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
        curves=_curves({**curves, "personalised": heads.federated.curve}),
        seconds={
            "heads": sum(fit.curve[-1].seconds for fit in fits),
            "evaluation": time.perf_counter() - started,
        },
    )


def _neighbours(workspace: Workspace) -> int:
    """Item-kNN's number of neighbours with the best ranking of the tuning users."""
    tuning = Evaluator(workspace, "validation", "tuning")
    return max(KNN_NEIGHBOURS, key=lambda k: tuning.item_knn(k).mean_ndcg or 0.0)


def _rankings(evaluator: Evaluator, models: Models) -> dict[schema.ModelName, Ranking]:
    """Every model on the evaluator's users, in the order of a report."""
    rank: dict[schema.ModelName, Callable[[], Ranking]] = {
        "popularity": evaluator.popularity,
        "own_history": evaluator.own_history,
        "item_knn": lambda: evaluator.item_knn(models.neighbours),
        "prior": lambda: evaluator.content(models.initial),
        "local": lambda: evaluator.model(models.heads.local.model),
        "federated": lambda: evaluator.content(models.heads.federated.model.shared),
        "personalised": lambda: evaluator.model(models.heads.federated.model),
        "pooled": lambda: evaluator.model(models.heads.pooled.model),
    }
    if evaluator.masked:
        del rank["own_history"]
    return {name: measure() for name, measure in rank.items()}


def _gate(evaluator: Evaluator, models: Models, seed: int) -> Decision:
    qualities: dict[str, Quality] = {
        name: r.ndcg for name, r in _rankings(evaluator, models).items()
    }
    return decide("personalised", qualities, OWN, seed=seed)


def _incumbent(certificate: Decision) -> schema.ModelName:
    return next(name for name in OWN if name == certificate.incumbent)


def _certificate(certificate: Decision) -> schema.Gate:
    difference = certificate.difference
    return schema.Gate(
        decision=certificate.decision,
        served="personalised" if certificate.decision == "federated" else _incumbent(certificate),
        candidate="personalised",
        incumbent=_incumbent(certificate),
        difference=difference.mean if difference else None,
        low=difference.low if difference else None,
        high=difference.high if difference else None,
        users=certificate.users,
        validation={name: certificate.validation.get(name) for name in OWN + _JUDGED},
    )


_JUDGED: tuple[schema.ModelName, ...] = ("federated", "personalised", "pooled")


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
