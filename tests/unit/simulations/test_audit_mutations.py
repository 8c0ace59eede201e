"""The audit passes the mechanism as it is, and fires where one of its parts is switched off.

Every run is the product's own trainer, sampler, engine, clipping and noise on a small platform;
a mutant replaces one part of it and claims what the whole would have been worth.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from audited_run import Run, Schedule, everywhere, on_the_item_side, resumed, watched

from isthmus.errors import AuditError
from isthmus.privacy import grid
from isthmus.privacy.randomness import SecureSource
from isthmus_client import noise, private_trainer
from isthmus_client.dp import canaries, clipping
from isthmus_client.dp.sampling import _ISSUED, PoissonSample
from isthmus_simulations.audit.verdict import bound_of, require_consistent

CONFIDENCE = 0.9999  # a right mechanism fails one run in ten thousand at most


def bound(watch, schedule):
    return bound_of(schedule.claim(), "shop", watch, confidence=CONFIDENCE)


def assert_disproved(watch, schedule, **claimed):
    claim = schedule.claim(**claimed)
    with pytest.raises(AuditError, match=f"epsilon {claim.epsilon} is claimed"):
        require_consistent(claim, bound_of(claim, "shop", watch, confidence=CONFIDENCE))


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(),
        Schedule(noise_multiplier=1.1, sampling_rate=0.1, rounds=30),
        Schedule(noise_multiplier=9.0, sampling_rate=1.0, rounds=20),
    ],
    ids=["epsilon 1", "few users, little noise", "everybody in every round"],
)
def test_the_mechanism_as_it_is_passes(schedule):
    found = bound(watched(schedule), schedule)
    require_consistent(schedule.claim(), found)
    assert found.ceiling > 2.0  # it could have shown more


def test_an_attack_on_the_mechanism_as_it_is_learns_something():
    """The audit is no blind one: with little noise its bound is above 0 and below the claim."""
    schedule = Schedule(noise_multiplier=1.5, sampling_rate=1.0, rounds=3)
    found = bound(watched(schedule), schedule)
    assert 0.5 < found.epsilon < schedule.claim().epsilon


def test_rounds_computed_anew_with_fresh_noise_pass():
    schedule = Schedule(rounds=30)
    claim = schedule.claim(attempts=2)
    require_consistent(claim, bound_of(claim, "shop", resumed(schedule), confidence=CONFIDENCE))


def only_rounded(sums, how, source):
    del source
    silent = grid.GridNoise(how.clipping_norm, 1e-12, how.coordinates)
    return grid.noised(sums, silent, SecureSource())


def test_without_noise_it_fires(monkeypatch):
    monkeypatch.setattr(noise, "noised", only_rounded)
    assert_disproved(watched(), Schedule())


def test_without_clipping_it_fires(monkeypatch):
    whole = clipping._total
    monkeypatch.setattr(clipping, "_total", lambda parts, users: 0.0 * whole(parts, users))
    assert_disproved(watched(), Schedule())


def everyone(users, rate, source):
    del source
    return PoissonSample(np.unique(users), rate, _ISSUED)


def test_where_everybody_takes_part_in_every_round_it_fires(monkeypatch):
    monkeypatch.setattr(private_trainer, "poisson_sample", everyone)
    assert_disproved(watched(), Schedule())


def bare_item_side(sums, how, source):
    bare = only_rounded(sums, how, source)
    return {**grid.noised(sums, how, source), "item.weight": bare["item.weight"]}


def test_without_noise_on_the_head_it_fires(monkeypatch):
    """The last weight before the scores, which is the encoder's head, goes out bare."""
    monkeypatch.setattr(noise, "noised", bare_item_side)
    schedule = Schedule(noise_multiplier=8.0)  # few canaries show little: a claim well below it
    assert_disproved(watched(schedule, on_the_item_side()), schedule)


def test_with_noise_on_the_head_canaries_there_pass():
    require_consistent(Schedule().claim(), bound(watched(canaries=on_the_item_side()), Schedule()))


@dataclass(frozen=True)
class Replayed:
    """A source that a resumed round starts again: the same noise in every attempt."""

    key: bytes

    def normals(self, count):
        return SecureSource(lambda size: self.key[:size]).normals(count)


def test_where_a_resumed_round_repeats_its_noise_it_fires(monkeypatch):
    schedule = Schedule(rounds=30)

    def replaying(run):
        set_up(run)
        run.noise = noise.GaussianNoise(run.noise.published_users, Replayed(bytes(range(32))))

    set_up = Run.__post_init__
    monkeypatch.setattr(Run, "__post_init__", replaying)
    assert_disproved(resumed(schedule), schedule, attempts=2)


def test_the_bound_needs_the_auditors_coins():
    """Scores of one run tell nothing about the coins of another: no bound from nowhere."""
    schedule = Schedule(noise_multiplier=1.5, sampling_rate=1.0, rounds=3)
    scores, other = watched(schedule).scores, everywhere()
    found = bound(canaries.Watch(other, scores), schedule)
    assert found.epsilon < 0.5
