"""The auditor's eyes see what an attacker sees, in both trust modes, and the audit holds there."""

from dataclasses import replace

import numpy as np
import pytest
from audited_run import CONFIG, DELTA, NAMES, PARAMETERS, USERS, Free, Schedule, workspace

from isthmus.border import split
from isthmus.encoder import initial_encoder
from isthmus.errors import AuditError, PrivacyError
from isthmus.messages import Update
from isthmus.privacy import grid
from isthmus.privacy.grid import STEPS
from isthmus_client import noise
from isthmus_client.noise import GaussianNoise
from isthmus_client.private_trainer import PrivateTrainer
from isthmus_server.noised_sum import NoisedSum
from isthmus_simulations.audit.records import claim_path
from isthmus_simulations.audit.verdict import audit_run
from isthmus_simulations.audit.watching import Auditor

PLATFORMS = ("books", "home", "toys")
SCHEDULE = Schedule(rounds=25, sampling_rate=0.25, noise_multiplier=6.0)
POOLED = replace(SCHEDULE.plan, privacy="pooled", shares=3)


def auditor_in(folder, count=700):
    return Auditor(folder, PLATFORMS, count, NAMES, PARAMETERS)


def test_no_two_platforms_canaries_share_a_coordinate(tmp_path):
    auditor = auditor_in(tmp_path)
    taken = np.concatenate([auditor.canaries(name).coordinates for name in PLATFORMS])
    assert np.unique(taken).size == 3 * 700


def test_more_canaries_than_parameters_are_refused(tmp_path):
    with pytest.raises(PrivacyError, match=f"2307 canaries for {PARAMETERS} parameters"):
        auditor_in(tmp_path, count=769)


def steps_of(seed):
    """A noised sum on the grid, of whole clipping norms."""
    random = np.random.default_rng(seed)
    shapes = {name: tuple(p.shape) for name, p in initial_encoder(CONFIG, 0).named_parameters()}
    return {name: random.integers(-9, 9, size=shapes[name]) * STEPS for name in sorted(shapes)}


def at_canaries(canaries, steps):
    """The sum of gradients, in clipping norms, in each canary's direction."""
    flat = np.concatenate([steps[name].ravel() for name in NAMES])
    return -canaries.signs * flat[canaries.coordinates] / STEPS


def scores(folder, platform):
    return auditor_in(folder)._watches[platform].scores


def test_with_local_noise_each_platform_is_seen_alone(tmp_path):
    auditor = auditor_in(tmp_path)
    auditor.eye("home")(SCHEDULE.plan, steps_of(1))
    auditor.eye("home")(SCHEDULE.plan, steps_of(2))
    seen = at_canaries(auditor.canaries("home"), steps_of(1))
    seen += at_canaries(auditor.canaries("home"), steps_of(2))
    np.testing.assert_allclose(scores(tmp_path, "home"), seen)
    assert not scores(tmp_path, "books").any()


def test_with_pooled_noise_only_the_sum_of_all_is_seen(tmp_path):
    auditor = auditor_in(tmp_path)
    for seed, name in enumerate(PLATFORMS[:2]):
        auditor.eye(name)(POOLED, steps_of(seed))
    assert not scores(tmp_path, "books").any()
    auditor.eye("toys")(POOLED, steps_of(2))
    for name in PLATFORMS:
        parts = [at_canaries(auditor.canaries(name), steps_of(seed)) for seed in range(3)]
        np.testing.assert_allclose(scores(tmp_path, name), sum(parts))


def test_shares_of_different_rounds_are_never_added(tmp_path):
    auditor = auditor_in(tmp_path)
    auditor.eye("books")(replace(POOLED, round=4), steps_of(0))
    for seed, name in enumerate(PLATFORMS):
        auditor.eye(name)(replace(POOLED, round=5), steps_of(seed + 1))
    parts = [at_canaries(auditor.canaries("home"), steps_of(seed)) for seed in (1, 2, 3)]
    np.testing.assert_allclose(scores(tmp_path, "home"), sum(parts))


def test_a_resumed_run_keeps_its_coins_and_scores(tmp_path):
    first = auditor_in(tmp_path)
    first.eye("home")(SCHEDULE.plan, steps_of(1))
    again = auditor_in(tmp_path)
    for name in PLATFORMS:
        before, after = first.canaries(name), again.canaries(name)
        np.testing.assert_array_equal(before.included, after.included)
        np.testing.assert_array_equal(before.coordinates, after.coordinates)
    np.testing.assert_array_equal(again._watches["home"].scores, scores(tmp_path, "home"))


def pooled_run(folder):
    """Three platforms of equal users; the attacker sees the sum over them."""
    claim = SCHEDULE.claim().model_copy(update={"mode": "pooled", "platforms": PLATFORMS})
    claim.save(claim_path(folder))
    auditor = auditor_in(folder)
    trainers = {
        name: PrivateTrainer(workspace(), CONFIG, Free(), USERS, canaries=auditor.canaries(name))
        for name in PLATFORMS
    }
    doors = {name: GaussianNoise(USERS, shares=3, watch=auditor.eye(name)) for name in PLATFORMS}
    rule = NoisedSum(
        clipping_norm=POOLED.clipping_norm,
        noise_multiplier=POOLED.noise_multiplier,
        shares=3,
        platforms=3,
        expected_users=3 * USERS * POOLED.sampling_rate,
    )
    parameters = split(initial_encoder(CONFIG, 1))[0]
    for number in range(1, SCHEDULE.rounds + 1):
        plan = replace(POOLED, round=number)
        updates = [
            Update(name, number, doors[name](each.train(parameters, plan).update, plan), USERS, "")
            for name, each in trainers.items()
        ]
        mean = rule.combine(updates).mean
        tensors = {name: np.float32(0.05) * tensor for name, tensor in mean.tensors.items()}
        parameters = parameters.plus(type(parameters)(tensors))
    return audit_run(folder, confidence=0.9999)


def test_a_pooled_run_passes(tmp_path):
    found = pooled_run(tmp_path)
    found.require_consistent()
    assert found.claim.delta == DELTA
    assert min(bound.ceiling for bound in found.bounds) > found.claim.epsilon


def test_a_pooled_run_in_which_nobody_adds_a_share_of_noise_is_stopped(tmp_path, monkeypatch):
    def bare(sums, how, source):
        return grid.noised(sums, replace(how, noise_multiplier=1e-12), source)

    monkeypatch.setattr(noise, "noised", bare)
    found = pooled_run(tmp_path)
    assert not found.consistent
    with pytest.raises(AuditError, match=r"an attack shows more: \w+ at least"):
        found.require_consistent()
