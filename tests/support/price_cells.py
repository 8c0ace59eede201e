"""Made-up cells of the benchmark of privacy: whatever is planted in them must be found."""

from datetime import UTC, datetime

import numpy as np

from isthmus_simulations.price.analysis import analyse
from isthmus_simulations.price.cells import Attack, CellFacts, PlatformFacts, grid
from isthmus_simulations.results import Privacy, PrivateRun

SHOPS = {"beauty": 22_363, "sports": 35_598, "toys": 19_412}
TESTED = 150
FREE = {"prior": 0.7, "alone": 0.85, "federated": 1.0, "noiseless": 0.98}
"""Quality by way of training, as a share of the federation's."""


def kept_at(way, epsilon):
    """A share that falls with epsilon, and more so without a federation."""
    lost = {"pooled": 0.25, "local": 0.6, "private_alone": 1.2}[way]
    return 0.98 - lost / (epsilon + 1)


def ease(users=TESTED):
    """How easy each test user is for every way of training: often 0, as NDCG is. (users,)"""
    random = np.random.default_rng(users)
    return random.uniform(0, 0.6, users) * (random.random(users) < 0.5)


def planted(name, share, *, users=None, tested=TESTED, seed=0, noise=0.05, attack=0.52):
    """One platform whose NDCG@10 is a share of its users' ease."""
    random = np.random.default_rng([seed, round(1e6 * share)])
    values = np.clip(ease(tested) * share * random.normal(1, noise, tested), 0, 1)
    return PlatformFacts(
        users=users or SHOPS.get(name, 500),
        items=90,
        training_users=450,
        held_out=50,
        test_users=tested + 7,
        users_tested=tuple(range(tested)),
        ndcg=tuple(values.tolist()),
        attack=attacked(attack) if attack else None,
    )


def attacked(auc, tpr=0.02):
    return Attack(
        auc=auc,
        auc_low=auc - 0.03,
        auc_high=auc + 0.03,
        tpr=tpr,
        tpr_low=tpr / 2,
        tpr_high=2 * tpr,
        fpr=0.001,
        members=450,
        non_members=50,
    )


def claim(way, epsilon, platforms, *, norm=0.5):
    """What a private run claims: epsilon doubles with every platform that a person is on."""
    many = range(1, len(platforms) + 1)
    pooled = way == "pooled"
    run = PrivateRun(
        trust="pooled" if pooled else "local",
        target_epsilon=epsilon,
        noise_multiplier=6.0 / epsilon,
        noise_norm=norm,
        sampling_rate=0.053,
        clipping_norm=1.0,
        rounds=100,
        users=dict.fromkeys(platforms, 400),
        spent=dict.fromkeys(platforms, 0.99 * epsilon),
        overlap={count: 0.99 * epsilon * count for count in many},
        collusion={count - 1: 0.99 * epsilon * 3**count / 3 for count in many} if pooled else {},
    )
    told = {"mechanism": "gaussian", "statement": "made up"}
    return Privacy(**told, epsilon=0.99 * epsilon, delta=1e-5, run=run)


def cell_of(run, names, *, share=None, norm=0.5, **changes):
    """One finished training in which every platform keeps `share` of the federation's quality."""
    taking_part = [name for name in names if run.platform in (None, name)]
    if share is None:
        share = FREE[run.way] if run.epsilon is None else kept_at(run.way, run.epsilon)
    private = run.epsilon is not None
    attack = None if run.way == "prior" else 0.52
    facts = {
        "identity": "made up",
        "scenario": run.scenario,
        "seed": run.seed,
        "way": run.way,
        "epsilon": run.epsilon,
        "platform": run.platform,
        "split": "leave-one-out",
        "parameters": 80_257 if private else 121_217,
        "platforms": {n: planted(n, share, seed=run.seed, attack=attack) for n in taking_part},
        "privacy": claim(run.way, run.epsilon, taking_part, norm=norm) if private else None,
        "rounds": 100,
        "bytes": 5_000_000,
        "seconds": 61.0,
    }
    return CellFacts(**(facts | changes))


def cells(*, scenario="trio", names=tuple(SHOPS), seeds=1, epsilons=(8.0, 2.0, 1.0), change=None):
    """Every training of a scenario.

    Args:
        change: from a run to what its cell has of its own; None = nothing.
    """
    trusts = ("pooled", "local")
    runs = [r for s in range(1, seeds + 1) for r in grid(scenario, s, names, trusts, epsilons)]
    return [cell_of(run, names, **(change(run) if change else {})) for run in runs]


def analysed(made, **changes):
    """The results of cells, with everything else fixed."""
    fixed = {
        "quick": False,
        "whole": True,
        "created": datetime(2025, 3, 14, tzinfo=UTC),
        "config": {"options": {"seeds": 1}},
        "versions": {"isthmus": "0.1.0"},
    }
    return analyse(made, **(fixed | changes))
