from dataclasses import replace

import pytest
from toy_platforms import PLAN, server_config

from isthmus.errors import ScenarioError
from isthmus_server.aggregate import Mean
from isthmus_server.optimisers import FedAdam
from isthmus_server.robust import Median


@pytest.mark.parametrize(
    "setting",
    [
        {"rounds": -1},
        {"minimum_platforms": 0},
        {"deadline_s": 0.0},
        {"join_deadline_s": -1.0},
        {"patience": -1},
    ],
)
def test_a_wrong_setting_is_named(setting):
    with pytest.raises(ScenarioError, match=next(iter(setting))):
        server_config(**setting)


def test_a_plan_carries_the_run_the_round_and_the_seed():
    plan = server_config().plan_for(5)
    assert (plan.run_id, plan.round, plan.seed) == ("run-1", 5, 7)


def test_what_changes_the_parameters_changes_the_identity():
    config = server_config()
    others = [
        replace(config, seed=8),
        replace(config, plan=replace(PLAN, learning_rate=0.5)),
        replace(config, optimiser=FedAdam()),
        replace(config, run_id="run-2"),
        replace(config, aggregation=Median()),
        replace(config, aggregation=Mean("equal")),
    ]
    assert all(other.identity() != config.identity() for other in others)


def test_more_rounds_and_other_deadlines_are_the_same_run():
    config = server_config()
    longer = replace(config, rounds=99, deadline_s=1.0, minimum_platforms=2, patience=4)
    assert longer.identity() == config.identity()
