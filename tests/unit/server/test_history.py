import pytest
from toy_platforms import SCORE

from isthmus_server.history import (
    PlatformRecord,
    Refusal,
    RoundRecord,
    best_round,
    progress,
    should_stop,
    validation,
)


def record(number, scores) -> RoundRecord:
    platforms = {
        name: PlatformRecord(9, {SCORE: value, "loss": 1.0}, 0.1, 100, 200)
        for name, value in scores.items()
    }
    return RoundRecord(number, platforms, (), (), 1.0, "ab")


def test_a_reply_validates_the_parameters_of_the_round_before():
    history = [record(1, {"a": 0.1}), record(2, {"a": 0.2})]
    scores = validation(history, {"a": {SCORE: 0.3}}, SCORE)
    assert scores == ({"a": 0.1}, {"a": 0.2}, {"a": 0.3})


def test_the_last_round_has_no_score_before_its_evaluation():
    assert validation([record(1, {"a": 0.1})], {}, SCORE) == ({"a": 0.1}, {})


def test_progress_is_relative_to_each_platforms_first_score():
    assert progress([{"a": 0.1, "b": 0.4}, {"a": 0.2, "b": 0.4}]) == [1.0, 1.5]


def test_a_large_platform_does_not_drown_a_small_one():
    scores = [{"small": 0.01, "large": 0.5}, {"small": 0.03, "large": 0.49}]
    assert best_round(scores) == 1


def test_a_silent_platform_keeps_its_latest_score():
    assert progress([{"a": 0.1, "b": 0.1}, {"a": 0.2}, {"b": 0.3}]) == pytest.approx([1, 1.5, 2.5])


def test_a_platform_that_begins_at_zero_has_no_ratio():
    assert progress([{"a": 0.0, "b": 0.2}, {"a": 0.9, "b": 0.2}]) == [1.0, 1.0]
    assert progress([{"a": 0.0}, {"a": 0.9}]) == [0.0, 0.9]


def test_the_earliest_of_equally_good_rounds_is_the_best():
    assert best_round([{"a": 0.1}, {"a": 0.2}, {"a": 0.2}, {"a": 0.15}]) == 1


def test_the_initial_parameters_can_be_the_best():
    assert best_round([{"a": 0.2}, {"a": 0.1}]) == 0


def test_an_unvalidated_round_is_never_the_best_of_validated_ones():
    assert best_round([{"a": 0.1}, {"a": 0.2}, {}]) == 1


def test_without_validation_the_last_round_counts():
    assert best_round([{}, {}, {}]) == 2


@pytest.mark.parametrize(
    ("values", "patience", "stop"),
    [
        ([0.1, 0.2, 0.1], 1, True),
        ([0.1, 0.2, 0.1], 2, False),
        ([0.1, 0.2, 0.1, 0.1], 2, True),
        ([0.1, 0.2, 0.3], 1, False),
        ([0.1, 0.05, 0.05], 0, False),
        ([], 1, False),
    ],
)
def test_patience(values, patience, stop):
    assert should_stop([{"a": value} for value in values], patience) is stop


def test_bytes_count_both_directions_and_refused_replies():
    refused = (Refusal("b", "late", 10, 20),)
    base = record(1, {"a": 0.1})
    assert RoundRecord(1, base.platforms, refused, (), 1.0, "ab").bytes_total() == 330
