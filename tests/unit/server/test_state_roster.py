"""The roster: who may take part, one-time tokens, the rolling ticket."""

from datetime import UTC, datetime, timedelta

import pytest
from state_databases import join

from isthmus.errors import IdentityError, StateError
from isthmus_server.state import open_state

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYS = {"signing": b"s" * 32, "node_key": b"node", "fingerprint": "SHA256:ab", "csr": b"csr"}


def beat(state, session, *, name="shop", lines=3, **more):
    told = {"at": NOON, "skew_s": -0.25, "facts": {"round": 4}} | more
    return state.platforms.heartbeat(name, session, audit_lines=lines, audit_head="ff", **told)


@pytest.fixture
def shop(state):
    join(state, "shop")
    assert state.platforms.open_session("shop", "", "t1") == "opened"
    return state


def test_joined_platform_waits(state):
    row = state.platforms.add("shop", **KEYS)
    assert (row.status, row.status_note, row.session) == ("pending", "waits for approval", None)
    assert state.platforms.get("shop") == row
    assert state.platforms.add("shop", **KEYS) == row
    assert state.platforms.approved() == ()
    with pytest.raises(StateError, match="other keys"):
        state.platforms.add("shop", **KEYS | {"node_key": b"other"})


def test_absent_platform_is_told_by_name(state):
    join(state, "shop")
    assert state.platforms.get("nobody") is None
    assert beat(state, "t", name="nobody") == "unknown"
    assert state.platforms.open_session("nobody", "", "t") == "unknown"
    with pytest.raises(StateError, match="no platform 'nobody'") as caught:
        state.platforms.set_status("nobody", "approved", "")
    assert caught.value.hint == "known platforms: shop"


def test_names_sort_as_python_sorts_them(state):
    for name in ("b-10", "B", "a", "b_9"):
        join(state, name)
    assert [each.name for each in state.platforms.list()] == ["B", "a", "b-10", "b_9"]


def test_certificate_before_stays_known(state):
    join(state, "shop")
    state.platforms.set_certificate("shop", b"pem1", "0a", NOON)
    later = NOON + timedelta(hours=1)
    row = state.platforms.set_certificate("shop", b"pem2", "0b", later)
    assert (row.serial, row.serial_before, row.certificate) == ("0b", "0a", b"pem2")
    assert row.expires == later
    assert state.platforms.set_certificate("shop", b"pem2", "0b", later).serial_before == "0a"


@pytest.mark.parametrize("status", ["pending", "suspended", "revoked"])
def test_only_approved_get_a_session(state, status):
    join(state, "shop")
    state.platforms.set_status("shop", status, "told so")
    assert state.platforms.open_session("shop", "", "t1") == status
    assert beat(state, "t1") == status
    assert state.events.list() == ()


def test_heartbeat_is_noted(shop):
    assert beat(shop, "t1") == "ok"
    row = shop.platforms.get("shop")
    assert (row.last_seen, row.skew_s, row.facts) == (NOON, -0.25, {"round": 4})
    assert (row.audit_lines, row.audit_head, row.session_confirmed) == (3, "ff", True)


def test_answer_that_got_lost_is_asked_for_again(shop):
    assert shop.platforms.open_session("shop", "t1", "t2") == "opened"
    assert shop.platforms.open_session("shop", "t1", "t2") == "opened"
    assert shop.platforms.open_session("shop", "t1", "t3") == "opened"
    assert shop.platforms.open_session("shop", "t3", "t4") == "opened"
    assert beat(shop, "t4") == "ok"


def test_ticket_before_is_no_good_after_a_heartbeat(shop):
    shop.platforms.open_session("shop", "t1", "t2")
    assert beat(shop, "t2") == "ok"
    assert shop.platforms.open_session("shop", "t1", "t9") == "clone"
    row = shop.platforms.get("shop")
    assert (row.status, row.session) == ("suspended", "t2")
    assert "in use twice" in row.status_note
    assert beat(shop, "t2") == "suspended"


def test_two_that_opened_with_one_ticket_are_found_at_the_first_heartbeat(shop):
    assert shop.platforms.open_session("shop", "t1", "mine") == "opened"
    assert shop.platforms.open_session("shop", "t1", "theirs") == "opened"
    assert beat(shop, "mine") == "clone"
    assert beat(shop, "theirs") == "suspended"
    (alarm,) = shop.events.list(level="alarm")
    assert (alarm.kind, alarm.platform) == ("clone", "shop")
    assert "theirs" not in alarm.text


def test_empty_ticket_opens_nothing(shop):
    assert shop.platforms.open_session("shop", "t1", "") == "clone"


def test_approval_lifts_a_suspension_and_forgets_the_session(shop):
    shop.platforms.open_session("shop", "no", "such")
    shop.platforms.set_status("shop", "approved", "the copy is gone")
    assert beat(shop, "t1") == "closed"
    assert shop.platforms.open_session("shop", "whatever", "t5") == "opened"
    assert beat(shop, "t5") == "ok"


def test_approval_of_an_approved_one_keeps_its_session(shop):
    shop.platforms.set_status("shop", "approved", "again")
    assert beat(shop, "t1") == "ok"


def test_shorter_audit_log_is_an_alarm(shop):
    assert beat(shop, "t1", lines=3) == "ok"
    assert beat(shop, "t1", lines=2) == "ok"
    (alarm,) = shop.events.list(level="alarm")
    assert alarm.text == "the audit log of shop had 3 lines and now has 2"


@pytest.mark.parametrize(
    "odd",
    [
        {"facts": {"loss": float("nan")}},
        {"facts": {"loss": object()}},
        {"skew_s": float("inf")},
        {"lines": 2**63},
        {"lines": -1},
    ],
)
def test_odd_heartbeat_is_refused_whole(shop, odd):
    with pytest.raises(StateError):
        beat(shop, "t1", **odd)
    assert shop.platforms.get("shop").last_seen is None


def test_text_that_no_database_holds_is_replaced(shop):
    assert beat(shop, "t1", facts={"worker": "a\0b\ud800"}) == "ok"
    shop.events.add("info", "note", "a\0b\ud800\x1b[2J\nc", platform="sh\0p")
    (event,) = shop.events.list()
    assert (event.text, event.platform) == (
        "a\N{REPLACEMENT CHARACTER}b?\N{REPLACEMENT CHARACTER}[2J\nc",
        "sh\N{REPLACEMENT CHARACTER}p",
    )


def test_repr_shows_no_ticket(shop):
    assert "t1" not in repr(shop.platforms.get("shop"))


def test_token_is_good_once_and_for_its_name(state):
    token = state.invitations.create("shop", 2)
    with pytest.raises(IdentityError, match="no invitation for 'other'"):
        state.invitations.use(token, "other")
    state.invitations.use(token, "shop")
    with pytest.raises(IdentityError, match="has been used"):
        state.invitations.use(token, "shop")
    with pytest.raises(IdentityError, match="no invitation"):
        state.invitations.use(token + "x", "shop")
    (row,) = state.invitations.list()
    assert row.used is not None
    assert token not in repr(row)


def test_newer_invitation_withdraws_the_older(state):
    first, second = (state.invitations.create("shop", 2) for _ in range(2))
    with pytest.raises(IdentityError, match="was withdrawn"):
        state.invitations.use(first, "shop")
    assert state.invitations.withdraw("shop") == 1
    assert state.invitations.withdraw("shop") == 0
    with pytest.raises(IdentityError, match="was withdrawn"):
        state.invitations.use(second, "shop")


def test_invitation_ends(url):
    now = [NOON]
    with open_state(url, clock=lambda: now[0]) as state:
        token = state.invitations.create("shop", 0.5)
        now[0] += timedelta(minutes=30)
        with pytest.raises(IdentityError, match="ended at 2026-03-01 12:30 UTC"):
            state.invitations.use(token, "shop")
        for hours in (0, -1, float("nan"), 1e30):
            with pytest.raises(StateError, match="cannot be valid"):
                state.invitations.create("shop", hours)


def test_enrolment_is_both_or_neither_and_may_be_asked_for_again(state):
    token = state.invitations.create("shop", 2)
    row = state.platforms.enrol(token, "shop", **KEYS)
    assert state.platforms.enrol(token, "shop", **KEYS) == row
    with pytest.raises(IdentityError, match="has been used"):
        state.platforms.enrol(token, "shop", **KEYS | {"signing": b"t" * 32})
    state.platforms.set_status("shop", "approved", "")
    again = state.invitations.create("shop", 2)
    new = KEYS | {"signing": b"t" * 32}
    with pytest.raises(StateError, match="approved with other keys"):
        state.platforms.enrol(again, "shop", **new)
    state.platforms.set_status("shop", "revoked", "keys lost")
    came = state.platforms.enrol(again, "shop", **new)  # the refusal has not used it up
    assert (came.status, came.signing) == ("pending", b"t" * 32)
