"""Noise on the grid: its scale, its sums, and what is refused."""

import math
from dataclasses import replace

import numpy as np
import pytest

from isthmus.errors import MessageRefusedError
from isthmus.privacy.grid import STEPS, GridNoise, noised, restored, shares_of, summed
from isthmus.privacy.randomness import SecureSource

HOW = GridNoise(clipping_norm=0.5, noise_multiplier=2.0, coordinates=40_001)


def zeros(count=40_000):
    return {"w": np.zeros((2, count // 2), np.float32), "s": np.zeros((), np.float32)}


def flat(named):
    return np.concatenate([values.ravel() for values in named.values()])


@pytest.mark.parametrize("shares", [1, 2, 5])
def test_the_planned_shares_together_are_the_planned_noise(shares):
    how = replace(HOW, shares=shares)
    parts = [noised(zeros(), how, SecureSource()) for _ in range(shares)]
    found = flat(restored(summed(parts), how, divisor=1.0))
    assert found.std() == pytest.approx(2.0 * 0.5, rel=0.02)
    assert abs(found.mean()) < 0.03


def test_the_divisor_is_what_it_is_told():
    found = flat(restored(noised(zeros(), HOW, SecureSource()), HOW, divisor=8.0))
    assert found.std() == pytest.approx(2.0 * 0.5 / 8, rel=0.02)


def test_the_signal_is_kept_to_half_a_step():
    quiet = GridNoise(1.0, 1e-9, 3)
    values = {"w": np.array([0.25, -1.0, 0.7], np.float32)}
    found = restored(noised(values, quiet, SecureSource()), quiet, divisor=1.0)["w"]
    assert found == pytest.approx(values["w"], abs=2e-8)


def test_the_noise_is_fresh():
    one, two = (noised(zeros(), HOW, SecureSource()) for _ in range(2))
    assert (one["w"] != two["w"]).mean() > 0.999
    source = SecureSource()
    one, two = (noised(zeros(), HOW, source) for _ in range(2))
    assert (one["w"] != two["w"]).mean() > 0.999


def test_low_order_bits_say_nothing():
    """All values are whole steps, whatever was noised."""
    odd = {"w": np.full(40_001, 0.1, np.float32)}
    grid = noised(odd, HOW, SecureSource())["w"]
    assert grid.dtype == np.int64
    assert np.bincount(grid & 1).min() > 19_000


def test_sums_wrap_as_masks_need_it():
    top = np.array([2**63 - 1, 5], np.int64)
    assert summed([{"w": top}, {"w": np.array([1, -7], np.int64)}])["w"].tolist() == [-(2**63), -2]
    mask = np.array([0x9E3779B97F4A7C15], np.uint64)
    masked = (np.array([41], np.int64).view(np.uint64) + mask).view(np.int64)
    minus = (~mask + np.uint64(1)).view(np.int64)
    assert summed([{"w": masked}, {"w": minus}])["w"].tolist() == [41]


@pytest.mark.parametrize(
    "change",
    [
        {"clipping_norm": 0.0},
        {"clipping_norm": math.nan},
        {"noise_multiplier": 0.0},
        {"noise_multiplier": math.inf},
        {"coordinates": 0},
        {"shares": 0},
    ],
)
def test_what_gives_no_noise_is_refused(change):
    with pytest.raises(MessageRefusedError, match=next(iter(change))):
        replace(HOW, **change)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_a_sum_off_the_grid_is_refused(value):
    sums = {"v": np.ones(40_000, np.float32), "w": np.float32(value), "x": np.zeros((3, 0))}
    with pytest.raises(MessageRefusedError, match="'w'"):
        noised(sums, HOW, SecureSource())


def test_every_tensor_keeps_its_name_and_shape():
    sums = {"w": np.full((2, 3), 2.0), "s": np.float32(-1.0), "e": np.zeros((0, 4))}
    quiet = GridNoise(1.0, 1e-9, 7)
    found = restored(noised(sums, quiet, SecureSource()), quiet, divisor=1.0)
    assert {name: values.shape for name, values in found.items()} == {
        "w": (2, 3),
        "s": (),
        "e": (0, 4),
    }
    assert found["s"] == pytest.approx(-1.0, abs=1e-7)
    assert found["w"] == pytest.approx(sums["w"], abs=1e-7)


def test_other_coordinates_than_accounted_are_refused():
    with pytest.raises(MessageRefusedError, match="40001"):
        noised({"w": np.zeros(3, np.float32)}, HOW, SecureSource())


def test_sums_of_other_shapes_are_refused():
    with pytest.raises(MessageRefusedError, match="differ"):
        summed([{"w": np.zeros(3, np.int64)}, {"w": np.zeros(4, np.int64)}])
    with pytest.raises(MessageRefusedError, match="nothing"):
        summed([])


@pytest.mark.parametrize(("platforms", "colluders", "honest"), [(2, 0, 2), (5, 1, 4), (5, 3, 2)])
def test_honest_shares(platforms, colluders, honest):
    assert shares_of(platforms, colluders) == honest


@pytest.mark.parametrize(("platforms", "colluders"), [(1, 0), (3, 2), (3, -1)])
def test_two_must_be_honest(platforms, colluders):
    with pytest.raises(MessageRefusedError, match="honest"):
        shares_of(platforms, colluders)


def test_the_accounted_sensitivity_covers_clipping_and_rounding():
    assert HOW.sensitivity >= STEPS + math.sqrt(HOW.coordinates)
    assert HOW.sensitivity < 1.002 * STEPS


def test_rounding_adds_next_to_nothing_to_delta():
    assert HOW.slack(platforms=1, rounds=300, epsilon=8.0) == 0.0
    shared = replace(HOW, shares=9, coordinates=10**6)
    assert 0 < shared.slack(platforms=10, rounds=1000, epsilon=8.0) < 1e-8
