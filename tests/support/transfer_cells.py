"""Made-up cells of the transfer benchmark: whatever is planted in them must be found."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime

import numpy as np

from isthmus_client.buckets import ITEM
from isthmus_simulations.transfer.analysis import analyse
from isthmus_simulations.transfer.facts import (
    Cell,
    CellFacts,
    CostPoint,
    GateFacts,
    ModelFacts,
    PlatformFacts,
    PlatformValues,
    TrialFacts,
)
from isthmus_simulations.transfer.models import MODELS

NAMES = tuple(MODELS)
BASE = 0.2  # mean of every model that nothing is planted in


def ease(users):
    """How easy each user is for every model: often 0, as NDCG is. (users,)."""
    random = np.random.default_rng(users)
    return random.uniform(0, 2 * BASE / 0.6, users) * (random.random(users) < 0.6)


def quality(users, lifts, *, noise=0.1, seed=0):
    """Values per user: the user's ease times one plus the model's lift. (models, users)

    Args:
        lifts: by model; those left out have none.
        noise: standard deviation of a user's and model's own factor around one.
    """
    easy = ease(5000)[users]

    def row(name):
        random = np.random.default_rng([seed, zlib.crc32(name.encode())])
        return easy * (1 + lifts.get(name, 0.0)) * random.normal(1, noise, easy.shape)

    return np.maximum(np.stack([row(name) for name in NAMES]), 0)


def platform_facts(
    users=1000, *, incumbent="local", baseline="item_knn", served="local", **changes
):
    fields = {
        "users": users,
        "items": 50,
        "events": 9 * users,
        "training_users": users,
        "test_users": users,
        "models": tuple(_model(name) for name in NAMES),
        "gate": GateFacts(
            decision="local" if served == incumbent else "federated",
            served=served,
            incumbent=incumbent,
            baseline=baseline,
            users=100,
        ),
        "federated": curve(0.10, 0.12, 0.14, size=1000),
        "local": curve(0.10, 0.11, 0.13),
        "bytes_per_round": 1000.0,
    }
    return PlatformFacts(**(fields | changes))


def _model(name):
    trials = ()
    if name == "item_knn":
        trials = (
            TrialFacts(settings={"neighbours": 20}, ndcg=0.1, seconds=1.0),
            TrialFacts(settings={"neighbours": 100}, ndcg=0.2, seconds=2.0),
        )
    return ModelFacts(
        name=name, role=MODELS[name].role, trials=trials, chosen=len(trials) and 1, coverage=0.3
    )


def curve(*ndcg, seconds=2.0, size=0):
    """A curve whose points are `seconds` and `size` bytes apart."""
    return tuple(
        CostPoint(step=step, seconds=seconds * step, bytes=size * step, ndcg=value)
        for step, value in enumerate(ndcg)
    )


def values(users, lifts, **changes):
    users = np.asarray(users, dtype=np.int64)
    ndcg = quality(users, lifts, **changes)
    items = np.repeat(ndcg[None], len(ITEM), axis=0)
    items[0, :, ::2] = np.nan  # every other user has no target of the first bucket
    return PlatformValues(
        users=users,
        known=users % 60 + 1,
        ndcg=ndcg,
        hit=(ndcg > 0.1).astype(np.float64),
        reciprocal=ndcg / 2,
        item_ndcg=items,
        gate_users=np.arange(40),
        gate_ndcg=quality(np.arange(40), lifts, **changes),
    )


def cell(seed=1, scenario="made", **platforms):
    """One cell; each platform is a pair of facts and values."""
    return Cell(
        CellFacts(
            scenario=scenario,
            seed=seed,
            split="time",
            encoder_rounds=4,
            ranker_rounds=3,
            best_round=2,
            best_ranker_round=1,
            seconds={"federation": 3.0},
            platforms={name: facts for name, (facts, _) in platforms.items()},
        ),
        {name: found for name, (_, found) in platforms.items()},
    )


def analysed(cells, **changes):
    """The results of cells, with everything else fixed."""
    fixed = {
        "quick": True,
        "created": datetime(2025, 3, 14, tzinfo=UTC),
        "config": {"options": {"seeds": 2}},
        "versions": {"isthmus": "0.1.0"},
    }
    return analyse(cells, **(fixed | changes))


def seeds_of(lifts, *, seeds=3, users=1200, drawn=1000, noise=0.1, **facts):
    """The cells of one platform `shop` under several seeds, each with its own draw of users."""
    found = []
    for seed in range(1, seeds + 1):
        order = np.random.default_rng(seed).permutation(users)[:drawn]
        mine = values(np.sort(order), lifts, noise=noise, seed=seed)
        found.append(cell(seed, shop=(platform_facts(users, **facts), mine)))
    return found
