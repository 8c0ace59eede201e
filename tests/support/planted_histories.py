"""Histories and platforms written out by hand or drawn at random, for tests against slow truths."""

import numpy as np
from hypothesis import strategies as st

from isthmus.behaviours import behaviour_code
from isthmus_client.catalogue import Catalogue
from isthmus_client.histories import Histories, Split, leave_one_out
from isthmus_client.platform import Platform

PURCHASE, RETURN, VIEW = (behaviour_code(name) for name in ("purchase", "return", "view"))


def histories_of(*users, timed=True):
    """Histories from one list of events a user.

    An event is an item, or (item, time), or (item, time, behaviour code). Where no time is given
    it is the place in the list, in minutes.
    """
    rows = [[_event(place, event) for place, event in enumerate(user)] for user in users]
    flat = np.array([event for user in rows for event in user], np.int64).reshape(-1, 3)
    return Histories(
        user_ids=tuple(f"user-{number}" for number in range(len(users))),
        offsets=np.cumsum([0, *map(len, rows)]).astype(np.int64),
        items=flat[:, 0].astype(np.int32),
        behaviours=flat[:, 2].astype(np.int8),
        times=flat[:, 1],
        timed=timed,
    )


def _event(place, event):
    item, *more = event if isinstance(event, tuple) else (event,)
    return (item, *more, *(60 * place, PURCHASE)[len(more) :])


def platform_of(histories, items, *, split=None, content=6, name="shop", seed=0):
    """A platform around histories, with random content vectors."""
    names = tuple(f"{name}-item-{number}" for number in range(items))
    vectors = np.random.default_rng(seed).normal(size=(items, content)).astype(np.float32)
    catalogue = Catalogue(names, names, ("",) * items, np.full(items, np.nan, np.float32))
    return Platform(name, catalogue, vectors, histories, split or leave_one_out(histories))


def random_platform(users=12, items=15, *, events=8, name="shop", seed=0, content=6):
    """A platform whose users buy at random; timed, split leave-one-out."""
    random = np.random.default_rng(seed)
    lengths = random.integers(3, events + 1, size=users)
    lists = [[int(i) for i in random.integers(items, size=n)] for n in lengths]
    return platform_of(histories_of(*lists), items, name=name, seed=seed, content=content)


@st.composite
def drawn_histories(draw, *, items=7, users=4, events=9, timed=None):
    """Any histories with an event at least, empty users included; moments are often shared."""
    moments = st.integers(0, 6).map(lambda step: step * 100)
    event = st.tuples(st.integers(0, items - 1), moments, st.sampled_from([PURCHASE, VIEW, RETURN]))
    user = st.lists(event, max_size=events).map(lambda rows: sorted(rows, key=lambda r: r[1]))
    rows = draw(st.lists(user, min_size=1, max_size=users).filter(any))
    return histories_of(*rows, timed=draw(st.booleans()) if timed is None else timed)


@st.composite
def drawn_split(draw, histories):
    """Any two cuts of each history, in order."""
    first, second = [], []
    for start, stop in zip(histories.offsets[:-1], histories.offsets[1:], strict=True):
        low, high = sorted(draw(st.tuples(*[st.integers(int(start), int(stop))] * 2)))
        first.append(low)
        second.append(high)
    return Split("time", np.array(first, np.int64), np.array(second, np.int64))


def spans(histories):
    """(start, stop) of each user's events."""
    return list(zip(histories.offsets[:-1].tolist(), histories.offsets[1:].tolist(), strict=True))
