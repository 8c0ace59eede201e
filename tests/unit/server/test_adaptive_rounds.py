"""The clipping norm on the server: it follows the planted quantile, and nothing forgets it."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from private_platforms import PRIVATE_ROUND
from toy_platforms import INITIAL, server_config

from isthmus.files import digest
from isthmus.messages import Update
from isthmus.parameters import GridSum, Shared
from isthmus.privacy import adaptive
from isthmus.privacy.grid import GridNoise, noised, restored
from isthmus.privacy.randomness import SecureSource
from isthmus_server import rounds
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.noised_sum import NoisedSum
from isthmus_server.optimisers import FedAdam, FedAvg
from isthmus_server.results import read_result

USERS = {"a": 400, "b": 1600}
NORMS = {"a": np.geomspace(0.3, 3.0, 400), "b": np.geomspace(2.0, 90.0, 1600)}
TRUSTS = pytest.mark.parametrize("trust", ["local", "pooled"])
STEP = {name: np.full(t.shape, -3.0, np.float32) for name, t in INITIAL.tensors.items()}


def config_of(trust="local", *, quantile=0.5, noise=1e-9, norm=1.0, rate=1.0, count=200):
    plan = replace(
        PRIVATE_ROUND,
        privacy=trust,
        clipping_norm=norm,
        noise_multiplier=noise,
        sampling_rate=rate,
        clipping_quantile=quantile,
    )
    settings = {"rounds": count, "optimiser": FedAvg(learning_rate=1e-3)}
    if trust == "pooled":
        settings["aggregation"] = NoisedSum(norm, noise, 1, 2, rate * sum(USERS.values()))
    return server_config(plan=plan, **settings)


def answer(name, plan, base, source=None):
    """What a platform whose users have the planted norms sends."""
    source = source or SecureSource()
    norms = NORMS[name]
    norms = norms[np.random.default_rng(plan.round).random(norms.size) < plan.sampling_rate]
    within = int((norms <= plan.gradient_norm).sum())
    sums = {n: t * np.float32(plan.clipping_norm) for n, t in STEP.items()}
    if plan.adaptive:
        value = adaptive.encoded(within, norms.size, plan.clipping_norm)
        sums[adaptive.WITHIN] = np.asarray(value, np.float32)
    size = sum(t.size for t in sums.values())
    how = GridNoise(plan.clipping_norm, plan.noise_multiplier, size, plan.shares)
    steps = noised(sums, how, source)
    if plan.privacy == "pooled":
        return Update(name, plan.round, GridSum(steps), USERS[name], base)
    mean = Shared(restored(steps, how, plan.sampling_rate * USERS[name]))
    return Update(name, plan.round, mean, USERS[name], base)


def one_round(config, state, platforms=("a", "b")):
    state = rounds.configure(config, state, platforms)
    for name in platforms:
        update = answer(name, state.open.plan, state.open.base)
        state = rounds.receive(state, name, update, 9)
    state = rounds.optimise(config, rounds.aggregate(config, state))
    return rounds.commit(config, state, seconds=0.5, bytes_down={})


def run(config, count):
    """The norm of every round, and the last state."""
    state = rounds.start(config, INITIAL)
    norms = []
    for _ in range(count):
        norms.append(state.clipping_norm)
        state = one_round(config, state)
    return norms, state


def planted(quantile):
    return float(np.quantile(np.concatenate(list(NORMS.values())), quantile))


@TRUSTS
@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.85])
def test_the_norm_follows_the_planted_quantile(trust, quantile):
    norms, state = run(config_of(trust, quantile=quantile), 200)
    assert norms[0] == 1.0
    assert state.clipping_norm == pytest.approx(planted(quantile), rel=0.02)
    assert not state.open


@TRUSTS
def test_with_noise_and_samples_it_nearly_does(trust):
    """Noise of 2 norms on 1000 expected users: 0.02 (pooled) on the share, in every round."""
    norms, _ = run(config_of(trust, noise=2.0, rate=0.5, norm=30.0), 160)
    late = np.array(norms[80:])
    assert np.median(late) == pytest.approx(planted(0.5), rel=0.15)
    assert late.std() > 0


@TRUSTS
def test_loud_noise_moves_it_by_a_bounded_factor_and_to_no_side(trust):
    """At a quantile far from one half; the share alone would be cut off on one side."""
    norms, _ = run(config_of(trust, quantile=0.85, noise=2000.0, norm=planted(0.85)), 80)
    steps = np.diff(np.log(norms))
    assert np.abs(steps).max() <= adaptive.RATE + 1e-12
    assert abs(steps.mean()) < 5 * adaptive.RATE / math.sqrt(steps.size)


@TRUSTS
def test_each_round_is_read_at_its_own_norm(trust):
    """The planted step is 3 norms of each platform's sum, over the expected users."""
    config = config_of(trust, norm=40.0)
    state, norm = rounds.start(config, INITIAL), 40.0
    for _ in range(4):
        before, norm = state.parameters, state.clipping_norm
        state = one_round(config, state)
        assert state.parameters.shapes() == INITIAL.shapes()
        moved = state.parameters.minus(before).tensors["encoder/w"]
        assert moved == pytest.approx(-1e-3 * 2 * 3.0 * norm / 2000, rel=0.02)
    assert norm < 40.0


@TRUSTS
def test_a_fixed_norm_stays_and_its_updates_are_as_before(trust):
    config = config_of(trust, quantile=0.0)
    norms, state = run(config, 3)
    assert {*norms, state.clipping_norm} == {1.0}
    update = answer("a", state_plan(config), "base")
    assert update.delta.shapes() == INITIAL.shapes()


def state_plan(config):
    return rounds.configure(config, rounds.start(config, INITIAL), ["a", "b"]).open.plan


@TRUSTS
@pytest.mark.parametrize(("asked", "words"), [(0.5, "lacks '.within'"), (0.0, "has '.within'")])
def test_a_missing_or_unasked_for_scalar_is_refused(trust, asked, words):
    config, other = (config_of(trust, quantile=q) for q in (asked, 0.5 - asked))
    state = rounds.configure(config, rounds.start(config, INITIAL), ["a", "b"])
    wrong = answer("a", state_plan(other), state.open.base)
    state = rounds.receive(state, "a", wrong, 7)
    assert not state.open.accepted
    ((sender, reason, _),) = state.open.refused
    assert sender == "a"
    assert words in reason


def test_a_round_without_a_platform_goes_by_the_others():
    """Local noise: the share is over the expected users of those who came."""
    config = config_of(quantile=0.5)
    state = rounds.start(config, INITIAL)
    for _ in range(150):
        state = one_round(config, state, ("a",))
    assert state.clipping_norm == pytest.approx(np.median(NORMS["a"]), rel=0.02)


@TRUSTS
def test_resuming_goes_on_with_the_same_norm(trust, tmp_path):
    store = CheckpointStore(tmp_path)
    config = config_of(trust, norm=7.0)
    state = rounds.start(config, INITIAL)
    norms = [state.clipping_norm]
    store.save(config, INITIAL, state)
    for _ in range(3):
        state = one_round(config, state)
        store.save(config, INITIAL, state)
        norms.append(state.clipping_norm)
    assert len(set(norms)) == 4
    for number in (3, 2, 1, 0):
        loaded = store.latest(config, INITIAL)
        assert (loaded.round, loaded.clipping_norm) == (number, norms[number])
        plan = rounds.configure(config, loaded, ["a", "b"]).open.plan
        assert (plan.round, plan.clipping_norm) == (number + 1, norms[number])
        assert read_result(config, INITIAL, store).clipping_norm == norms[number]
        (tmp_path / f"round-{number:05d}.json").unlink()


def test_a_checkpoint_from_before_is_one_with_a_fixed_norm(tmp_path):
    store, config = CheckpointStore(tmp_path), config_of(quantile=0.0)
    store.save(config, INITIAL, one_round(config, rounds.start(config, INITIAL)))
    store.save(config, INITIAL, rounds.start(config, INITIAL))
    for path in tmp_path.glob("*.json"):
        body = json.loads(path.read_text())["checkpoint"]
        assert "plan.clipping_quantile" not in body["identity"]
        del body["clipping_norm"]
        sha = digest(json.dumps(body, sort_keys=True).encode())
        path.write_text(json.dumps({"checkpoint": body, "sha256": sha}))
    assert store.latest(config, INITIAL).clipping_norm == 1.0


def test_memory_of_the_server_optimiser_has_no_place_for_the_scalar():
    config = replace(config_of(), optimiser=FedAdam())
    state = one_round(config, rounds.start(config, INITIAL))
    assert {tuple(slot.shapes()) for slot in state.slots.values()} == {tuple(INITIAL.shapes())}


def test_the_template_s_norm_is_that_of_the_first_round_alone():
    config = config_of(norm=2.0)
    assert config.plan_for(1).clipping_norm == 2.0
    assert config.plan_for(4, 0.25).clipping_norm == 0.25
    assert config_of(quantile=0.0, norm=2.0).plan_for(4, 0.25).clipping_norm == 2.0
    assert config.identity()["plan.clipping_norm"] == 2.0
