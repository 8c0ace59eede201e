"""A platform may answer anything; the round survives it and uses good updates alone."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_platforms import INITIAL, server_config

from isthmus.messages import Update
from isthmus.parameters import Shared
from isthmus_server import rounds

CONFIG = server_config()
BASE = INITIAL.fingerprint()
COHORT = ("a", "b", "c")


def delta_of(value) -> Shared:
    return Shared({n: np.full(t.shape, value, np.float32) for n, t in INITIAL.tensors.items()})


names = st.sampled_from([*COHORT, "stranger", ""])
floats = st.one_of(st.floats(-9, 9, width=32), st.sampled_from([float("nan"), float("inf")]))
deltas = st.one_of(
    floats.map(delta_of),
    st.just(Shared({})),
    st.just(Shared({"encoder/w": np.zeros((5, 3), np.float32)})),
)
updates = st.builds(
    Update,
    platform=names,
    round=st.sampled_from([0, 1, 1, 1, 2]),
    delta=deltas,
    users=st.sampled_from([-1, 0, 1, 7, 1.5, True]),
    base=st.sampled_from([BASE, BASE, BASE, "0" * 64]),
    metrics=st.dictionaries(st.sampled_from(["loss", "x"]), floats, max_size=2),
)
replies = st.lists(st.tuples(names, updates), max_size=12)


def collect(sent):
    state = rounds.configure(CONFIG, rounds.start(CONFIG, INITIAL), COHORT)
    for sender, update in sent:
        state = rounds.receive(state, sender, update, 5)
    return state


@settings(deadline=None)
@given(replies)
def test_every_reply_is_either_used_or_refused_with_a_reason(sent):
    state = collect(sent)
    assert len(state.open.accepted) + len(state.open.refused) == len(sent)
    assert all(reason for _, reason, _ in state.open.refused)


@settings(deadline=None)
@given(replies)
def test_only_good_updates_of_the_cohort_are_used(sent):
    for sender, (update, _) in collect(sent).open.accepted.items():
        assert sender in COHORT
        assert update.platform == sender
        assert (update.round, update.base) == (1, BASE)
        assert type(update.users) is int
        assert update.users >= 0
        assert update.delta.is_finite()
        assert update.delta.shapes() == INITIAL.shapes()


@settings(deadline=None)
@given(replies, st.lists(st.sampled_from([0.5, -2.0, 3.25]), min_size=3, max_size=3))
def test_bad_replies_do_not_change_what_good_ones_make(sent, values):
    good = [
        (name, Update(name, 1, delta_of(value), 4, BASE))
        for name, value in zip(COHORT, values, strict=True)
    ]
    bad = [(sender, replace(update, base="f" * 64)) for sender, update in sent]
    plain, mixed = collect(good), collect([*bad, *good, *bad])
    one = rounds.optimise(CONFIG, rounds.aggregate(CONFIG, plain))
    two = rounds.optimise(CONFIG, rounds.aggregate(CONFIG, mixed))
    assert one.open.moved[0].fingerprint() == two.open.moved[0].fingerprint()


@settings(deadline=None)
@given(replies)
def test_the_records_names_add_up_to_the_cohort(sent):
    good = Update("a", 1, delta_of(0.5), 4, BASE)
    state = collect([("a", good), *sent])
    moved = rounds.optimise(CONFIG, rounds.aggregate(CONFIG, state))
    (record,) = rounds.commit(CONFIG, moved, seconds=0.0, bytes_down={}).history
    refused = {refusal.platform for refusal in record.refused}
    assert set(record.platforms) | set(record.missing) | (refused & set(COHORT)) == set(COHORT)
    assert not set(record.platforms) & set(record.missing)
