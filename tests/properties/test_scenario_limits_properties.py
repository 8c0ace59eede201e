"""Limits on a platform against a slow, plain rereading of what they say."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import DataInvalidError
from isthmus_client.catalogue import Catalogue
from isthmus_client.histories import Histories
from isthmus_client.relations import PlatformTables
from isthmus_simulations.scenarios.limits import Limits, restrict, taken_at

LIMITS = st.builds(
    Limits,
    min_item_users=st.integers(0, 3),
    max_items=st.integers(0, 4),
    min_user_events=st.integers(2, 4),
    max_users=st.integers(0, 3),
)
EVENTS = st.dictionaries(
    st.text("uvwxyz", min_size=1, max_size=2),
    st.lists(st.integers(0, 5), min_size=2, max_size=6),
    min_size=1,
    max_size=7,
)


def tables_of(events, *, timed=True):
    users = sorted(events)
    items = [item for user in users for item in events[user]]
    counts = [len(events[user]) for user in users]
    catalogue = Catalogue(
        tuple("abcdef"), tuple("ABCDEF"), tuple("uvwxyz"), np.arange(6, dtype=np.float32)
    )
    histories = Histories(
        tuple(users),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.array(items, np.int32),
        np.ones(len(items), np.int8),
        np.arange(len(items), dtype=np.int64) + 100 * timed,
        timed,
    )
    return PlatformTables(catalogue, histories)


def as_mapping(tables):
    h, ids = tables.histories, tables.catalogue.item_ids
    return {
        user: [ids[i] for i in h.items[h.offsets[u] : h.offsets[u + 1]]]
        for u, user in enumerate(h.user_ids)
    }


def plain(events, limits):
    """The kept items and, of each user who may stay, the kept events."""
    users = Counter(item for items in events.values() for item in set(items))
    kept = [item for item in range(6) if users[item] >= limits.min_item_users]
    if limits.max_items:
        kept = sorted(sorted(kept, key=lambda item: -users[item])[: limits.max_items])
    left = {
        user: ["abcdef"[item] for item in events[user] if item in kept] for user in sorted(events)
    }
    return kept, {u: items for u, items in left.items() if len(items) >= limits.min_user_events}


@settings(deadline=None, max_examples=200)
@given(EVENTS, LIMITS, st.booleans())
def test_limits_do_what_they_say(events, limits, timed):
    tables = tables_of(events, timed=timed)
    kept, left = plain(events, limits)
    if not left:
        with pytest.raises(DataInvalidError, match="platform shop: no user has"):
            restrict(tables, limits, name="shop", seed=0)
        return
    small = restrict(tables, limits, name="shop", seed=0)
    assert small.catalogue.item_ids == tuple("abcdef"[item] for item in kept)
    assert small.catalogue.texts == tuple("ABCDEF"[item] for item in kept)
    assert small.catalogue.prices.tolist() == kept
    found = as_mapping(small)
    assert found.items() <= left.items()
    assert len(found) == min(limits.max_users or len(left), len(left))
    assert list(found) == sorted(found)
    starts = small.histories.offsets[:-1]
    if not timed:
        assert (small.histories.times[starts] == 0).all()
    assert small.histories.items.dtype == np.int32


def test_the_draw_is_the_same_for_a_seed_and_differs_between_seeds_and_platforms():
    events = {f"u{number:03}": [0, 1, 2] for number in range(200)}
    limits = Limits(max_users=40)
    drawn = {
        (name, seed): restrict(tables_of(events), limits, name=name, seed=seed).histories.user_ids
        for name in ("shop", "stall")
        for seed in (1, 2)
    }
    again = restrict(tables_of(events), limits, name="shop", seed=1).histories.user_ids
    assert drawn["shop", 1] == again
    assert len(set(drawn.values())) == 4


def test_the_draw_does_not_favour_the_first_users():
    """Files are often ordered by activity: the first rows are not a fair sample."""
    events = {f"u{number:04}": [0, 1] for number in range(1000)}
    small = restrict(tables_of(events), Limits(max_users=300), name="shop", seed=5)
    rows = [int(user[1:]) for user in small.histories.user_ids]
    assert 440 < np.mean(rows) < 560


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.text("uvwxyz", min_size=1), st.lists(st.integers(0, 9), min_size=2)))
def test_a_platform_as_it_stood_is_one_read_on_that_day(events):
    """Here an event's item is its row's, and its time is drawn."""
    times = {user: sorted(drawn) for user, drawn in events.items()}
    whole = {user: [row % 6 for row in range(len(drawn))] for user, drawn in times.items()}
    until = {user: sum(time < 5 for time in drawn) for user, drawn in times.items()}
    then = {user: whole[user][: until[user]] for user in whole if until[user] > 1}
    tables = tables_of(whole)
    columns = np.array([time for user in sorted(times) for time in times[user]], dtype=np.int64)
    timed = replace(tables, histories=replace(tables.histories, times=columns))
    if not then:
        with pytest.raises(DataInvalidError, match="platform shop: nobody has two events"):
            taken_at(timed, 5, name="shop")
        return
    found = taken_at(timed, 5, name="shop")
    assert as_mapping(found) == as_mapping(tables_of(then))
    assert (found.histories.times < 5).all()
    assert found.catalogue.item_ids == timed.catalogue.item_ids
