"""The rolling ticket against its rule in words, and copies against their original."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from state_databases import join

from isthmus_server.state import open_state

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TICKETS = ("", "a", "b", "c", "d")
OPEN = st.tuples(st.just("open"), st.sampled_from(TICKETS), st.sampled_from(TICKETS[1:]))
BEAT = st.tuples(st.just("beat"), st.sampled_from(TICKETS[1:]))
APPROVE = st.just(("approve",))
DONE = {"open": "opened", "beat": "ok"}


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    with open_state(tmp_path_factory.mktemp("state") / "state.sqlite") as opened:
        yield opened


_numbers = iter(range(10**9))


def fresh(state):
    """A platform that has no session yet."""
    name = f"shop-{next(_numbers)}"
    join(state, name)
    return name


def beat(state, name, ticket):
    told = {"facts": {}, "audit_lines": 0, "audit_head": ""}
    return state.platforms.heartbeat(name, ticket, at=NOON, skew_s=0.0, **told)


def play(state, name, move):
    if move[0] == "approve":
        return state.platforms.set_status(name, "approved", "").status
    if move[0] == "open":
        return state.platforms.open_session(name, *move[1:])
    return beat(state, name, move[1])


class Rule:
    """The rule, said slowly: which tickets are good next, and who is out."""

    def __init__(self):
        self.now, self.before, self.heard, self.out = None, None, False, False

    def play(self, move):
        if move[0] == "approve":
            if self.out:
                self.__init__()
            return "approved"
        if self.out:
            return "suspended"
        reply = self.beat(move[1]) if move[0] == "beat" else self.open(*move[1:])
        self.out = reply == "clone"
        return reply

    def beat(self, ticket):
        if self.now is None:
            return "closed"
        self.heard = self.heard or ticket == self.now
        return "ok" if ticket == self.now else "clone"

    def open(self, previous, new):
        first, next_one = self.now is None, previous == self.now
        once_more = previous == self.before and not self.heard
        if not (first or next_one or once_more):
            return "clone"
        self.now, self.before, self.heard = new, previous, False
        return "opened"


@settings(max_examples=60)
@given(moves=st.lists(st.one_of(OPEN, BEAT, APPROVE), max_size=14))
def test_state_follows_the_rule(state, moves):
    name, rule = fresh(state), Rule()
    for move in moves:
        assert play(state, name, move) == rule.play(move)
    row = state.platforms.get(name)
    assert (row.session, row.status == "suspended") == (rule.now, rule.out)


@settings(max_examples=60)
@given(lost=st.lists(st.booleans(), max_size=12))
def test_an_honest_platform_is_never_taken_for_a_clone(state, lost):
    """It writes each ticket before it uses it, and may lose any answer, or die at any call."""
    name, ticket = fresh(state), ""
    for number, answer_lost in enumerate(lost):
        new = f"t{number}"
        assert state.platforms.open_session(name, ticket, new) == "opened"
        if answer_lost:
            continue  # it only has the one before
        ticket = new
        assert beat(state, name, ticket) == "ok"


@settings(max_examples=60)
@given(
    order=st.lists(st.sampled_from(["original", "copy"]), max_size=10),
    cut=st.integers(0, 3),
)
def test_two_of_one_identity_are_found_as_soon_as_both_have_spoken(state, order, cut):
    """Each opens once and then sends heartbeats; whichever order, both are not heard."""
    name, ticket = fresh(state), ""
    for number in range(cut):
        assert state.platforms.open_session(name, ticket, f"t{number}") == "opened"
        ticket = f"t{number}"
        assert beat(state, name, ticket) == "ok"
    mine, heard = {"original": None, "copy": None}, set()
    for who in order:
        if mine[who] is None:
            mine[who] = f"{who}'s"
            reply = state.platforms.open_session(name, ticket, mine[who])
        else:
            reply = beat(state, name, mine[who])
            if reply == "ok":
                heard.add(who)
        if reply not in DONE.values():
            assert state.platforms.get(name).status == "suspended"
            break
    assert len(heard) <= 1
