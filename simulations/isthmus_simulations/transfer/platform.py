"""From all cells of one platform to its row of the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from isthmus.statistics import Difference, Equivalence
from isthmus_client.buckets import HISTORY, ITEM
from isthmus_client.figures import BucketMetrics, PairedDifference
from isthmus_simulations.transfer.comparing import ALPHA, Verdict, compare
from isthmus_simulations.transfer.cost import reached, saved
from isthmus_simulations.transfer.facts import ModelFacts, Values
from isthmus_simulations.transfer.models import BOUND, CANDIDATE, RECIPE, RELEASE
from isthmus_simulations.transfer.pooling import ALONE, BASELINE, SERVED, Pooled, SeedView, average
from isthmus_simulations.transfer.results import (
    Comparison,
    ComparisonName,
    CostTransfer,
    ModelTransfer,
    PlatformTransfer,
    TrialSummary,
)

BOOTSTRAP_SEED = 1
Tested = tuple[Difference, Equivalence]


@dataclass(frozen=True)
class Place:
    """One platform of one scenario over all seeds."""

    scenario: str
    platform: str
    pooled: Pooled

    def strongest(self) -> str | None:
        """The baseline with the best test figure: the harder choice, made by the test users."""
        own = [m.name for m in self.pooled.seeds[0].facts.models if m.role in {"baseline", "own"}]
        if not self.pooled.users.size:
            return None
        return max(own, key=lambda name: float(self.pooled.ndcg[name].mean()))

    def pairs(self) -> dict[ComparisonName, tuple[str, str]]:
        """What is compared: (candidate, baseline) by name; empty without test users."""
        strongest = self.strongest()
        if strongest is None:
            return {}
        return {
            "candidate": (CANDIDATE, ALONE),
            "baseline": (CANDIDATE, BASELINE),
            "recipe": (CANDIDATE, RECIPE),
            "harder": (CANDIDATE, strongest),
            "served": (SERVED, ALONE),
            "release": (RELEASE, ALONE),
            "bound": (CANDIDATE, BOUND),
        }

    def tested(self) -> dict[ComparisonName, Tested]:
        """Every comparison with its tests."""
        ndcg = self.pooled.ndcg
        return {
            name: compare(ndcg[a], ndcg[b], seed=BOOTSTRAP_SEED)
            for name, (a, b) in self.pairs().items()
        }


def platform_results(
    place: Place,
    tested: Mapping[ComparisonName, Tested],
    said: Mapping[ComparisonName, tuple[float, Verdict]],
) -> PlatformTransfer:
    """The whole row.

    Args:
        tested: of `place`.
        said: adjusted p-values and verdicts, which need all platforms.
    """
    pooled, facts = place.pooled, place.pooled.seeds[0].facts
    return PlatformTransfer(
        scenario=place.scenario,
        platform=place.platform,
        users=facts.users,
        items=facts.items,
        events=facts.events,
        training_users=facts.training_users,
        test_users=pooled.users.size,
        models=_models(pooled) if pooled.users.size else {},
        incumbents=Counter(view.facts.gate.incumbent for view in pooled.seeds),
        strongest=place.strongest(),
        served=Counter(view.facts.gate.served for view in pooled.seeds),
        comparisons={
            name: _comparison(place, name, tested[name], *said[name]) for name in place.pairs()
        },
        ratio_to_bound=_ratio(pooled),
        history=_history(pooled),
        items_known=_items(pooled),
        cost=_cost(pooled),
        curves={"federated": facts.federated, "local": facts.local},
    )


def _models(pooled: Pooled) -> dict[str, ModelTransfer]:
    gate = pooled.gate_means()
    return {name: _model(pooled, name, gate[name]) for name in pooled.models}


def _model(pooled: Pooled, name: str, gate: float | None) -> ModelTransfer:
    facts = [view.facts.models[view.rows[name]] for view in pooled.seeds]

    def mean(values: Callable[[SeedView], Values]) -> float:
        return float(average(pooled.seeds, pooled.users, values).mean())

    by_seed = pooled.by_seed(name)
    return ModelTransfer(
        role=facts[0].role,
        ndcg=float(pooled.ndcg[name].mean()),
        hr=mean(lambda view: view.values.hit[view.rows[name]]),
        mrr=mean(lambda view: view.values.reciprocal[view.rows[name]]),
        std=float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else None,
        gate=gate,
        coverage=float(np.mean([fact.coverage for fact in facts])),
        seconds=float(np.mean([fact.seconds for fact in facts])),
        trials=_trials(facts),
    )


def _trials(facts: list[ModelFacts]) -> tuple[TrialSummary, ...]:
    """The grid, each configuration's tuning quality averaged over seeds."""
    chosen = Counter(fact.chosen for fact in facts)
    columns = zip(*(fact.trials for fact in facts), strict=True)
    summaries = []
    for place, column in enumerate(columns):
        known = [trial.ndcg for trial in column if trial.ndcg is not None]
        summaries.append(
            TrialSummary(
                settings=column[0].settings,
                ndcg=float(np.mean(known)) if known else None,
                seconds=float(np.mean([trial.seconds for trial in column])),
                chosen=chosen[place],
            )
        )
    return tuple(summaries)


def _comparison(
    place: Place, name: ComparisonName, tested: Tested, p_holm: float, said: Verdict
) -> Comparison:
    candidate, baseline = place.pairs()[name]
    difference, tost = tested
    return Comparison(
        candidate=candidate,
        baseline=baseline,
        difference=PairedDifference.of(difference),
        p_holm=p_holm,
        p_no_loss=tost.p_no_loss,
        p_no_gain=tost.p_no_gain,
        no_harm=tost.no_harm(ALPHA),
        verdict=said,
        lifts=tuple(place.pooled.lifts(candidate, baseline)),
    )


def _ratio(pooled: Pooled) -> float | None:
    """Candidate over upper bound."""
    if not pooled.users.size:
        return None
    bound = float(pooled.ndcg[BOUND].mean())
    return float(pooled.ndcg[CANDIDATE].mean()) / bound if bound else None


def _history(pooled: Pooled) -> dict[str, dict[str, BucketMetrics]]:
    """Users by the events of their history before the test; empty buckets are left out."""
    known = pooled.known
    inside = {bucket: (known >= low) & (known < high) for bucket, (low, high) in HISTORY.items()}
    return {
        bucket: {name: _bucket(pooled.ndcg[name][held]) for name in pooled.models}
        for bucket, held in inside.items()
        if held.any()
    }


def _items(pooled: Pooled) -> dict[str, dict[str, BucketMetrics]]:
    """Targets by their training users; empty buckets are left out."""
    found: dict[str, dict[str, BucketMetrics]] = {}
    for place, bucket in enumerate(ITEM):
        row = {}
        for name in pooled.models:
            values = average(pooled.seeds, pooled.users, _of_bucket(place, name))
            row[name] = _bucket(values[~np.isnan(values)])
        if any(metrics.users for metrics in row.values()):
            found[bucket] = row
    return found


def _of_bucket(place: int, name: str) -> Callable[[SeedView], Values]:
    return lambda view: view.values.item_ndcg[place, view.rows[name]]


def _bucket(values: Values) -> BucketMetrics:
    return BucketMetrics(ndcg=float(values.mean()) if values.size else None, users=values.size)


def _cost(pooled: Pooled) -> CostTransfer:
    found = [each for view in pooled.seeds if (each := reached(view.facts)) is not None]
    there = [each for each in found if each.seconds is not None]
    return CostTransfer(
        seeds=len(found),
        seeds_reached=len(there),
        local_seconds=_mean([each.local_seconds for each in found]),
        seconds=_mean([each.seconds or 0.0 for each in there]),
        bytes=_mean([float(each.bytes or 0) for each in there]),
        rounds=_mean([float(each.round or 0) for each in there]),
        saved=saved(found),
        bytes_per_round=float(np.mean([view.facts.bytes_per_round for view in pooled.seeds])),
    )


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
