"""A deployed federation on a bad network, with a slow platform, a lying one, one that is revoked.

One federation for all tests: alder and birch are behind networks of their own, cedar's node and
worker are the tests' own programs. The last test revokes cedar.
"""

import os
import time
from contextlib import contextmanager

import pytest
from bad_network import BadNetwork, Weather
from own_parts import ENCODER, SUPPORT, CheapFederation, OwnParts
from run_watch import RunWatch
from waiting import until

from isthmus_client.worker.status import RUN, read_status
from isthmus_server.ports import announced

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("ISTHMUS_TEST_FAULTS"),
        reason="measures seconds, and needs a machine to itself: make faults",
    ),
]

IDLE_S = 3.0
RATE = 6_000.0  # bytes a second
HEARTBEAT_S = 0.5  # as `deployment.QUICK` has it
SETTINGS = {
    "listen": '"127.0.0.1"',
    "hosts": '["127.0.0.1", "127.0.0.2", "127.0.0.3"]',
    "idle_s": f"{IDLE_S}",
}
PLAIN = ("--privacy", "none", "--no-secure-aggregation", "--encoder", ENCODER, "--max-steps", "2")
ALL = {"alder", "birch", "cedar"}
PUBLIC = ("enrolment", "control", "fleet")


@pytest.fixture(scope="module")
def fed(tmp_path_factory):
    made = CheapFederation(tmp_path_factory.mktemp("fed"))
    try:
        made.make(SETTINGS)
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def networks(fed):
    ports = [announced(fed.home)[name] for name in PUBLIC]
    with BadNetwork("127.0.0.2", ports) as alder, BadNetwork("127.0.0.3", ports) as birch:
        for network, name in ((alder, "alder"), (birch, "birch")):
            fed.join(name, network.host)
            fed.start(name, "--idle", str(IDLE_S))
        yield {"alder": alder, "birch": birch}
        for name in ("alder", "birch"):
            fed.ups[name].stop()


@pytest.fixture(scope="module")
def cedar(fed, networks):
    fed.join("cedar")
    made = OwnParts(fed, "cedar")
    try:
        made.worker(str(SUPPORT / "hostile_worker.py"))
        made.node()
        for name in networks:
            fed.ups[name].wait_ready()
        made.wait_ready()
        yield made
    finally:
        made.stop()


@pytest.fixture
def watch(fed, cedar):  # noqa: ARG001 - all are up
    found = RunWatch(fed)
    yield found
    found.close()


def propose(fed, rounds, *more):
    return fed.propose("--rounds", str(rounds), "--patience", "0", *PLAIN, *more)


@contextmanager
def going(fed, watch, *more):
    """A run without an end, under way as long as the context lasts."""
    run = propose(fed, 1000, *more)
    try:
        watch.at_round(run, 1)
        yield run
    finally:
        fed.on_server("run", "stop", run)
        watch.until(run, lambda found: found["status"] == "stopped")


def all_together(watch, run, seconds=60):
    """Wait for another round that has everybody in it."""
    had = len(watch.cohorts(run))
    watch.until(run, lambda _: ALL in watch.cohorts(run)[had:], seconds)


def log_of(fed, name, part="node"):
    return (fed.folder / name / "federation" / "logs" / f"{part}.log").read_text()


def test_bytes_that_come_two_seconds_late_change_nothing(fed, networks, watch):
    with going(fed, watch) as run, networks["alder"].having(Weather(late_s=1.0)):  # each way
        watch.until(run, lambda _: watch.cohorts(run)[-2:] == [ALL, ALL])


def test_a_line_of_a_few_kilobytes_a_second_is_waited_for_as_long_as_bytes_move(
    fed, networks, watch
):
    network = networks["alder"]
    before = log_of(fed, "alder").count("cannot be reached")
    with network.having(Weather(rate=RATE)):
        run = propose(fed, 1)
        watch.finished(run, 90)
    (record,) = watch.rounds(run)
    assert {*record["platforms"]} == ALL
    seconds = record["platforms"]["alder"]["bytes_up"] / RATE
    assert seconds > IDLE_S + 1  # so that a limit on the whole transfer would have cut it
    assert log_of(fed, "alder").count("cannot be reached") == before


def test_a_line_that_takes_all_and_brings_nothing_is_given_up(fed, networks, watch):
    told = fed.folder / "alder" / "federation" / RUN / "node.json"
    with going(fed, watch, "--deadline", "5") as run:
        with networks["alder"].having(Weather(silent=True)):
            until(lambda: read_status(told)["state"] == "waiting", 4 * IDLE_S, "alder gives up")
            assert "cannot be reached" in read_status(told)["reason"]
            watch.until(run, lambda _: ALL - {"alder"} in watch.cohorts(run), 30)
        all_together(watch, run)
    warned = {(e.kind, e.platform) for e in watch.events(run) if e.level != "info"}
    assert warned == {("silent", "alder")}


def test_a_cut_of_five_seconds_in_the_middle_of_a_round_is_lived_through(fed, networks, watch):
    run = propose(fed, 40, "--deadline", "20")
    watch.at_round(run, 2)
    for network in networks.values():
        network.set(Weather(refuse=True))
    ends = time.monotonic() + 5
    until(lambda: watch.view(run)["reason"] and time.monotonic() > ends, 10, "five seconds")
    at = watch.view(run)["round"]
    for network in networks.values():
        network.set(Weather())
    watch.finished(run, 90)
    assert at < 40
    assert watch.cohorts(run)[-1] == ALL


def test_connections_that_are_dropped_again_and_again_cost_no_round(fed, networks, watch):
    run = propose(fed, 20)
    watch.at_round(run, 1)
    for _ in range(10):
        for network in networks.values():
            network.cut()
        before = networks["alder"].connections
        until(lambda before=before: networks["alder"].connections > before, 20, "a connection")
    found = watch.finished(run, 90)
    assert found["round"] == 20
    assert [record["round"] for record in watch.rounds(run)] == [*range(1, 21)]
    assert watch.cohorts(run) == [ALL] * 20


def test_a_slow_platform_is_left_out_and_what_came_too_late_is_not_executed(fed, cedar, watch):
    with going(fed, watch, "--deadline", "3") as run:
        with cedar.stopped("worker"):
            watch.until(run, lambda _: watch.cohorts(run).count({"alder", "birch"}) > 2, 30)
        all_together(watch, run)
        missed = {each["round"] for each in fed.status(run)["refusals"]}
    left_out = [n for n, who in enumerate(watch.cohorts(run), 1) if who == {"alder", "birch"}]
    assert missed >= {*left_out}
    departed = fed.on_platform("cedar", "outbox", "list", "--run", run)
    executed = [each["round"] for each in departed if each["kind"] == "update"]
    assert len(executed) == len(set(executed))
    assert not {*left_out[1:-1]} & {*executed}  # the first and last were in time when it went on


def test_a_late_reply_is_left_alone(fed, cedar, watch):
    at_work = cedar.home.federation / RUN / "worker.json"
    with going(fed, watch, "--deadline", "3") as run:
        had = watch.view(run)["round"]
        with cedar.stopped("node"):  # what it was handed is answered to it, and waits
            watch.until(run, lambda _: {"alder", "birch"} in watch.cohorts(run)[had:], 30)
            assert read_status(at_work)["state"] == "ready"
        all_together(watch, run)
    rounds = [record["round"] for record in watch.rounds(run)]
    assert rounds == [*range(1, len(rounds) + 1)]


def test_a_run_that_waits_for_another_says_so_and_can_be_stopped_meanwhile(fed, watch):
    with going(fed, watch) as run:
        second = propose(fed, 5)
        watch.until(second, lambda found: found["reason"] == f"waits for run {run}")
        fed.on_server("run", "stop", second)
        watch.until(second, lambda found: found["status"] == "stopped")
        assert watch.view(run)["status"] == "running"


LIES = {
    "not_a_number": "NaN or infinite",
    "infinite": "NaN or infinite",
    "other_shape": "has shape (1,), expected",
    "one_less": "has shape None, expected",
    "one_more": "'backdoor' has shape (3,), expected None",
    "wide": "float64",
    "huge": "norm",
    "stale": "stale: round",
    "other_run": "run 'another'",
    "other_name": "in the name of 'alder'",
    "negative_users": "users is -5",
    "other_base": "other parameters than those sent",
    "odd_metric": "finite",
    "other_records": "records",
    "talkative": "client error 1099: ?[2Jall is well??",
    "replayed": "stale: r",
    "garbage": "client error",
}


def test_lies_are_refused_each_with_its_reason_and_the_others_go_on(fed, cedar, watch):
    lie = cedar.home.folder / "lie"

    def said(run, had):
        refused = [each for record in watch.rounds(run)[had:] for each in record["refused"]]
        return {each["reason"] for each in refused if each["platform"] == "cedar"}

    try:
        with going(fed, watch, "--deadline", "10") as run:
            for name, words in LIES.items():
                lie.write_text(name)
                had = len(watch.rounds(run))
                until(
                    lambda words=words, had=had: any(words in each for each in said(run, had)),
                    20,
                    f"{name}, refused for {words!r} and not for {said(run, had)}",
                )
                assert watch.cohorts(run)[-1] >= {"alder", "birch"}
            status = fed.status(run)
            lie.write_text("honest")
            all_together(watch, run)
    finally:
        lie.write_text("honest")
    assert (status["status"], status["attempt"]) == ("running", 1)
    assert any(each["platform"] == "cedar" for each in status["refusals"])
    kinds = {(each.kind, each.platform) for each in watch.events(run)}
    assert ("reply-refused", "cedar") in kinds


def test_a_clock_two_minutes_ahead_is_tolerated_and_told(fed, cedar, watch):
    cedar.end("node")
    cedar.node(str(SUPPORT / "skewed.py"), "120", "isthmus_client.link.node")
    cedar.wait_ready()
    run = propose(fed, 3)
    found = watch.finished(run)
    assert watch.cohorts(run)[-1] == ALL
    (told,) = [each for each in found["platforms"] if each["name"] == "cedar"]
    assert told["skew_s"] == pytest.approx(120, abs=2)
    assert any(each.kind == "clock" and each.platform == "cedar" for each in watch.events())
    assert "120 s ahead of the server's" in cedar.log("node")
    cedar.end("node")
    cedar.node()
    cedar.wait_ready()


def test_a_platform_that_is_revoked_is_out_within_a_heartbeat_and_the_run_goes_on(
    fed, cedar, watch
):
    told = cedar.home.federation / RUN / "control.json"
    with going(fed, watch) as run:
        all_together(watch, run)
        fed.on_server("revoke", "cedar", "--reason", "left the federation")
        until(lambda: "revoked" in read_status(told)["reason"], HEARTBEAT_S + 2, "a refusal")
        at = watch.view(run)["round"]
        watch.at_round(run, at + 3)
        assert watch.cohorts(run)[-1] == {"alder", "birch"}
        status = fed.status(run)
    (cedars,) = [each for each in status["platforms"] if each["name"] == "cedar"]
    assert (cedars["status"], cedars["status_note"]) == ("revoked", "left the federation")
    assert any(each.kind == "revoked" for each in watch.events())
