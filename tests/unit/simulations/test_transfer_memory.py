"""A benchmark of two windows: the cells one window before decide the gates and show up nowhere."""

from dataclasses import replace

import numpy as np
import pytest
from transfer_cells import analysed, cell, platform_facts, values

from isthmus.progress import Silent
from isthmus_simulations.scenarios import load_scenario
from isthmus_simulations.scenarios.scenario import SplitPlan
from isthmus_simulations.transfer.inputs import load_input, prepare_inputs
from isthmus_simulations.transfer.memory import OWN, gate_facts, remembered
from isthmus_simulations.transfer.models import MODELS
from isthmus_simulations.transfer.options import TransferOptions

RECORDS = {"made-earlier": "made"}
USERS = range(200)


def made(lifts, *, gate=None, scenario="made", seed=1):
    """A cell of one shop; `gate` is what is planted in its gate's users."""
    found = values(USERS, lifts, seed=seed)
    judged = values(USERS, lifts if gate is None else gate, seed=seed).ndcg
    found = replace(found, gate_users=np.arange(len(USERS)), gate_ndcg=judged)
    return cell(seed, scenario, shop=(platform_facts(200), found))


def gate_of(cells):
    (only,) = remembered(cells, RECORDS)
    return only.facts.platforms["shop"].gate


def test_a_trend_that_lasted_one_window_is_no_longer_served():
    now = made({}, gate={"recent_popularity": 0.6, "personalised": 0.3})
    before = made({"recent_popularity": -0.5, "personalised": 0.3}, scenario="made-earlier")
    alone = gate_facts(dict(zip(MODELS, now.values["shop"].gate_ndcg, strict=True)), 1)
    assert (alone.served, alone.incumbent) == ("recent_popularity", "recent_popularity")
    both = gate_of([now, before])
    assert (both.served, both.decision) == ("personalised", "federated")
    assert both.incumbent not in {"recent_popularity", "personalised"}
    assert both.baseline != "recent_popularity"


def test_each_seed_has_its_own_record():
    gain, loss = {"personalised": 0.2}, {"personalised": -0.3}
    cells = [
        made(gain, seed=1),
        made(gain, seed=2),
        made(gain, scenario="made-earlier", seed=1),
        made(loss, scenario="made-earlier", seed=2),
    ]
    decisions = [c.facts.platforms["shop"].gate.decision for c in remembered(cells, RECORDS)]
    assert decisions == ["federated", "local"]


def test_without_a_record_a_cell_stays_as_it_is():
    now, other = made({}), made({}, scenario="other")
    assert remembered([now, other], RECORDS) == [now, other]


def test_the_test_window_has_no_part_in_the_decision():
    before = made({"personalised": 0.1}, scenario="made-earlier")
    now = made({"personalised": 0.1})
    otherwise = made({"personalised": -0.9, "local": 2.0}, gate={"personalised": 0.1})
    assert gate_of([now, before]) == gate_of([otherwise, before])


def test_earlier_cells_are_in_no_row():
    cells = [made({"personalised": 0.1}), made({}, scenario="made-earlier")]
    results = analysed(remembered(cells, RECORDS), windows=2)
    assert [p.scenario for p in results.platforms] == ["made"]
    assert list(results.scenarios) == ["made"]
    assert results.method.windows == 2


def test_own_is_what_needs_no_federation():
    assert "local" in OWN
    assert not {"personalised", "federated", "content", "pooled"} & set(OWN)


def test_one_window_before_is_as_long_and_ends_where_the_test_begins():
    split = SplitPlan().earlier("2024-03-01T00:00:00+00:00", "2024-03-31T00:00:00+00:00")
    assert split == SplitPlan(
        validation="2024-01-31T00:00:00+00:00",
        test="2024-03-01T00:00:00+00:00",
        end="2024-03-31T00:00:00+00:00",
    )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The embedded data's small version with two windows, and the trio's kind of split."""
    folder = tmp_path_factory.mktemp("windows")
    options = TransferOptions(
        scenarios=("journey",), quick=True, windows=2, out=folder, cache=folder / "cache"
    )
    return prepare_inputs(options, folder / "platforms", Silent())[0]


def test_the_earlier_scenario_saw_nothing_of_the_test_window(prepared):
    now, before = prepared
    assert (now.name, before.name, now.record_of) == ("journey", "journey-earlier", None)
    assert before.record_of == "journey"
    assert load_scenario(now.asked).name == "journey"
    for later, earlier in zip(load_input(now.folders), load_input(before.folders), strict=True):
        assert later.name == earlier.name
        stops = later.split.validation_stop
        tested = [
            later.histories.times[stop:end]
            for stop, end in zip(stops, later.histories.offsets[1:], strict=True)
        ]
        assert earlier.histories.times.max() < np.concatenate(tested).min()
        # Its test window is the later one's validation window.
        first = earlier.histories.times[_first(earlier, earlier.split.validation_stop)]
        assert first.min() >= later.histories.times[_last_of_training(later)].max()


def _first(platform, starts):
    """The first event of each user's window, of those who have one."""
    return starts[starts < platform.histories.offsets[1:]]


def _last_of_training(platform):
    stops = platform.split.train_stop
    return stops[stops > platform.histories.offsets[:-1]] - 1
