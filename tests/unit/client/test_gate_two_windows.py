"""The gate with a track record: both windows decide, each with the same weight."""

import numpy as np
import pytest

from isthmus_client.gate import decide
from isthmus_client.track_record import past_of

OWN = ("trend", "local")
USERS = 40


def window(*, candidate, trend, local, users=USERS, spread=0.1):
    """Qualities around the given means; every model is off by the same amount for a user."""
    off = spread * np.tile([1.0, -1.0], users // 2)
    own = np.random.default_rng(3).normal(0, 0.02, users)
    own -= own.mean()
    return {"candidate": candidate + off + own, "trend": trend + off, "local": local + off}


def decided(now, before=None):
    past = None if before is None else past_of("candidate", before, OWN)
    return decide("candidate", now, OWN, seed=0, past=past)


def test_a_trend_of_one_window_is_no_incumbent():
    now = window(candidate=0.40, trend=0.42, local=0.35)
    before = window(candidate=0.40, trend=0.20, local=0.35)
    alone, both = decided(now), decided(now, before)
    assert (alone.incumbent, alone.served) == ("trend", "trend")
    assert (both.incumbent, both.served) == ("local", "candidate")
    assert both.both.gain == pytest.approx((0.05 / 0.42 + 0.05 / 0.40) / 2)
    assert "Over this window and the earlier one the mean gain of +12.2 % exceeds" in both.reason


def test_a_gain_that_was_a_loss_before_is_not_served():
    now = window(candidate=0.42, trend=0.1, local=0.40)
    assert decided(now).served == "candidate"
    told = decided(now, window(candidate=0.36, trend=0.1, local=0.40))
    assert told.served == "local"
    assert "not better on average" in told.reason


def test_a_gain_within_the_errors_of_both_is_not_served():
    told = decided(
        window(candidate=0.402, trend=0.1, local=0.40),
        window(candidate=0.402, trend=0.1, local=0.40),
    )
    assert 0 < told.both.gain <= told.both.standard_error
    assert (told.served, "it may not last" in told.reason) == ("local", True)


def test_a_record_of_a_handful_of_users_is_left_out():
    now = window(candidate=0.42, trend=0.1, local=0.40)
    few = window(candidate=0.10, trend=0.1, local=0.40, users=24)
    assert decided(now, few) == decided(now)


def test_a_handful_of_users_decides_nothing_whatever_the_record_says():
    now = window(candidate=0.5, trend=0.1, local=0.40, users=24)
    told = decided(now, window(candidate=0.5, trend=0.1, local=0.40))
    assert (told.served, told.both) == ("local", None)
    assert "24 users are too few" in told.reason


def test_nobody_to_decide_by_keeps_the_first():
    nobody = {name: np.zeros(0) for name in ("candidate", *OWN)}
    assert decided(nobody, window(candidate=0.5, trend=0.1, local=0.4)).served == "trend"


def test_where_nothing_is_ranked_the_first_own_model_stays():
    nothing = window(candidate=0.0, trend=0.0, local=0.0, spread=0.0)
    nothing["candidate"] = np.zeros(USERS)
    told = decided(nothing, nothing)
    assert (told.served, told.both.gain) == ("trend", 0.0)
