"""Robust aggregation on updates whose right answer is known."""

import numpy as np
import pytest

from isthmus.errors import FederationError, MessageRefusedError, ScenarioError
from isthmus.messages import Update
from isthmus.parameters import Shared
from isthmus_server.aggregate import Mean
from isthmus_server.robust import (
    AGGREGATIONS,
    Cosine,
    Median,
    NormBounded,
    TrimmedMean,
    aggregation,
    cuts,
    geometry,
    twins,
)

AXES = np.eye(4, dtype=np.float32)


def update(platform, values, users=10):
    row = np.asarray(values, np.float32)
    return Update(platform, 1, Shared({"a": row[:2], "b": row[2:].reshape(1, -1)}), users, "base")


def flat(combined):
    return np.concatenate([combined.mean.tensors[n].ravel() for n in ("a", "b")])


def test_weights_by_users_by_their_root_or_equal():
    pair = [update("p", [1, 1, 1, 1], users=90), update("q", [0, 0, 0, 0], users=10)]
    found = {w: flat(Mean(w).combine(pair))[0] for w in ("users", "equal", "sqrt_users")}
    assert found == pytest.approx({"users": 0.9, "equal": 0.5, "sqrt_users": 3 / (3 + 1 / 3 * 3)})
    assert Mean("users").combine(pair).shares == pytest.approx({"p": 0.9, "q": 0.1})


def test_a_long_update_is_cut_to_the_median_norm_and_keeps_its_direction():
    cohort = [update(n, 2 * axis) for n, axis in zip("pqr", AXES, strict=False)]
    cohort.append(update("z", 1000 * AXES[3]))
    np.testing.assert_allclose(flat(NormBounded().combine(cohort)), [0.5] * 4)
    np.testing.assert_allclose(flat(NormBounded(factor=3).combine(cohort)), [0.5, 0.5, 0.5, 1.5])


def test_short_updates_are_never_lengthened():
    np.testing.assert_allclose(cuts(np.array([1.0, 2.0, 0.0, 8.0, 4.0]), 1.0), [1, 1, 1, 0.25, 0.5])


def test_zero_updates_stay_zero():
    nothing = [update(name, np.zeros(4)) for name in "pqr"]
    for rule in AGGREGATIONS:
        assert not flat(aggregation(rule).combine(nothing)).any()


def test_the_trimmed_mean_drops_one_at_each_end_and_weighs_the_rest():
    cohort = [update("p", [1] * 4, 1), update("q", [2] * 4, 3), update("r", [4] * 4, 1)]
    cohort += [update("s", [-99] * 4, 50), update("t", [99] * 4, 50)]
    np.testing.assert_allclose(flat(TrimmedMean().combine(cohort)), [(1 + 6 + 4) / 5] * 4)


def test_two_platforms_leave_nothing_to_trim():
    pair = [update("p", [1] * 4), update("q", [3] * 4)]
    np.testing.assert_allclose(flat(TrimmedMean(share=0.4).combine(pair)), [2] * 4)


def test_the_median_is_the_middle_value_and_weights_can_move_it():
    cohort = [update("p", [1] * 4, 10), update("q", [2] * 4, 10), update("r", [99] * 4, 30)]
    np.testing.assert_allclose(flat(Median().combine(cohort)), [2] * 4)
    np.testing.assert_allclose(flat(Median("users").combine(cohort)), [99] * 4)
    np.testing.assert_allclose(flat(Median().combine(cohort[:2])), [1.5] * 4)


def test_who_points_against_the_rest_counts_nothing():
    sides = np.array([[0, 1.5, 0, 0], [0, 0, 1.5, 0], [0, 0, 0, 1.5]])
    ahead = [update(n, AXES[0] + side) for n, side in zip("pqr", sides, strict=True)]
    combined = Cosine().combine([*ahead, update("z", [-1, 0, 0, 0], users=25)])
    assert combined.shares["z"] == 0
    assert sum(combined.shares.values()) == pytest.approx(1)
    assert flat(combined)[0] == pytest.approx(flat(Cosine().combine(ahead))[0], rel=0.1)
    assert flat(Mean().combine([*ahead, update("z", [-1, 0, 0, 0], users=25)]))[0] < 0.1


def test_a_shop_enrolled_twice_counts_once():
    alone = [
        update("p", [1, 0.3, 0, 0]),
        update("q", [0, 1, 0.1, 0]),
        update("r", [0.3, 0.3, 1, 0]),
    ]
    twice = [*alone, update("r2", [0.3, 0.3, 1, 0.01], users=9)]
    once, again = Cosine().combine(alone), Cosine().combine(twice)
    assert again.shares["r"] + again.shares["r2"] == pytest.approx(once.shares["r"], rel=0.05)
    unaware = Cosine(twin=1).combine(twice).shares
    assert unaware["r"] + unaware["r2"] > 1.5 * once.shares["r"]


def test_twins_are_found_through_a_chain_and_one_means_off():
    angles = np.array([0.0, 0.3, 0.6, 2.0])
    cosines = np.cos(angles[:, None] - angles)
    assert twins(cosines, 0.9).astype(int).tolist() == [[1, 1, 1, 0]] * 3 + [[0, 0, 0, 1]]
    assert twins(np.ones((2, 2)), 1.0).tolist() == [[True, False], [False, True]]


def test_where_everybody_disagrees_the_weights_decide():
    pair = [update("p", [3, 0, 0, 0], 30), update("q", [-1, 0, 0, 0], 10)]
    combined = Cosine(factor=10).combine(pair)
    assert combined.shares == pytest.approx({"p": 0.75, "q": 0.25})
    assert flat(combined)[0] == pytest.approx(2.0)


def test_a_platform_alone_is_the_federation():
    only = [update("p", [3, 4, 0, 0])]
    for rule in AGGREGATIONS:
        np.testing.assert_allclose(flat(aggregation(rule).combine(only)), [3, 4, 0, 0])


def test_geometry_spans_all_tensors():
    norms, cosines = geometry([update("p", [3, 0, 4, 0]), update("q", [0, 0, 1, 0])])
    np.testing.assert_allclose(norms, [5, 1])
    np.testing.assert_allclose(cosines, [[1, 0.8], [0.8, 1]])


@pytest.mark.parametrize("rule", sorted(AGGREGATIONS))
def test_every_rule_refuses_nothing_and_other_shapes(rule):
    odd = Update("q", 1, Shared({"a": np.zeros(3, np.float32)}), 1, "base")
    with pytest.raises(FederationError):
        aggregation(rule).combine([])
    with pytest.raises(MessageRefusedError):
        aggregation(rule).combine([update("p", AXES[0]), odd])


@pytest.mark.parametrize("rule", sorted(AGGREGATIONS))
def test_settings_make_the_same_rule_again(rule):
    made = aggregation(rule, weights="sqrt_users")
    assert made.settings()["name"] == rule
    assert aggregation(**made.settings()) == made


@pytest.mark.parametrize(
    ("name", "knobs", "named"),
    [
        ("krum", {}, "krum"),
        ("mean", {"factor": 2.0}, "factor"),
        ("mean", {"weights": "clicks"}, "clicks"),
        ("norm_bounded", {"factor": 0.0}, "factor"),
        ("trimmed_mean", {"share": 0.5}, "share"),
        ("median", {"weights": "most"}, "most"),
        ("cosine", {"twin": 0.0}, "twin"),
        ("cosine", {"floor": 1.0}, "floor"),
    ],
)
def test_a_wrong_rule_or_knob_is_named(name, knobs, named):
    with pytest.raises(ScenarioError, match=named):
        aggregation(name, **knobs)


def test_only_the_mean_works_on_a_masked_sum():
    assert {n for n, rule in AGGREGATIONS.items() if rule.sees == "sum"} == {"mean"}
