"""Options become one training plan; every way of training gets the same budget."""

from pathlib import Path

import pytest

from isthmus_server.optimisers import FedAdam, FedAvg
from isthmus_simulations.options import SimulationOptions
from isthmus_simulations.plan import plan_for


def options(**given):
    return SimulationOptions(out=Path("nowhere"), **given)


def test_defaults_stand_where_nothing_is_asked():
    plan = plan_for(options(seed=11))

    assert plan.seed == 11
    assert plan.optimiser == FedAvg()
    assert plan.passes == plan.rounds * plan.round.local_epochs


def test_what_is_asked_reaches_the_round():
    plan = plan_for(
        options(rounds=3, local_epochs=1.5, learning_rate=0.0125, server_optimiser="fedadam")
    )

    assert (plan.rounds, plan.round.local_epochs, plan.settings.learning_rate) == (3, 1.5, 0.0125)
    assert isinstance(plan.optimiser, FedAdam)
    assert plan.passes == 4


@pytest.mark.parametrize("privacy", ["none", "local", "pooled"])
def test_shops_that_the_public_ranker_learned_from_start_without_it(privacy):
    """It has seen their households: their figures would flatter."""
    told = options(privacy=privacy)

    for plan in (plan_for(told), plan_for(told, embedded=True)):
        assert (plan.ranker_start, plan.stand_in) == ("mixture", "mixture")
    elsewhere = plan_for(told, embedded=False)
    start = "mixture" if privacy == "none" else "public"
    assert (elsewhere.ranker_start, elsewhere.stand_in) == (start, "public")
    ordered = plan_for(told, embedded=False, timed=False)
    assert (ordered.ranker_start, ordered.stand_in) == ("mixture", "public")


def test_rounds_that_are_asked_win_over_quick():
    assert plan_for(options(quick=True)).rounds < plan_for(options()).rounds
    assert plan_for(options(quick=True, rounds=9)).rounds == 9


@pytest.mark.parametrize(("platforms", "minimum"), [(1, 1), (2, 2), (7, 2)])
def test_a_lone_platform_can_still_run(platforms, minimum):
    assert plan_for(options()).server("run", platforms).minimum_platforms == minimum


def test_the_record_names_the_server_optimiser_and_every_part():
    record = plan_for(options(server_optimiser="fedadam")).record()

    assert record["optimiser"]["name"] == "fedadam"
    assert {"encoder", "head", "round", "rounds", "seed"} <= record.keys()
