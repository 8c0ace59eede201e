"""The last step before the door: noise on the grid."""

from dataclasses import replace

import numpy as np
import pytest
from private_platforms import PRIVATE_ROUND

from isthmus.errors import MessageRefusedError, OutboxError
from isthmus.parameters import GridSum, Shared
from isthmus_client.noise import GaussianNoise

POOLED = replace(PRIVATE_ROUND, privacy="pooled", shares=4)
SUM = Shared({"w": np.full((100, 200), 10.0, np.float32)})


def test_local_noise_is_whole_and_divided_by_the_expected_users():
    out = GaussianNoise(published_users=80)(SUM, PRIVATE_ROUND)
    assert isinstance(out, Shared)
    values = out.tensors["w"]
    assert values.mean() == pytest.approx(10.0 / 40, rel=0.05)
    assert values.std() == pytest.approx(4.0 * 0.5 / 40, rel=0.03)


def test_pooled_noise_is_a_share_on_the_grid():
    out = GaussianNoise(80, shares=4)(SUM, POOLED)
    assert isinstance(out, GridSum)
    steps = out.tensors["w"] * (0.5 / 2**36)
    assert steps.std() == pytest.approx(4.0 * 0.5 / 2, rel=0.03)
    assert steps.mean() == pytest.approx(10.0, rel=0.05)


def test_the_scale_does_not_depend_on_the_sum():
    empty = Shared({"w": np.zeros((100, 200), np.float32)})
    out = GaussianNoise(published_users=80)(empty, PRIVATE_ROUND).tensors["w"]
    assert out.std() == pytest.approx(4.0 * 0.5 / 40, rel=0.03)


def test_two_platforms_and_two_attempts_share_no_noise():
    noise = GaussianNoise(80, shares=4)
    outs = [noise(SUM, PRIVATE_ROUND), noise(SUM, PRIVATE_ROUND), noise(SUM, POOLED)]
    assert len({out.fingerprint() for out in outs}) == 3


def test_a_round_without_privacy_does_not_pass_bare():
    plain = replace(
        PRIVATE_ROUND, privacy="none", clipping_norm=0.0, noise_multiplier=0.0, sampling_rate=0.0
    )
    with pytest.raises(OutboxError, match="without privacy"):
        GaussianNoise(80)(SUM, plain)


def test_a_sum_that_is_not_finite_does_not_pass():
    with pytest.raises(MessageRefusedError, match="finite"):
        GaussianNoise(80)(Shared({"w": np.full(3, np.nan, np.float32)}), PRIVATE_ROUND)


def test_who_watches_sees_what_leaves():
    seen = []
    noise = GaussianNoise(
        80, shares=4, watch=lambda plan, steps: seen.append((plan.round, steps["w"]))
    )
    out = noise(SUM, POOLED)
    assert seen[0][0] == 1
    assert np.array_equal(seen[0][1], out.tensors["w"])


@pytest.mark.parametrize("agreed", [1, 3])
def test_thinner_noise_than_agreed_does_not_leave(agreed):
    with pytest.raises(OutboxError, match=f"4 noise shares, this platform agreed to {agreed}"):
        GaussianNoise(80, shares=agreed)(SUM, POOLED)
