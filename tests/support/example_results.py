"""A made-up run with every field of the schema filled; none of its figures was measured."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from isthmus.statistics import paired_bootstrap
from isthmus_simulations.report.pictures import Pictures
from isthmus_simulations.results import (
    MAIN_DIFFERENCE,
    MODELS,
    BucketMetrics,
    Buckets,
    Cost,
    CurvePoint,
    Curves,
    Gate,
    Metrics,
    ModelName,
    Newcomer,
    NewcomerModel,
    NewcomerSize,
    PairedDifference,
    PlatformResults,
    Privacy,
    PrivateRun,
    Results,
    ScenarioInfo,
    SplitInfo,
)

# users, items, events, test users, and NDCG@10 of MODELS in order
_PLATFORMS: dict[str, tuple[int, int, int, int, tuple[float, ...]]] = {
    "grocery": (
        2420,
        14731,
        861204,
        2214,
        (0.0081, 0, 0.0119, 0.0118, 0.0121, 0.0143, 0.0139, 0.0146, 0.0151),
    ),
    "drugstore": (
        2391,
        6102,
        118540,
        1672,
        (0.0122, 0, 0.0241, 0.0179, 0.0193, 0.0312, 0.0329, 0.0347, 0.0341),
    ),
    "fresh": (
        2412,
        4018,
        301277,
        2101,
        (0.0097, 0, 0.0188, 0.0102, 0.0111, 0.0249, 0.0251, 0.0262, 0.0268),
    ),
    "deli": (
        2203,
        2377,
        74410,
        1204,
        (0.0312, 0, 0.0481, 0.0221, 0.0226, 0.0455, 0.0441, 0.0462, 0.0498),
    ),
    "nutrition": (
        581,
        672,
        6120,
        214,
        (0.0611, 0, 0.0822, 0.0939, 0.0962, 0.1091, 0.1204, 0.1229, 0.1188),
    ),
}
_NOT_RANKERS: tuple[ModelName, ...] = (
    "popularity",
    "own_history",
    "item_knn",
    "prior",
    "content",
)
_BASELINES: tuple[ModelName, ...] = ("popularity", "own_history", "item_knn", "prior", "local")


def example_results(**changes: Any) -> Results:
    """Five platforms, a newcomer, warnings; `changes` replace top-level fields."""
    fields: dict[str, Any] = {
        "created": datetime(2025, 3, 14, 9, 26, tzinfo=UTC),
        "scenario": ScenarioInfo(
            name="journey",
            description="Five departments of one retailer act as platforms.",
        ),
        "split": SplitInfo(
            kind="time",
            validation_start=datetime(2017, 10, 19, tzinfo=UTC),
            test_start=datetime(2017, 11, 25, tzinfo=UTC),
        ),
        "privacy": Privacy(
            mechanism="none",
            statement="NOT PRIVATE: no clipping, no noise, no differential-privacy guarantee",
            note="A person who uses k platforms is k users; their losses would add up. Here k is "
            "up to 5, because the departments serve the same households.",
        ),
        "platforms": {name: _platform(name, place) for place, name in enumerate(_PLATFORMS)},
        "newcomer": _newcomer(),
        "cost": _cost(),
        "config": {"seed": 7, "rounds": 30, "server": {"optimiser": "fedavg", "rate": 1.0}},
        "versions": {"python": "3.11.7", "isthmus": "0.1.0", "torch": "2.13.0", "flwr": "1.41.0"},
        "warnings": ("deli: 12 users with a single event were left out",),
    }
    return Results(**(fields | changes))


def private_results(**changes) -> Results:
    """As `example_results`, of a run under differential privacy."""
    run = PrivateRun(
        trust="pooled",
        target_epsilon=8.0,
        noise_multiplier=1.25,
        noise_norm=0.43,
        sampling_rate=0.05,
        clipping_norm=1.0,
        rounds=100,
        users=dict.fromkeys(_PLATFORMS, 2100),
        spent=dict.fromkeys(_PLATFORMS, 7.875),
        colluders=1,
        overlap={1: 7.875, 2: 17.5},
        collusion={0: 6.625, 1: 7.875, 2: 13.25},
        audit={name: 1.5 + place for place, name in enumerate(_PLATFORMS)},
        audit_confidence=0.95,
    )
    claim = Privacy(
        mechanism="gaussian", statement="User-level DP", epsilon=7.875, delta=1e-6, run=run
    )
    return example_results(privacy=claim, **changes)


def _platform(name: str, place: int) -> PlatformResults:
    users, items, events, test_users, levels = _PLATFORMS[name]
    scores = dict(zip(MODELS, levels, strict=True))
    values = {model: _per_user(level, test_users, place) for model, level in scores.items()}
    best: ModelName = max(_BASELINES, key=scores.__getitem__)
    return PlatformResults(
        users=users,
        items=items,
        events=events,
        training_users=users - 20,
        test_users=test_users,
        models={m: _metrics(level, test_users) for m, level in scores.items()},
        repeat_models={m: _metrics(_repeat(m, scores[m]), test_users) for m in _NOT_RANKERS},
        buckets=_buckets(scores, test_users),
        best_baseline=best,
        differences={
            MAIN_DIFFERENCE: _difference(values["personalised"], values[best]),
            "personalised - local": _difference(values["personalised"], values["local"]),
            "federated - local": _difference(values["federated"], values["local"]),
            "content - prior": _difference(values["content"], values["prior"]),
            "pooled - local": _difference(values["pooled"], values["local"]),
            "personalised - pooled": _difference(values["personalised"], values["pooled"]),
        },
        gate=_gate(scores, best, test_users, refused=name == "deli"),
        curves=_curves(scores),
        seconds={"local": 21.5 + place, "federated": 60.2, "personalised": 8.4},
    )


def _per_user(level: float, users: int, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Sparse scores with about the wanted mean; the same users are easy for every model."""
    ease = np.random.default_rng(seed).random(users)
    return np.where(ease < 2.5 * level, 0.4, 0.0) * level / max(level, 1e-9)


def _difference(candidate: Any, baseline: Any) -> PairedDifference:
    noise = np.random.default_rng(5).normal(0, 0.02, len(candidate)) * (candidate + baseline > 0)
    return PairedDifference.of(paired_bootstrap(candidate + noise, baseline, seed=3, resamples=400))


def _repeat(model: ModelName, level: float) -> float:
    return 0.182 if model == "own_history" else 3 * level


def _metrics(level: float, users: int) -> Metrics:
    if not level:
        return Metrics(ndcg=None, users=users)
    return Metrics(ndcg=level, hr=1.9 * level, mrr=0.8 * level, coverage=0.31, users=users)


def _buckets(scores: dict[ModelName, float], users: int) -> Buckets:
    def row(factor: float, share: float) -> dict[ModelName, BucketMetrics]:
        kept = {m: level for m, level in scores.items() if level}
        return {
            m: BucketMetrics(ndcg=level * factor, users=int(users * share))
            for m, level in kept.items()
        }

    history = {"1-4": row(0.7, 0.2), "5-19": row(0.95, 0.3), "20+": row(1.1, 0.5)}
    item = {"cold (0)": row(0.3, 0.1), "1-9": row(0.8, 0.4), "10+": row(1.2, 0.9)}
    return Buckets(history=history, item=item)


def _gate(scores: dict[ModelName, float], best: ModelName, users: int, *, refused: bool) -> Gate:
    gain = scores["personalised"] - scores[best]
    return Gate(
        decision="local" if refused else "federated",
        served=best if refused else "personalised",
        candidate="personalised",
        incumbent=best,
        difference=gain,
        low=gain - 0.0011,
        high=gain + 0.0011,
        users=users,
        validation={m: (level * 1.03 if level else None) for m, level in scores.items()},
    )


def _curves(scores: dict[ModelName, float]) -> Curves:
    start = scores["prior"]

    def rise(model: ModelName, steps: int, begin: float) -> tuple[CurvePoint, ...]:
        wobble = np.random.default_rng(steps).normal(0, 0.015, steps + 1)
        shares = 1 - np.exp(-4 * np.arange(steps + 1) / steps) + wobble
        gain = 1.03 * scores[model] - begin
        return tuple(
            CurvePoint(step=step, seconds=2.1 * step, ndcg=begin + gain * share)
            for step, share in enumerate(shares.tolist())
        )

    return Curves(
        federated=rise("federated", 30, start),
        local=rise("local", 22, start),
        pooled=rise("pooled", 27, start),
    )


def _newcomer() -> Newcomer:
    levels = {0: None, 100: 0.069, 300: 0.084, 1000: 0.106}
    sizes = []
    for users, local in levels.items():
        models: dict[NewcomerModel, Metrics] = {
            "popularity": Metrics(ndcg=0.02 + 0.00004 * users, users=214),
            "prior": Metrics(ndcg=0.0939, users=214),
            "release": Metrics(ndcg=0.1102, users=214),
            "local": Metrics(ndcg=local, users=214),
            "personalised": Metrics(ndcg=0.1102 + 0.000009 * users, users=214),
        }
        gain = 0.1102 + 0.000009 * users - (local or 0)
        difference = PairedDifference(
            difference=gain,
            low=gain - 0.01,
            high=gain + 0.011,
            relative=gain / local if local else None,
            relative_low=(gain - 0.01) / local if local else None,
            relative_high=(gain + 0.011) / local if local else None,
            users=214,
        )
        differences = {"personalised - local": difference} if local else {}
        sizes.append(NewcomerSize(users=users, models=models, differences=differences))
    return Newcomer(platform="nutrition", test_users=214, sizes=tuple(sizes))


def _cost() -> Cost:
    return Cost(
        seconds={
            "data": 11.2,
            "item text": 48.9,
            "baselines": 15.3,
            "local": 102.4,
            "federated": 187.0,
            "personalised": 41.7,
            "pooled": 96.1,
            "report": 12.2,
        },
        total_seconds=514.8,
        peak_memory_mb=2381.4,
        bytes_up_per_round_per_platform=531_204,
        bytes_down_per_round_per_platform=531_460,
        encoder_parameters=132_801,
        rounds=30,
    )


def example_pictures(items: int = 60, text: str = "Organic oat drink, 1 l") -> Pictures:
    """Clouds around a centre for each platform; every item has the same `text` and its number."""
    generator = np.random.default_rng(11)
    names = tuple(_PLATFORMS)
    owners = np.arange(items) % len(names)
    centres = generator.normal(0, 1, (len(names), 16))
    content = (centres[owners] + generator.normal(0, 0.7, (items, 16))).astype(np.float32)
    encoder = (0.6 * content[:, :8] + generator.normal(0, 0.4, (items, 8))).astype(np.float32)
    return Pictures(
        content=content,
        encoder=encoder,
        platforms=tuple(names[owner] for owner in owners),
        categories=tuple(f"category {owner}" for owner in owners),
        texts=tuple(f"{text} no. {place}" for place in range(items)),
    )
