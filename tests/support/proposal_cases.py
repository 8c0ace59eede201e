"""A server's state with platforms that can take part in runs."""

from contract_cases import key_of
from state_databases import join

from isthmus_server.run_request import request_from

SHOPS = ("anvil", "bellows", "crucible")
TINY = {"content": 8, "dim": 4, "layers": 1, "max_events": 6}
PLAIN = {"privacy": "none", "encoder": TINY}
POOLED = {"privacy": "pooled", "encoder": TINY, "rounds": 4, "private_batch": 3000}


def roster(state, names=SHOPS, users=40_321):
    """Approved platforms that told how many users they have."""
    for name in names:
        join(state, name, signing=key_of(name).public_key().public_bytes_raw())
        if users is not None:
            beat(state, name, {"users": users})


def beat(state, name, facts, at=None, skew_s=0.2):
    """A heartbeat, the first of a new session."""
    ticket = f"ticket of {name}"
    row = state.platforms.get(name)
    assert state.platforms.open_session(name, row.session or "", ticket) == "opened"
    at = at or state.platforms.clock()
    told = {"facts": facts, "audit_lines": 1, "audit_head": "a" * 64}
    assert state.platforms.heartbeat(name, ticket, at=at, skew_s=skew_s, **told) == "ok"


def request(**given):
    return request_from(given)
