"""What the audit rests on, for any numbers: the bound's order, and a round that one user leaves.

The round is the product's own, sample and noise frozen. Each property is shown to fail where the
part that it watches is switched off.
"""

import numpy as np
import pytest
from frozen_rounds import CONFIG, USERS, Free, Frozen, parameters, workspace
from hypothesis import given
from hypothesis import strategies as st

from isthmus.encoder import initial_encoder
from isthmus.messages import RoundPlan
from isthmus.privacy import grid
from isthmus.privacy.one_run import Guesses, lower_bound, p_value
from isthmus_client import noise as noise_module
from isthmus_client.dp import clipping
from isthmus_client.noise import GaussianNoise
from isthmus_client.private_trainer import PrivateTrainer
from isthmus_client.workspace import Workspace

counts = st.tuples(st.integers(0, 80), st.integers(0, 80), st.integers(0, 300)).map(
    lambda found: Guesses(sum(found), found[0] + found[1], found[0])
)
deltas = st.sampled_from([0.0, 1e-9, 1e-6, 1e-4])


@given(guesses=counts, delta=deltas, low=st.floats(0, 9), more=st.floats(0, 9))
def test_a_larger_epsilon_never_makes_guesses_less_likely(guesses, delta, low, more):
    assert p_value(guesses, low + more, delta) >= p_value(guesses, low, delta) - 1e-12


@given(guesses=counts, delta=deltas, confidence=st.floats(0.5, 0.999))
def test_the_bound_is_where_the_p_value_crosses_the_confidence(guesses, delta, confidence):
    bound = lower_bound(guesses, delta=delta, confidence=confidence)
    assert p_value(guesses, bound + 1e-6, delta) >= 1 - confidence
    assert bound == 0 or p_value(guesses, bound, delta) <= 1 - confidence


@given(guesses=counts, delta=deltas)
def test_one_more_right_guess_never_lowers_the_bound(guesses, delta):
    if guesses.correct < guesses.guessed:
        better = Guesses(guesses.canaries, guesses.guessed, guesses.correct + 1)
        assert lower_bound(better, delta=delta) >= lower_bound(guesses, delta=delta)


@given(guesses=counts, delta=deltas)
def test_canaries_that_nobody_guesses_never_raise_it(guesses, delta):
    more = Guesses(guesses.canaries + 40, guesses.guessed, guesses.correct)
    assert lower_bound(more, delta=delta) <= lower_bound(guesses, delta=delta) + 1e-9


PARAMETERS = sum(p.numel() for p in initial_encoder(CONFIG, 0).parameters())
PLAN = RoundPlan(
    "round", 1, 3, negatives=9, validate=False, privacy="local",
    clipping_norm=0.03, noise_multiplier=1.7, sampling_rate=1.0,
)  # fmt: skip


def released(without=None, *, published=lambda live: USERS, changed=lambda found: found):  # noqa: ARG005 - a constant
    """What leaves the platform in a round, times the expected users."""
    data = changed(workspace(without))
    users = published(data.sequences.training_users.size)
    trainer = PrivateTrainer(data, CONFIG, Free(), users, source=Frozen())
    update = trainer.train(parameters(), PLAN).update
    sent = GaussianNoise(users, Frozen())(update, PLAN)
    return USERS * np.concatenate([np.ravel(sent.tensors[name]) for name in sorted(sent.tensors)])


def moved_by(user, **how):
    """How far one user's leaving moves what leaves the platform, in clipping norms."""
    return np.linalg.norm(released(**how) - released(user, **how)) / PLAN.clipping_norm


@given(user=st.integers(0, USERS - 1))
def test_one_user_moves_what_leaves_by_the_clipping_norm_at_most(user):
    assert 0.5 < moved_by(user) <= 1.002  # float32 of the release


def test_without_clipping_one_user_moves_it_further(monkeypatch):
    whole = clipping._total
    monkeypatch.setattr(clipping, "_total", lambda parts, users: 0.0 * whole(parts, users))
    assert max(moved_by(user) for user in range(5)) > 1.5


def test_clipped_tensor_by_tensor_one_user_moves_it_further(monkeypatch):
    from isthmus_client.dp import engine  # noqa: PLC0415 - patched here alone

    whole = clipping.add_clipped

    def one_by_one(total, contributions, *more):
        for contribution in contributions:
            total = whole(total, [contribution], *more)
        return total

    monkeypatch.setattr(engine, "add_clipped", one_by_one)
    assert max(moved_by(user) for user in range(5)) > 1.5


def test_divided_by_the_live_count_one_user_moves_it_further():
    """The divisor then tells of the user through all of the noise."""
    assert min(moved_by(user, published=lambda live: live) for user in range(5)) > 1.5


def with_a_head(data):
    """Item vectors with a residual that was fitted on all users, without noise."""
    fitted = Workspace(data.platform, data.max_events)
    counts = np.asarray(data.counts.sum(axis=0)).ravel()
    fitted.__dict__["content"] = data.content * data.content.new_tensor(counts**2).unsqueeze(1)
    return fitted


def test_through_a_head_without_privacy_one_user_moves_it_further():
    assert max(moved_by(user, changed=with_a_head) for user in range(5)) > 1.5


def test_what_is_published_of_a_round_does_not_change_when_a_user_leaves():
    sizes = set()
    for without in (None, 3):
        trainer = PrivateTrainer(workspace(without), CONFIG, Free(), USERS, source=Frozen())
        found = trainer.train(parameters(), PLAN)
        sent = GaussianNoise(USERS, Frozen())(found.update, PLAN)
        sizes.add((found.users, tuple(found.metrics), sent.bytes, tuple(sent.shapes().items())))
    assert len(sizes) == 1


def noises(rounds=150):
    """Noise of each tensor over its planned deviation, from rounds in which nobody is."""
    quiet = RoundPlan.from_record({**PLAN.to_record(), "sampling_rate": 1e-12})
    data = workspace()
    trainer = PrivateTrainer(data, CONFIG, Free(), USERS)
    noise = GaussianNoise(USERS)
    unit = PLAN.clipping_norm * PLAN.noise_multiplier / (quiet.sampling_rate * USERS)
    update = trainer.train(parameters(), quiet).update
    sent = [noise(update, quiet).tensors for _ in range(rounds)]
    return {name: np.stack([each[name] for each in sent]) / unit for name in sent[0]}


def as_planned(found):
    """Whether each tensor's noise has the planned deviation, within five standard errors."""
    return all(
        abs(values.std() - 1.0) < 2e-3 + 5 / np.sqrt(2 * values.size) for values in found.values()
    )


def test_every_tensor_has_the_planned_noise_even_where_nobody_was_sampled():
    assert as_planned(noises())


@pytest.mark.parametrize("name", ["item.weight", "log_scale", "blocks.0.qkv.bias"])
def test_a_tensor_without_noise_is_found(monkeypatch, name):
    whole = grid.noised

    def all_but_one(sums, how, source):
        found = dict(whole(sums, how, source))
        return found | {name: np.zeros_like(found[name])}

    monkeypatch.setattr(noise_module, "noised", all_but_one)
    assert not as_planned(noises(rounds=60))


def test_noise_of_two_rounds_has_nothing_in_common():
    """Neither the run's seed nor NumPy's nor an equal plan makes it repeat."""
    found = noises(rounds=2)
    first, second = (np.concatenate([v[n].ravel() for v in found.values()]) for n in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(PARAMETERS)
