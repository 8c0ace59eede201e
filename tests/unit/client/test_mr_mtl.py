"""Personalisation near a release: how far lambda lets an encoder go, and which one is taken."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from planted_histories import histories_of, platform_of

from isthmus.border import split
from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus_client.contender import best_trial
from isthmus_client.evaluate import Evaluator
from isthmus_client.mr_mtl import MrMtlSettings, fit_mr_mtl
from isthmus_client.personalise import HeadSettings, personalise
from isthmus_client.training import Settings
from isthmus_client.workspace import Workspace

CONFIG = EncoderConfig(content=6, dim=8, layers=1, heads=2, max_events=6)
SETTINGS = MrMtlSettings(
    epochs=4,
    patience=0,
    training=Settings(batch_size=8, negatives=12, learning_rate=0.01),
    head=HeadSettings(epochs=1, batch_size=32, negatives=12),
)


@pytest.fixture(scope="module")
def workspace():
    """After item n comes item n + 1, which an encoder can learn and a release does not know."""
    lists = [[(start + step) % 25 for step in range(5 + start % 3)] for start in range(90)]
    return Workspace(platform_of(histories_of(*lists), 25), max_events=6)


@pytest.fixture
def release():
    return initial_encoder(CONFIG, seed=2)


def moved(encoder, release):
    pairs = zip(encoder.parameters(), release.parameters(), strict=True)
    return sum(float(((a - b).detach() ** 2).sum()) for a, b in pairs)


def only(workspace, release, strength):
    return fit_mr_mtl(workspace, release, replace(SETTINGS, lambdas=(strength,)), seed=4)


def test_the_smaller_lambda_the_farther_from_the_release(workspace, release):
    far = [moved(only(workspace, release, s).encoder, release) for s in (math.inf, 1e3, 1.0, 0.0)]
    assert far[0] == 0.0
    assert far == sorted(far)
    assert far[3] > 5 * far[1]


def test_lambda_infinity_is_the_release_with_a_head(workspace, release):
    made = only(workspace, release, math.inf)
    plain = personalise(workspace, release, SETTINGS.head, seed=4)
    test = Evaluator(workspace, "test")
    assert made.contender.trials[0].settings == {"lambda": "infinity"}
    ours, theirs = test.scorer(made.contender.scorer("test")), test.model(plain.model)
    np.testing.assert_array_equal(ours.ndcg, theirs.ndcg)


def test_the_best_lambda_is_taken_and_beats_the_release(workspace, release):
    steps, lambdas = [], (math.inf, 1.0, 0.0)
    made = fit_mr_mtl(
        workspace, release, replace(SETTINGS, lambdas=lambdas), seed=4, advance=steps.append
    )
    trials = made.contender.trials
    assert made.contender.chosen == best_trial(trials)
    assert made.strength == lambdas[made.contender.chosen]
    assert trials[made.contender.chosen].ndcg > trials[0].ndcg + 0.05
    tuning = Evaluator(workspace, "validation", "tuning").scorer(
        made.contender.scorer("validation")
    )
    assert tuning.mean_ndcg == pytest.approx(trials[made.contender.chosen].ndcg, abs=1e-9)
    assert steps == [1, 1, 1]


def test_the_release_is_not_touched(workspace, release):
    before = split(release)[0].fingerprint()
    only(workspace, release, 0.0)
    assert split(release)[0].fingerprint() == before
    assert all(p.requires_grad and p.grad is None for p in release.parameters())


def test_the_same_seed_gives_the_same_encoder(workspace, release):
    one, two = (split(only(workspace, release, 0.1).encoder)[0].fingerprint() for _ in range(2))
    assert one == two


def test_without_tuning_users_the_release_stays(release):
    lonely = Workspace(platform_of(histories_of([0, 1], [1, 2]), 4), max_events=6)
    made = fit_mr_mtl(lonely, release, SETTINGS, seed=4)
    assert made.strength == math.inf
    assert moved(made.encoder, release) == 0.0
    assert torch.count_nonzero(made.fitted.model.private.residual) == 0
