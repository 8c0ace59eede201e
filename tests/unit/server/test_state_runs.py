"""Runs, rounds, decisions, events and releases."""

from datetime import UTC, datetime, timedelta

import pytest
from state_databases import propose

from isthmus.errors import StateError
from isthmus_server.state import open_state

ROUND = {"record": {"loss": 0.5, "cohort": ["a", "b"]}, "fingerprint": "ab" * 32, "seconds": 1.25}


@pytest.fixture
def run(state):
    propose(state)
    return state


def test_new_run_says_what_it_waits_for(state):
    row = propose(state)
    assert (row.status, row.wanted, row.round, row.attempt) == ("proposed", "run", 0, 0)
    assert row.reason == "waits for the coordinator: isthmus server up"
    assert propose(state) == row == state.runs.get("run-1")
    assert state.runs.get("run-2") is None
    with pytest.raises(StateError, match="there is a run 'run-1' already"):
        state.runs.propose("run-1", contract=b"{}", contract_sha256="0" * 64, signature=b"")


def test_what_is_and_what_is_wanted_are_two_things(run):
    assert run.runs.want("run-1", "pause").status == "proposed"
    row = run.runs.set("run-1", status="paused", reason="the operator paused it", attempt=2)
    assert (row.wanted, row.status, row.attempt, row.round) == ("pause", "paused", 2, 0)
    assert run.runs.list() == (row,)


def test_no_state_without_a_reason(run):
    with pytest.raises(StateError, match="without a reason"):
        run.runs.set("run-1", status="running", reason="")
    assert run.runs.set("run-1", status="finished", reason="").reason == ""
    with pytest.raises(StateError, match="without a reason"):
        run.runs.set("run-1", status="failed")
    with pytest.raises(StateError, match="finished"):
        run.runs.want("run-1", "stop")


def test_database_itself_refuses_a_run_without_a_reason(run):
    with pytest.raises(StateError), run.database.write() as connection:
        connection.exec_driver_sql("UPDATE runs SET reason = ''")


def test_unknown_run_is_told(run):
    calls = (
        lambda: run.runs.want("run-9", "stop"),
        lambda: run.runs.set("run-9", attempt=1),
        lambda: run.runs.rollback("run-9", 0),
        lambda: run.runs.decide("run-9", "a", "approved", "", b""),
        lambda: run.rounds.commit("run-9", 1, 0, **ROUND),
    )
    for call in calls:
        with pytest.raises(StateError, match="no run 'run-9'"):
            call()


def test_round_counts_once_and_moves_its_run(run):
    assert run.rounds.commit("run-1", 1, 3, **ROUND)
    assert not run.rounds.commit("run-1", 1, 4, **ROUND)
    (row,) = run.rounds.list("run-1")
    assert (row.round, row.attempt, row.record, row.seconds) == (1, 3, ROUND["record"], 1.25)
    assert run.runs.get("run-1").round == 1
    with pytest.raises(StateError, match="round 1 of 'run-1' is committed with the parameters"):
        run.rounds.commit("run-1", 1, 3, **ROUND | {"fingerprint": "cd" * 32})


@pytest.mark.parametrize("odd", [{"record": {"x": float("inf")}}, {"seconds": float("nan")}])
def test_odd_round_is_refused(run, odd):
    with pytest.raises(StateError):
        run.rounds.commit("run-1", 1, 0, **ROUND | odd)
    assert run.rounds.list("run-1") == ()


def test_rollback_is_a_wish_until_it_is_fulfilled(run):
    for number in (1, 2, 3):
        run.rounds.commit("run-1", number, 0, **ROUND)
    with pytest.raises(StateError, match="cannot go back to round 4: its last is 3"):
        run.runs.rollback("run-1", 4)
    assert run.runs.rollback("run-1", 1).rollback_to == 1
    assert len(run.rounds.list("run-1")) == 3
    for _ in range(2):  # the coordinator may die before it hears that it is done
        row = run.runs.rolled_back("run-1")
        assert (row.round, row.rollback_to, row.attempt) == (1, None, 1)
    assert [each.round for each in run.rounds.list("run-1")] == [1]
    assert run.rounds.after("run-1", 0) == 1


def test_last_decision_counts(run):
    run.runs.decide("run-1", "b", "approved", "fine", b"1")
    refused = run.runs.decide("run-1", "a", "refused", "epsilon", b"2")
    assert run.runs.decide("run-1", "a", "refused", "epsilon", b"2") == refused
    run.runs.decide("run-1", "b", "refused", "thought again", b"3")
    found = run.runs.decisions("run-1")
    assert [(each.platform, each.decision) for each in found] == [
        ("a", "refused"),
        ("b", "refused"),
    ]


def test_events_newest_first_and_the_same_is_counted(url):
    now = [datetime(2026, 3, 1, tzinfo=UTC)]
    with open_state(url, clock=lambda: now[0]) as state:
        for _ in range(3):
            state.events.add("warning", "skew", "7 s", platform="a")
            now[0] += timedelta(seconds=50)
        state.events.add("warning", "skew", "7 s", platform="b")
        state.events.add("info", "round", "1", run="r")
        now[0] += timedelta(seconds=61)
        state.events.add("warning", "skew", "7 s", platform="a")
        found = [(each.platform, each.run, each.times) for each in state.events.list()]
        assert found == [("a", None, 1), (None, "r", 1), ("b", None, 1), ("a", None, 3)]
        assert [each.kind for each in state.events.list(run="r")] == ["round"]
        assert len(state.events.list(level="warning", limit=2)) == 2
        first = state.events.list()[-1]
        assert (first.last - first.at).total_seconds() == 100


def test_very_long_text_is_cut(state):
    state.events.add("info", "long", "x" * 1_000_000)
    assert len(state.events.list()[0].text) == 2_000


def test_releases_are_never_replaced(run):
    values = {"run": "run-1", "round": 4, "path": "run-1-r00004", "signature": b"s"}
    row = run.releases.add("run-1-r00004", sha256="0a" * 32, **values)
    assert run.releases.add("run-1-r00004", sha256="0a" * 32, **values) == row
    with pytest.raises(StateError, match="another encoder"):
        run.releases.add("run-1-r00004", sha256="0b" * 32, **values)
    assert run.releases.withdraw("run-1-r00004", "harmed c").withdrawn is not None
    assert run.releases.withdraw("run-1-r00004", "again").withdrawn_reason == "harmed c"
    assert run.releases.list() == (run.releases.get("run-1-r00004"),)
    assert run.releases.get("none") is None
    with pytest.raises(StateError, match="no release 'none'"):
        run.releases.withdraw("none", "")
