"""The sum of noise shares: all planned platforms or nothing."""

from dataclasses import replace

import numpy as np
import pytest

from isthmus.errors import FederationError, MessageRefusedError, ScenarioError
from isthmus.messages import Update
from isthmus.parameters import GridSum, Shared
from isthmus.privacy.grid import GridNoise, noised
from isthmus.privacy.randomness import SecureSource
from isthmus_server.noised_sum import NoisedSum

RULE = NoisedSum(
    clipping_norm=1.0, noise_multiplier=1e-7, shares=2, platforms=3, expected_users=10.0
)
HOW = GridNoise(1.0, 1e-7, coordinates=4, shares=2)


def update(name, value, users=5):
    values = {"w": np.full((3,), value, np.float32), "s": np.float32(value).reshape(())}
    return Update(name, 1, GridSum(noised(values, HOW, SecureSource())), users, "base")


def three():
    return [update("a", 1.0), update("b", 2.0, users=15), update("c", -0.5, users=0)]


def test_the_mean_is_over_the_expected_users():
    combined = RULE.combine(three())
    assert combined.mean.tensors["w"] == pytest.approx(np.full(3, 0.25), abs=1e-6)
    assert combined.mean.tensors["s"] == pytest.approx(0.25, abs=1e-6)
    assert combined.shares == {"a": 0.25, "b": 0.75, "c": 0.0}


def test_the_order_of_arrival_changes_nothing():
    updates = three()
    one, two = RULE.combine(updates), RULE.combine(updates[::-1])
    assert one.mean.fingerprint() == two.mean.fingerprint()


def test_a_missing_share_discards_the_round():
    with pytest.raises(FederationError, match="2 of 3 noise shares"):
        RULE.combine(three()[:2])


def test_what_is_no_sum_is_refused():
    plain = Update("c", 1, Shared({"w": np.zeros(3, np.float32)}), 5, "base")
    with pytest.raises(MessageRefusedError, match="'c' sent no sum"):
        RULE.combine([*three()[:2], plain])


def test_a_single_sum_may_not_be_read():
    with pytest.raises(MessageRefusedError, match="only sums of all"):
        _ = update("a", 1.0).shared


@pytest.mark.parametrize("change", [{"expected_users": 0.0}, {"shares": 4}, {"shares": 0}])
def test_bad_settings_are_refused(change):
    with pytest.raises(ScenarioError):
        replace(RULE, **change)


def test_its_settings_are_what_a_checkpoint_remembers():
    assert RULE.settings()["name"] == "noised_sum"
    assert RULE.settings()["expected_users"] == 10.0
    assert RULE.sees == "sum"
