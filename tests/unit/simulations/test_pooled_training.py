"""Pooled training: deterministic, reaches every platform, and keeps its best pass."""

from dataclasses import replace

import pytest
from planted_histories import random_platform

from isthmus.encoder import EncoderConfig
from isthmus.messages import RoundPlan
from isthmus_client.federated_trainer import initial_parameters
from isthmus_client.workspace import Workspace
from isthmus_simulations.plan import TrainingPlan
from isthmus_simulations.pooled import train_pooled

PLAN = TrainingPlan(
    seed=3,
    rounds=3,
    patience=0,
    encoder=EncoderConfig(content=6, dim=4, layers=1, heads=2, max_events=7),
    round=RoundPlan("", 0, 0, batch_size=5, learning_rate=1e-2, negatives=9),
)


@pytest.fixture
def workspaces():
    platforms = [random_platform(seed=seed, name=f"shop-{seed}", users=30) for seed in (1, 2)]
    return [Workspace(platform, PLAN.encoder.max_events) for platform in platforms]


def test_it_is_the_same_twice_and_another_with_another_seed(workspaces):
    first, again = (train_pooled(workspaces, PLAN, lambda _: None) for _ in range(2))
    other = train_pooled(workspaces, replace(PLAN, seed=4), lambda _: None)

    assert first.parameters.fingerprint() == again.parameters.fingerprint()
    assert first.parameters.fingerprint() != other.parameters.fingerprint()


def test_every_platform_has_a_curve_of_every_pass(workspaces):
    steps = []
    trained = train_pooled(workspaces, PLAN, steps.append)

    assert sum(steps) == PLAN.passes
    assert trained.curves.keys() == {"shop-1", "shop-2"}
    assert all(len(curve) == PLAN.passes + 1 for curve in trained.curves.values())


def test_it_keeps_the_pass_with_the_best_mean_of_relative_scores(workspaces):
    trained = train_pooled(workspaces, PLAN, lambda _: None)
    curves = list(trained.curves.values())
    progress = [
        sum(curve[place].ndcg / curve[0].ndcg for curve in curves)
        for place in range(len(curves[0]))
    ]

    assert trained.best == progress.index(max(progress))
    untrained = initial_parameters(PLAN.encoder, PLAN.seed).fingerprint()
    assert (trained.parameters.fingerprint() == untrained) == (trained.best == 0)
