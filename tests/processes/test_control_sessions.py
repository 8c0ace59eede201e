"""Sessions over real sockets: clones, restarts, revocation, clocks, rotation, anchors."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from control_cases import control_server, copied, joined, log_lines, session
from control_keys import keys_of

from isthmus.audit_log import anchors_in, verify_log
from isthmus.control.reasons import RefusedError
from isthmus.errors import IdentityError, ServiceError
from isthmus_client.link.enrolled import Enrolment, load_credentials, tls_key_path
from isthmus_client.link.enrolment import collect, own_log
from isthmus_client.link.session_ticket import Tickets, read_tickets, write_tickets
from isthmus_server.ports import announce

PROGRAM = Path(__file__).parents[1] / "support" / "session_program.py"
POINTS = ("before-next", "after-next", "after-open", "after-ticket", "after-beat")


@pytest.fixture
def server(tmp_path):
    with control_server(tmp_path) as found:
        yield found


@pytest.fixture
def home(server, tmp_path):
    return joined(server, tmp_path)


def play(home, point):
    done = subprocess.run(
        [sys.executable, PROGRAM, str(home.contract), point],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == (0 if point == "none" else -signal.SIGKILL), done.stderr
    return done


def beat_once(home):
    with session(home) as ours:
        return ours.beat()


def reason_of(call):
    with pytest.raises(RefusedError) as caught:
        call()
    return caught.value.reason


def test_heartbeats_tell_the_server_who_lives_and_what_it_says_of_itself(server, home):
    with session(home) as ours:
        beat = ours.beat({"version": "7.1", "round": 3})
    assert beat.heartbeat_s == 0.2
    assert beat.offers == ()
    row = server.row()
    assert row.facts == {"version": "7.1", "round": 3}
    assert row.session_confirmed
    (shown,) = server.roster.look()["platforms"]
    assert (shown["name"], shown["status"], shown["online"]) == ("shop", "approved", True)


def test_a_second_process_of_the_same_home_is_no_clone(server, home):
    with session(home) as ours:
        with pytest.raises(ServiceError, match="another process"):
            session(home).open()
        ours.beat()
    with session(home) as again:
        again.beat()
    assert server.kinds("alarm") == []


@pytest.mark.parametrize("killed", ["after-open", "after-ticket"])
def test_a_platform_killed_in_its_very_first_session_goes_on(server, home, killed):
    play(home, killed)
    play(home, killed)
    beat_once(home)
    assert server.kinds("alarm") == []


@pytest.mark.parametrize("killed", POINTS)
def test_a_platform_killed_anywhere_goes_on_and_is_no_clone(server, home, killed):
    beat_once(home)
    play(home, killed)
    play(home, killed)  # and again where it stands now
    beat_once(home)
    assert server.row().status == "approved"
    assert server.kinds("alarm") == []


def test_a_clone_that_comes_first_is_found_when_the_platform_speaks(server, home):
    with session(home) as ours:
        ours.beat()
        with session(copied(home)) as clone:
            clone.beat()  # it alone cannot be told from the platform
            assert reason_of(ours.beat) == "clone"
            assert reason_of(clone.beat) == "suspended"
    assert_alarm(server)


def test_a_clone_that_comes_after_the_platform_went_on_is_refused_at_once(server, home):
    with session(home) as ours:
        ours.beat()
    thief = copied(home)
    with session(home) as ours:
        ours.beat()
        assert reason_of(session(thief).open) == "clone"
        assert reason_of(ours.beat) == "suspended"
    assert_alarm(server)


def test_of_two_copies_of_a_stopped_platform_the_second_is_found(server, home):
    beat_once(home)
    thief = copied(home)
    with session(thief) as clone:
        clone.beat()
    assert reason_of(session(home).open) == "clone"
    assert_alarm(server)


@pytest.mark.parametrize("killed", ["after-next", "after-open"])
def test_a_clone_of_a_platform_that_was_just_killed_is_found(server, home, killed):
    beat_once(home)
    play(home, killed)
    thief = copied(home)
    with session(thief) as clone, session(home) as ours:
        ours.beat()
        assert reason_of(clone.beat) == "clone"
    assert_alarm(server)


def test_a_call_with_another_ticket_is_an_alarm_too(server, home):
    with session(home) as ours:
        ours.beat()
        ours._ticket = "stolen-or-old"
        assert reason_of(ours.renew) == "clone"
    assert_alarm(server)


def assert_alarm(server):
    assert server.row().status == "suspended"
    (alarm,) = [each for each in server.state.events.list(level="alarm") if each.kind == "clone"]
    assert alarm.platform == "shop"
    assert log_lines(server.home.audit)[-1]["kind"] == "clone"


def test_after_an_alarm_the_operator_lets_the_one_that_is_left_go_on(server, home):
    with session(home) as ours:
        ours.beat()
        thief = copied(home)
        beat_once(thief)
        assert reason_of(ours.beat) == "clone"
        server.roster.approve("shop", Enrolment.load(home).fingerprint)
        ours.beat()  # opens a session anew by itself
        assert reason_of(lambda: beat_once(thief)) == "clone"


def test_a_revocation_holds_at_the_next_call(server, home):
    with session(home) as ours:
        ours.beat()
        server.roster.revoke("shop", "left")
        assert reason_of(ours.beat) == "revoked"
        assert reason_of(ours.renew) == "revoked"
        assert reason_of(ours.open) == "revoked"


def test_certificates_rotate_while_a_session_goes_on(server, home):
    with session(home) as ours:
        ours.beat()
        first, key = server.row(), tls_key_path(home).read_bytes()
        beating = threading.Event()
        beats = []

        def beat():
            while not beating.is_set():
                beats.append(ours.beat())

        thread = threading.Thread(target=beat)
        thread.start()
        try:
            for _ in range(3):
                ours.renew()
        finally:
            beating.set()
            thread.join()
        ours.beat()
    row = server.row()
    assert len(beats) >= 1
    assert row.session == first.session
    assert row.serial not in (first.serial, first.serial_before)
    assert tls_key_path(home).read_bytes() != key
    assert server.kinds("alarm") == []


def test_the_certificate_before_is_good_until_the_new_one_is_followed(server, home):
    enrolment = Enrolment.load(home)
    old = load_credentials(home, enrolment)
    with session(home) as ours:
        ours.renew()
        ours._connect(old)
        ours.beat()
        ours.renew()
        ours.renew()
        ours._connect(old)
        serial = server.row().serial
        assert ours.beat().renewed  # refused with the old one, it collects another and goes on
        assert not ours.beat().renewed
    assert server.row().serial != serial


def test_a_platform_renews_by_itself_when_half_of_the_life_is_over(tmp_path):
    with control_server(tmp_path, certificate_hours=2 / 3600) as server:
        home = joined(server, tmp_path)
        before = server.row().serial
        with session(home) as ours:
            deadline = time.monotonic() + 20
            while not ours.beat().renewed:
                assert time.monotonic() < deadline
            assert server.row().serial != before
            assert not ours.beat().renewed


def test_a_platform_that_was_away_for_longer_than_its_certificate_comes_back(tmp_path):
    with control_server(tmp_path, certificate_hours=1 / 3600) as server:
        home = joined(server, tmp_path)
        enrolment = Enrolment.load(home)
        deadline = time.monotonic() + 20
        while load_credentials(home, enrolment) is not None:
            assert time.monotonic() < deadline
        with session(home) as ours:
            ours.beat()
        assert server.kinds("alarm") == []


def test_a_crash_between_key_and_certificate_is_mended(server, home):
    tls_key_path(home).write_bytes(
        (joined(server, home.folder.parent, "other").federation / "tls.key").read_bytes()
    )
    with session(home) as ours:
        ours.beat()


@pytest.mark.parametrize(("ahead", "events"), [(3.0, []), (-90.0, ["clock"]), (239.0, ["clock"])])
def test_a_clock_that_is_off_is_tolerated_and_reported(server, home, ahead, events):
    with session(home, wall=lambda: time.time() + ahead) as ours:
        ours.beat()
        beat = ours.beat()
    assert abs(beat.skew_s - ahead) < 0.5
    assert abs(server.row().skew_s - ahead) < 0.5
    assert [each.kind for each in server.state.events.list(level="warning")] == events
    assert bool(beat.warning) == bool(events)
    if events:
        assert f"{abs(ahead):.0f} s " + ("ahead" if ahead > 0 else "behind") in beat.warning


def test_a_clock_that_is_off_too_far_is_refused_with_the_figure(server, home):
    seen = server.row().last_seen
    slow = session(home, wall=lambda: time.time() - 300)
    with slow, pytest.raises(RefusedError, match="300 s behind") as caught:
        slow.beat()
    assert caught.value.reason == "clock"
    assert server.row().last_seen == seen
    assert server.kinds("alarm") == ["clock"]


def test_half_of_the_round_trip_is_taken_off_the_skew(server, home):
    with session(home) as ours:
        ours.beat()
        ours._round_trip = 20.0  # of the heartbeat before
        ours.beat()
        assert abs(server.row().skew_s - 10.0) < 0.5
        ours._round_trip = 1e9  # more than is believed
        ours.beat()
        assert abs(server.row().skew_s - 15.0) < 0.5


def test_each_side_anchors_the_others_log_when_it_grew(server, home):
    ours_log, theirs = own_log(home, keys_of(home)), server.home.audit
    with session(home) as ours:
        ours.beat()
        ours_log.append({"kind": "receipt", "bytes": 71})
        ours.beat()
        ours.beat()
        grown = (len(log_lines(ours_log.path)), len(log_lines(theirs)))
        for _ in range(5):
            ours.beat()  # nothing new: nothing is written
        assert (len(log_lines(ours_log.path)), len(log_lines(theirs))) == grown
    receipt = next(each for each in log_lines(ours_log.path) if each["kind"] == "receipt")
    assert anchors_in(theirs, "shop")[-1].hash == receipt["hash"]
    with session(home) as again:
        again.beat()
    assert (len(log_lines(ours_log.path)), len(log_lines(theirs))) == grown


def test_a_log_that_was_cut_short_shows_against_the_other_sides(server, home):
    log, public = own_log(home, keys_of(home)), keys_of(home).public.signing
    with session(home) as ours:
        log.append({"kind": "receipt"})
        ours.beat()
    anchors = anchors_in(server.home.audit, "shop")
    assert verify_log(log.path, public, anchors).first_bad is None
    lines = log.path.read_bytes().splitlines(keepends=True)
    cut = next(n for n, each in enumerate(log_lines(log.path)) if each["kind"] == "receipt")
    log.path.write_bytes(b"".join(lines[:cut]))
    assert verify_log(log.path, public).first_bad is None
    assert verify_log(log.path, public, anchors).what == "truncated"
    with session(home) as ours:
        ours.beat()
    assert "audit-log-shorter" in server.kinds("alarm")


def test_facts_that_are_too_many_or_none_are_refused(server, home):
    with session(home) as ours:
        assert reason_of(lambda: ours.beat({"much": "x" * 20_000})) == "invalid"
        ours.beat()
    assert server.row().facts == {}


def test_a_server_that_is_down_is_told_and_the_session_goes_on_after(server, home):
    with session(home) as ours:
        ours.beat()
        server.running.stop()
        with pytest.raises(ServiceError, match="could not be reached"):
            ours.beat()
        ports = server.ports
        server.start()
        assert server.ports == ports  # those of before, though any free ones were asked for
        beat_until_back(ours)
    assert server.kinds("alarm") == []


def beat_until_back(ours):
    deadline = time.monotonic() + 20
    while True:
        try:
            return ours.beat()
        except ServiceError:
            assert time.monotonic() < deadline


def test_an_audit_log_that_cannot_be_written_stops_the_session_not_the_server(server, home):
    with session(home) as ours:
        ours.beat()
        kept = server.home.audit.read_bytes()
        server.home.audit.write_bytes(kept.replace(b'"line": 1', b'"line": 9'))
        own_log(home, keys_of(home)).append({"kind": "receipt"})
        damaged = server.home.audit.read_bytes().splitlines()
        server.home.audit.write_bytes(b"\n".join([*damaged[:-1], b"{}", b""]))
        assert reason_of(ours.beat) == "failed"
        server.home.audit.write_bytes(kept)
        ours.beat()
    assert anchors_in(server.home.audit, "shop")


def test_a_damaged_ticket_file_is_told(server, home):
    path = home.federation / "session.json"
    write_tickets(path, Tickets("one", "two"))
    assert read_tickets(path) == Tickets("one", "two")
    assert "one" not in repr(Tickets("one", "two"))
    path.write_text("[]")
    with pytest.raises(IdentityError, match="damaged"):
        session(home).open()
    assert server.row().session is None


def test_a_changed_port_is_followed(server, home):
    enrolment = Enrolment.load(home)
    replace(enrolment, ports={**enrolment.ports, "fleet": 1}).save(home)
    announce(server.home, {"fleet": 4711})
    with session(home) as ours:
        assert ours.enrolment.ports["fleet"] == 4711
    assert collect(home, keys_of(home)).status == "approved"
