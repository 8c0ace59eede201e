"""What crosses between server and platforms."""

from dataclasses import replace

import pytest

from isthmus.errors import MessageRefusedError
from isthmus.messages import RoundPlan

PLAN = RoundPlan(run_id="r-31", round=3, seed=11, local_epochs=1.5, negatives=257)


def test_a_plan_survives_the_wire():
    assert RoundPlan.from_record(PLAN.to_record()) == PLAN


def test_a_plan_is_flat_scalars():
    assert {type(value) for value in PLAN.to_record().values()} <= {str, int, float, bool}


@pytest.mark.parametrize("field", sorted(PLAN.to_record()))
def test_a_missing_field_is_refused_by_name(field):
    record = PLAN.to_record()
    del record[field]
    with pytest.raises(MessageRefusedError, match=field):
        RoundPlan.from_record(record)


def test_an_unknown_field_is_refused_by_name():
    with pytest.raises(MessageRefusedError, match="shell"):
        RoundPlan.from_record({**PLAN.to_record(), "shell": "rm"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("round", "3"),
        ("round", 3.0),
        ("seed", True),  # a bool is an int in Python, but not on the wire
        ("learning_rate", 1),
        ("validate", 1),
        ("run_id", b"r"),
        ("negatives", None),
    ],
)
def test_a_wrong_type_is_refused_by_name(field, value):
    with pytest.raises(MessageRefusedError, match=f"{field} is {type(value).__name__}, expected"):
        RoundPlan.from_record({**PLAN.to_record(), field: value})


def test_a_plan_cannot_be_changed_in_place():
    with pytest.raises(AttributeError):
        PLAN.round = 4
    assert replace(PLAN, round=4).round == 4


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("batch_size", 0),
        ("negatives", -3),
        ("local_epochs", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", -1e-3),
        ("proximal", -0.5),
        ("weight_decay", float("inf")),
        ("max_steps", -1),
        ("seed", -7),
        ("round", -1),
    ],
)
def test_a_plan_that_no_training_could_follow_is_refused(field, value):
    record = {**PLAN.to_record(), field: value}

    with pytest.raises(MessageRefusedError, match=field):
        RoundPlan.from_record(record)
