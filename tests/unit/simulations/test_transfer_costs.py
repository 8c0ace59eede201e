"""When the federation is as good as training alone, and what that saves."""

import numpy as np
import pytest
from transfer_cells import analysed, cell, curve, platform_facts, values

from isthmus.parameters import Shared
from isthmus_server.history import PlatformRecord, RoundRecord, RunResult
from isthmus_simulations.transfer.cost import reached, saved
from isthmus_simulations.transfer.measure import bytes_per_round, federated_costs


def facts(federated, local):
    return platform_facts(federated=federated, local=local)


def test_the_first_round_that_is_as_good_counts():
    found = reached(facts(curve(0.1, 0.12, 0.15, 0.2, size=7), curve(0.1, 0.15, 0.13, seconds=5)))
    assert (found.quality, found.local_seconds) == (0.15, 5.0)
    assert (found.round, found.seconds, found.bytes) == (2, 4.0, 14)


def test_of_equals_the_cheapest_own_training_counts():
    assert reached(facts(curve(0.1), curve(0.1, 0.2, 0.2, 0.2))).local_seconds == 2.0


def test_what_is_never_reached_is_none_and_not_zero():
    found = reached(facts(curve(0.1, 0.12), curve(0.1, 0.15)))
    assert (found.seconds, found.bytes, found.round) == (None, None, None)
    assert saved([found]) is None


def test_without_validation_there_is_no_figure():
    assert reached(facts(curve(None, None), curve(None, None))) is None
    assert reached(facts((), ())) is None
    assert saved([]) is None


def test_rounds_without_validation_are_passed_over():
    assert reached(facts(curve(None, 0.3), curve(0.1, 0.2))).round == 1


def test_savings_are_of_the_seconds_of_all_seeds():
    quick = reached(facts(curve(0.1, 0.2, seconds=1), curve(0.1, 0.2, seconds=4)))
    slow = reached(facts(curve(0.1, 0.2, seconds=5), curve(0.1, 0.2, seconds=4)))
    assert saved([quick]) == pytest.approx(0.75)
    assert saved([quick, slow]) == pytest.approx(1 - 6 / 8)


def test_where_nobody_trains_nothing_is_saved():
    found = reached(facts(curve(0.2, 0.1), curve(0.2, 0.1)))
    assert found.round == 0
    assert saved([found]) is None


def saving_goal(**platforms):
    shops = {
        name: (facts.model_copy(update={"users": users}), values(range(40), {}))
        for name, (facts, users) in platforms.items()
    }
    (goal,) = [g for g in analysed([cell(**shops)]).goals if g.name.startswith("computing")]
    return goal


CHEAP = facts(curve(0.1, 0.2, seconds=1), curve(0.1, 0.2, seconds=4))
NEVER = facts(curve(0.1, 0.1), curve(0.1, 0.2))


def test_the_goal_looks_at_platforms_below_five_thousand_users():
    assert saving_goal(small=(CHEAP, 4999), large=(NEVER, 5000)).met is True
    assert saving_goal(large=(CHEAP, 5000)).met is None


def test_a_platform_that_never_gets_there_is_no_missing_value():
    goal = saving_goal(one=(CHEAP, 100), two=(NEVER, 100))
    assert goal.found == pytest.approx(0.75)
    assert goal.met is False
    assert goal.note == "reached by 1 of 2; 1 get there in every seed"


def test_who_saves_too_little_is_not_counted_among_those_who_meet_the_goal():
    little = facts(curve(0.1, 0.2, seconds=3), curve(0.1, 0.2, seconds=4))
    goal = saving_goal(one=(CHEAP, 100), two=(little, 100))
    assert goal.found == pytest.approx(0.5)
    assert goal.met is True
    assert goal.note == "reached by 1 of 2; 2 get there in every seed"


def federation(*sizes, best, seconds=1.0, scores=()):
    """A run of platform `shop` with a round for each size in bytes, half of it up."""
    nothing = Shared({"w": np.zeros(2, np.float32)})
    rounds = tuple(
        RoundRecord(
            number,
            {"shop": PlatformRecord(9, {"seconds": seconds}, 0.0, size // 2, size - size // 2)},
            (),
            (),
            2 * seconds,
            "",
        )
        for number, size in enumerate(sizes, 1)
    )
    return RunResult(nothing, nothing, best, rounds, tuple({"shop": score} for score in scores))


ENCODER = federation(1001, 1001, 1001, best=2, seconds=3.0)
RANKER = federation(30, 30, best=1, seconds=0.5, scores=(0.1, 0.3, 0.2))


def test_a_release_costs_the_rounds_and_bytes_of_both_federations():
    points = federated_costs(ENCODER, RANKER, "shop")
    assert [point.step for point in points] == [2.0, 3.0, 4.0]
    assert [point.bytes for point in points] == [2002, 2032, 2062]
    assert [point.seconds for point in points] == [6.0, 6.5, 7.0]
    assert [point.ndcg for point in points] == [0.1, 0.3, 0.2]


def test_bytes_of_a_round_are_the_mean_over_both_federations():
    assert bytes_per_round((ENCODER, RANKER), "shop") == pytest.approx((3 * 1001 + 2 * 30) / 5)
    assert bytes_per_round((ENCODER, RANKER), "hut") == 0.0


def test_the_goal_for_rounds_counts_both_federations():
    results = analysed([cell(shop=(platform_facts(), values(range(40), {})))])
    found = results.scenarios["made"]
    assert (found.rounds, found.ranker_rounds) == ((7,), (3,))
    assert (found.best_rounds, found.best_ranker_rounds) == ((2,), (1,))
    (goal,) = [goal for goal in results.goals if goal.name.startswith("rounds")]
    assert goal.found == 7.0
