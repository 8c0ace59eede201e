"""`isthmus benchmark secagg` runs whole rounds, checks their sums and says what they cost."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from isthmus.errors import AggregationError
from isthmus_simulations import benchmark_secagg
from isthmus_simulations.benchmark_secagg import Cost, compare, measure
from isthmus_simulations.cli_benchmark import app


def run(*arguments):
    return CliRunner().invoke(app, ["secagg", *arguments])


def test_every_size_with_every_cohort_is_a_whole_round():
    found = compare([10, 1000], [3, 5])
    assert [(c.parameters, c.platforms) for c in found] == [(10, 3), (10, 5), (1000, 3), (1000, 5)]
    for cost in found:
        assert len(cost.platform_seconds) == cost.platforms
        assert min(*cost.platform_seconds, cost.server_seconds) > 0
        assert cost.parameters * 8 < cost.up_bytes < cost.parameters * 8 + 3000
        assert cost.bytes_ratio == cost.up_bytes / (8 * cost.parameters)


def test_platforms_that_drop_out_are_not_in_the_sum_nor_in_the_figures():
    cost = measure(100, 6, dropped=2)
    assert (cost.dropped, len(cost.platform_seconds)) == (2, 4)
    with pytest.raises(AggregationError):
        measure(100, 6, dropped=3)


def test_a_sum_that_is_not_exact_is_no_result(monkeypatch):
    plain = benchmark_secagg._plain
    monkeypatch.setattr(benchmark_secagg, "_plain", lambda *given: plain(*given) + np.uint64(1))
    with pytest.raises(AggregationError, match="not the plain sum"):
        measure(10, 3)


def test_ratios_are_of_what_they_say():
    cost = Cost(1_000_000, 10, 0, (0.1, 0.3), 0.5, 0.01, 8_080_000, 9_000)
    assert cost.platform_mean == pytest.approx(0.2)
    assert cost.server_ratio == pytest.approx(50)
    assert cost.bytes_ratio == pytest.approx(1.01)


def test_the_command_prints_and_writes_json(tmp_path):
    done = run("--parameters", "50,60", "--cohorts", "3", "--json", "--out", str(tmp_path / "x"))
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert [one["parameters"] for one in found["rounds"]] == [50, 60]
    assert json.loads((tmp_path / "x").read_text()) == found
    assert {"platform_mean", "server_ratio", "bytes_ratio"} < set(found["rounds"][0])


def test_the_table_names_the_goal_where_it_is_measured(monkeypatch):
    monkeypatch.setattr(benchmark_secagg, "GOAL_AT", (50, 3))
    assert "Goal met" in run("--parameters", "50", "--cohorts", "3").stdout
    monkeypatch.setattr(benchmark_secagg, "GOAL", 0.0)
    assert "Goal missed" in run("--parameters", "50", "--cohorts", "3").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--parameters", "0"),
        ("--parameters", "13107201"),
        ("--cohorts", "2"),
        ("--cohorts", "257"),
        ("--cohorts", "3,x"),
        ("--cohorts", "3", "--drop-outs", "2"),
    ],
)
def test_a_size_that_cannot_be_is_refused(arguments):
    done = run(*arguments)
    assert done.exit_code != 0
    assert arguments[-2] in str(done.exception)
