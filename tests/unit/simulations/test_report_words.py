"""Figures and sentences: what a reader sees of a number."""

from datetime import UTC, datetime

import pytest
from example_results import example_results

from isthmus_simulations.report import formats, verdicts
from isthmus_simulations.results import MAIN_DIFFERENCE, PairedDifference

RESULTS = example_results()
THIN, MINUS = formats.THIN, formats.MINUS


def difference(low, mid, high, relative=None, ends=(None, None)):
    return PairedDifference(
        difference=mid,
        low=low,
        high=high,
        relative=relative,
        relative_low=ends[0],
        relative_high=ends[1],
        users=40,
    )


def platform(name="nutrition", **changes):
    return RESULTS.platforms[name].model_copy(update=changes)


def with_lift(name, found):
    return platform(name, differences={MAIN_DIFFERENCE: found})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (difference(0.001, 0.002, 0.003, 0.12, (0.03, 0.21)), f"+12{THIN}% [+3, +21]"),
        (difference(-0.1, 0.1, 0.3, 0.021, (-0.0304, 0.2)), f"+2.1{THIN}% [{MINUS}3.0, +20.0]"),
        (difference(-0.1, 0.1, 0.3, 1.5, (-0.2, None)), f"+150{THIN}% [{MINUS}20, \N{EN DASH}]"),
        (difference(-0.001, 0.002, 0.005), f"+0.0020 [{MINUS}0.0010, +0.0050]"),
        (difference(0, 0, 0, 0.0, (0.0, 0.0)), f"0.0{THIN}% [0.0, 0.0]"),
    ],
)
def test_a_lift_is_relative_where_it_can_be(given, expected):
    assert formats.lift(given) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.44, "0.4 s"),
        (42.4, "42 s"),
        (185, "3 min 5 s"),
        (119.7, "2 min 0 s"),
        (4320, "1 h 12 min"),
    ],
)
def test_durations(seconds, expected):
    assert formats.duration(seconds) == expected.replace(" s", f"{THIN}s").replace(
        " min", f"{THIN}min"
    ).replace(" h", f"{THIN}h")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(812, "812 B"), (531_204, "531 kB"), (1_234_567, "1.23 MB"), (2.4e9, "2.4 GB")],
)
def test_sizes(value, expected):
    assert formats.size(value) == expected.replace(" ", THIN)


def test_small_figures():
    assert formats.count(1_469_307) == f"1{THIN}469{THIN}307"
    assert formats.metric(None) == formats.MISSING
    assert formats.metric(0.03125) == "0.0312"
    assert formats.signed(-0.00001, 4) == "0.0000"
    assert (
        formats.comparison("personalised - best baseline") == f"Personalised {MINUS} best baseline"
    )
    assert formats.moment(datetime(2017, 11, 25, tzinfo=UTC)) == "2017-11-25 UTC"
    assert formats.moment(datetime(2017, 11, 25, 6, 5, tzinfo=UTC)) == "2017-11-25 06:05 UTC"
    assert formats.moment(None) == formats.MISSING


def test_a_gain_is_called_a_gain():
    found = verdicts.verdict(
        "nutrition", with_lift("nutrition", difference(0.001, 0.002, 0.003, 0.12, (0.03, 0.21)))
    )
    assert found.kind == "gain"
    assert found.sentence == (
        f"nutrition gains +12{THIN}% [+3, +21] over its best local baseline, the locally trained "
        "model; the gate serves the personalised federated model."
    )


@pytest.mark.parametrize(
    ("name", "low", "high", "kind", "said"),
    [
        (
            "deli",
            -0.004,
            -0.001,
            "loss",
            "the gate keeps item-kNN, so the federation costs it nothing.",
        ),
        (
            "deli",
            -0.004,
            0.001,
            "unclear",
            "the gate keeps item-kNN, so the federation costs it nothing.",
        ),
        ("deli", 0.001, 0.004, "gain", "nevertheless keeps item-kNN."),
        ("fresh", -0.004, -0.001, "loss", "serves the personalised federated model all the same."),
        ("fresh", 0.0, 0.001, "unclear", "the gate serves the personalised federated model."),
    ],
)
def test_every_pair_of_lift_and_gate_has_honest_words(name, low, high, kind, said):
    found = verdicts.verdict(name, with_lift(name, difference(low, (low + high) / 2, high)))
    assert found.kind == kind
    assert found.sentence.endswith(said)


def test_without_figures_nothing_is_claimed():
    found = verdicts.verdict("fresh", platform("fresh", differences={}, gate=None))
    assert found.sentence == "fresh has no comparison with a baseline."
    assert not found.federated


def test_harm_is_counted_where_it_is_served_and_only_there():
    worse = difference(-0.004, -0.003, -0.001)
    harmed = {"fresh": with_lift("fresh", worse), "deli": with_lift("deli", worse)}
    found = verdicts.summary(example_results(platforms=harmed))
    assert (found.platforms, found.gains, found.served, found.harmed) == (2, 0, 1, 1)
