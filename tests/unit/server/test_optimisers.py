import numpy as np
import pytest

from isthmus.errors import MessageRefusedError, ScenarioError
from isthmus.parameters import Shared
from isthmus_server.optimisers import FedAdam, FedAvg, FedAvgM, server_optimiser

START = Shared({"w": np.array([1.0, -2.0], np.float32)})
MEAN = Shared({"w": np.array([0.5, 0.25], np.float32)})


def test_fedavg_adds_the_mean():
    moved, slots = FedAvg().apply(START, MEAN, {})
    assert moved.tensors["w"].tolist() == [1.5, -1.75]
    assert slots == {}


def test_fedavg_scales_by_its_rate():
    moved, _ = FedAvg(learning_rate=0.5).apply(START, MEAN, {})
    assert moved.tensors["w"].tolist() == [1.25, -1.875]


def test_fedavgm_gathers_speed():
    rule = FedAvgM(learning_rate=1.0, momentum=0.5)
    once, slots = rule.apply(START, MEAN, rule.init(START))
    twice, _ = rule.apply(once, MEAN, slots)
    assert once.tensors["w"].tolist() == [1.5, -1.75]
    assert twice.tensors["w"].tolist() == [2.25, -1.375]


def test_fedavgm_without_momentum_is_fedavg():
    plain, _ = FedAvg(0.7).apply(START, MEAN, {})
    rule = FedAvgM(0.7, momentum=0.0)
    assert rule.apply(START, MEAN, rule.init(START))[0].fingerprint() == plain.fingerprint()


def test_fedadam_follows_the_paper_line_by_line():
    rule = FedAdam(learning_rate=0.1, beta1=0.9, beta2=0.99, tau=0.01)
    x, m, v = START.tensors["w"].astype(float), np.zeros(2), np.full(2, 1e-4)
    state, slots = START, rule.init(START)
    for _ in range(3):
        state, slots = rule.apply(state, MEAN, slots)
        d = MEAN.tensors["w"].astype(float)
        m = 0.9 * m + 0.1 * d
        v = 0.99 * v + 0.01 * d**2
        x = x + 0.1 * m / (np.sqrt(v) + 0.01)
    np.testing.assert_allclose(state.tensors["w"], x, rtol=1e-6)


@pytest.mark.parametrize("rule", [FedAvg(), FedAvgM(), FedAdam()])
def test_the_result_is_float32_and_nothing_given_is_changed(rule):
    before = START.fingerprint(), MEAN.fingerprint()
    moved, slots = rule.apply(START, MEAN, rule.init(START))
    assert moved.tensors["w"].dtype == np.float32
    assert all(t.dtype == np.float32 for slot in slots.values() for t in slot.tensors.values())
    assert (START.fingerprint(), MEAN.fingerprint()) == before


def test_a_mean_of_another_shape_is_refused():
    with pytest.raises(MessageRefusedError):
        FedAvg().apply(START, Shared({"w": np.zeros((1, 2), np.float32)}), {})


def test_optimisers_are_found_by_name():
    assert server_optimiser("fedadam", tau=0.1) == FedAdam(tau=0.1)
    assert server_optimiser("fedavg").settings() == {"name": "fedavg", "learning_rate": 1.0}


@pytest.mark.parametrize(
    ("name", "knobs", "words"),
    [
        ("adam", {}, "'adam' is unknown"),
        ("fedavg", {"momentum": 0.9}, "momentum"),
        ("fedavg", {"learning_rate": 0.0}, "learning_rate is 0.0"),
        ("fedavgm", {"momentum": 1.0}, "momentum is 1.0"),
        ("fedadam", {"tau": float("inf")}, "tau is inf"),
        ("fedadam", {"beta2": -0.1}, "beta2"),
    ],
)
def test_a_wrong_name_or_knob_is_named(name, knobs, words):
    with pytest.raises(ScenarioError, match=words):
        server_optimiser(name, **knobs)
