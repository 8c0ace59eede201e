"""What a sum of encoded updates says is what the updates themselves say."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from secagg_cases import Case, play

from isthmus.errors import MessageRefusedError, OutboxError
from isthmus.messages import RoundPlan, Update
from isthmus.parameters import GridSum, Shared
from isthmus.privacy.grid import summed
from isthmus.secure_sums import LARGEST, UNIT, Layout, layout_for
from isthmus_server.aggregate import Mean

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SHAPES = {"a": (3, 2), "b": (), "c": (5,)}
METRICS = ("loss", "seconds")
NAMES = "abcdefgh"


def layout(**changes):
    return Layout(SHAPES, **{"metrics": METRICS, **changes})


@st.composite
def cohorts(draw):
    """Updates of 3 to 8 platforms, some without users or metrics."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from([1e-6, 1e-2, 1.0, 30.0]))
    found = []
    for name in NAMES[: draw(st.integers(3, 8))]:
        tensors = {n: np.asarray(random.normal(0, scale, s), np.float32) for n, s in SHAPES.items()}
        users = draw(st.sampled_from([0, 1, 7, 3_000, 2_000_000]))
        told = draw(st.sets(st.sampled_from(METRICS)))
        metrics = {n: float(random.normal(0, 10)) for n in sorted(told)}
        found.append(Update(name, 1, Shared(tensors), users, "", metrics))
    return found


def total(updates, how):
    parts = [{"all": how.encode(update, len(updates))} for update in updates]
    return summed(parts)["all"]


@FEW
@given(cohorts(), st.sampled_from(["users", "equal", "sqrt_users"]))
def test_a_sum_decodes_to_the_weighted_mean(updates, weights):
    how = layout(weights=weights)
    found = how.decode(total(updates, how), len(updates))
    expected = Mean(weights=weights).combine(updates).mean
    for name, tensor in expected.tensors.items():
        assert found.delta.tensors[name] == pytest.approx(tensor, rel=1e-6, abs=1e-6)
    assert found.users == sum(update.users for update in updates)
    for name in METRICS:
        told = [update.metrics[name] for update in updates if name in update.metrics]
        assert (name in found.metrics) == bool(told)
        if told:
            assert found.metrics[name] == pytest.approx(np.mean(told), abs=1e-6)


@FEW
@given(cohorts())
def test_the_same_comes_out_of_masked_vectors(updates):
    how = layout()
    case = Case(len(updates), length=how.length)
    vectors = {
        name: how.encode(update, len(updates)).view(np.uint64)
        for name, update in zip(case.names, updates, strict=True)
    }
    played = play(case, vectors)
    assert np.array_equal(played.total.view(np.int64), total(updates, how))


@FEW
@given(st.integers(0, 2**32), st.integers(3, 6))
def test_sums_on_the_grid_are_exact(seed, platforms):
    random = np.random.default_rng(seed)
    most = int(LARGEST) // platforms
    how = Layout(SHAPES, kind="grid")
    grids = [
        {n: random.integers(-most + 1, most, s, np.int64) for n, s in SHAPES.items()}
        for _ in range(platforms)
    ]
    grids = [{n: np.asarray(v, np.int64) for n, v in grid.items()} for grid in grids]
    updates = [Update(NAMES[k], 1, GridSum(grid), 30, "") for k, grid in enumerate(grids)]
    found = how.decode(total(updates, how), platforms)
    assert found.delta.fingerprint() == GridSum(summed(grids)).fingerprint()
    assert found.users == 30 * platforms


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("platforms", [3, 5])
def test_a_sum_on_the_grid_that_could_wrap_does_not_leave(platforms, sign):
    """Two platforms' halves of 2^63 would come out as their opposite, and nobody would see it."""
    how, most = Layout({"a": (2,)}, kind="grid"), int(LARGEST) // platforms

    def encoded(value):
        grid = GridSum({"a": np.array([0, sign * value], np.int64)})
        return how.encode(Update("a", 1, grid, 30, ""), platforms)

    assert encoded(most - 1)[1] == sign * (most - 1)
    with pytest.raises(OutboxError, match=f"over {platforms} platforms could not hold it"):
        encoded(most)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_numbers_that_no_sum_could_hold_do_not_leave(value):
    tensors = {n: np.full(s, value, np.float32) for n, s in SHAPES.items()}
    update = Update("a", 1, Shared(tensors), 5, "")
    with pytest.raises(OutboxError, match="a sum over 3 platforms could not hold it"):
        layout().encode(update, 3)


def test_the_room_is_divided_by_the_cohort():
    most = LARGEST / UNIT / 4
    update = Update("a", 1, Shared({"a": np.array([most * 0.99], np.float32)}), 1, "")
    how = Layout({"a": (1,)})
    assert how.encode(update, 4)[0] > 0
    with pytest.raises(OutboxError):
        how.encode(update, 5)


@pytest.mark.parametrize(
    ("place", "value"), [(-6, -1), (-5, -1), (-3, 4), (-1, -1)], ids=["weight", "users", "n", "n-"]
)
def test_a_sum_that_no_platforms_could_have_sent_is_refused(place, value):
    how = layout()
    words = np.zeros(how.length, np.int64)
    words[place] = value
    with pytest.raises(MessageRefusedError, match="a platform lied"):
        how.decode(words, 3)


def test_a_private_round_has_no_metrics_and_an_adaptive_one_has_its_scalar():
    plan = RoundPlan(
        "r",
        1,
        1,
        validate=False,
        privacy="pooled",
        clipping_norm=1.0,
        noise_multiplier=1.0,
        sampling_rate=0.5,
        clipping_quantile=0.5,
    )
    parameters = Shared({"w": np.zeros(3, np.float32)})
    how = layout_for(parameters, plan, ("loss",))
    assert (how.kind, how.metrics, how.length) == ("grid", (), 3 + 1 + 2)
    assert list(how.shapes) == [".within", "w"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weights": "all"}, "weights 'all'"),
        ({"metrics": ("b", "a")}, "not sorted"),
        ({"metrics": ("a", "a")}, "not sorted"),
        ({"shapes": {"w": (10**8,)}}, "more than"),
    ],
)
def test_a_layout_that_could_be_read_in_two_ways_is_refused(changes, words):
    with pytest.raises(MessageRefusedError, match=words):
        Layout(**{"shapes": SHAPES, **changes})


def test_other_tensors_than_the_layout_are_refused():
    with pytest.raises(MessageRefusedError, match="not the tensors"):
        layout().encode(Update("a", 1, Shared({"a": np.zeros(3, np.float32)}), 1, ""), 3)
