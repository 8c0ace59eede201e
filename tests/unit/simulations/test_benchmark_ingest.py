"""The ingest benchmark: what it writes, what it measures, and what it says of it."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from isthmus.cli import run as isthmus
from isthmus_simulations.benchmark_ingest import Speed
from isthmus_simulations.benchmark_ingest_data import write_platform
from isthmus_simulations.benchmark_ingest_work import Figures


def test_a_generated_feed_is_a_year_and_the_same_again(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_platform(tmp_path / name, 7013, seed=3)
    one, two = (pq.read_table(tmp_path / name / "events.parquet") for name in ("one", "two"))
    assert one.equals(two)
    assert one.num_rows == 7013
    times = one["timestamp"].to_numpy()
    assert (np.diff(times) >= np.timedelta64(0)).all()
    assert str(times[0])[:4] == str(times[-1])[:4] == "2023"
    known = set(pq.read_table(tmp_path / "one/items.parquet")["item_id"].to_pylist())
    assert set(one["item_id"].to_pylist()) <= known


def speed(scan, ingest, megabytes=900.0):
    works = {"scan": scan, "ingest": ingest, "sequences": [0.5], "open": [0.1]}
    return Speed(
        3_000_000, 1, {w: [Figures(2 * s, s, megabytes) for s in each] for w, each in works.items()}
    )


def test_the_best_round_counts_and_goals_are_judged():
    good = speed([2.5, 2.0], [3.1, 2.9])
    assert good.ratio == pytest.approx(1.45)
    assert good.events_per_core_second == pytest.approx(3e6 / 2.9)
    assert good.missed() == []
    bad = speed([0.5], [3.2], megabytes=2100.0)
    assert bad.missed() == [
        "937,500 events a second of a core",
        "6.40 times the scan and sort",
        "2,100 MB",
    ]


@pytest.mark.slow
def test_the_command_measures_every_work(tmp_path, capsys):
    out = tmp_path / "speed.json"
    arguments = ["--events", "5003", "--threads", "1", "--rounds", "1", "--json"]
    assert isthmus(["benchmark", "ingest", *arguments, "--out", str(out)]) == 0
    (found,) = json.loads(capsys.readouterr().out)["speeds"]
    assert json.loads(out.read_text())["speeds"] == [found]
    assert (found["events"], found["threads"]) == (5003, 1)
    assert set(found["rounds"]) == {"scan", "ingest", "sequences", "open"}
    for (figures,) in found["rounds"].values():
        assert figures["cpu_seconds"] > 0
        assert figures["megabytes"] >= 0


@pytest.mark.parametrize("option", ["--events", "--threads"])
def test_odd_numbers_are_refused(option, capsys):
    assert isthmus(["benchmark", "ingest", option, "1,many"]) == 10
    assert option in capsys.readouterr().err
