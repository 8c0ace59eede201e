"""Signals against slow truths on any small histories, and blind to all that comes after a cut."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from planted_histories import drawn_histories, drawn_split, histories_of, platform_of
from scipy import sparse
from slow_signals import (
    slow_cosines,
    slow_ease,
    slow_item_signals,
    slow_known,
    slow_last_moment,
    slow_recent,
    slow_transitions,
)

from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.ranker import SIGNALS
from isthmus_client.baselines import interactions
from isthmus_client.histories import Histories, Split
from isthmus_client.ranker_training import ExampleSet, RankerSettings
from isthmus_client.signals.collaborative import fit_collaborative
from isthmus_client.signals.cut import Cut, window_cut
from isthmus_client.signals.items import ITEM_SIGNALS, item_signals
from isthmus_client.signals.level import level
from isthmus_client.signals.recent import RECENT, last_moment_rows, recent_rows
from isthmus_client.signals.table import SignalTable
from isthmus_client.workspace import Workspace

ITEMS = 7
CONFIG = EncoderConfig(content=6, dim=4, layers=1, heads=2, max_events=4)
FEW = RankerSettings(users=150, hard=2, uniform=2, targets=2)


@st.composite
def with_stop(draw, **how):
    """Histories and a cut of each."""
    histories = draw(drawn_histories(items=ITEMS, **how))
    return histories, draw(drawn_split(histories)).train_stop


def everybody(histories):
    return np.arange(histories.users)


@given(with_stop())
def test_item_signals_are_those_of_a_loop_over_pairs(drawn):
    histories, stop = drawn
    fast, slow = item_signals(histories, stop, ITEMS), slow_item_signals(histories, stop, ITEMS)
    assert tuple(fast) == ITEM_SIGNALS
    for name, column in fast.items():
        np.testing.assert_allclose(column, slow[name], rtol=1e-5, err_msg=name)


@given(with_stop(events=2 * RECENT, users=3), st.sampled_from([0.8, 0.9, 1.0]))
def test_recent_rows_are_those_of_a_loop_over_events(drawn, decay):
    histories, stop = drawn
    users = everybody(histories)[::-1]
    fast = recent_rows(histories, stop, users, ITEMS, decay=decay).toarray()
    slow = [slow_recent(histories, stop, user, ITEMS, decay) for user in users]
    np.testing.assert_allclose(fast, slow, rtol=1e-5)


@given(with_stop(events=2 * RECENT, users=3))
def test_last_baskets_are_those_of_a_loop_over_events(drawn):
    histories, stop = drawn
    users = everybody(histories)[::-1]
    fast = last_moment_rows(histories, stop, users, ITEMS).toarray()
    slow = [slow_last_moment(histories, stop, user, ITEMS) for user in users]
    np.testing.assert_array_equal(fast, slow)


@settings(max_examples=60)
@given(with_stop(users=6))
def test_neighbours_ridge_and_transitions_are_those_of_loops_over_pairs(drawn):
    histories, stop = drawn
    model = fit_collaborative(histories, stop, interactions(histories, stop, ITEMS))
    known = np.array([slow_known(histories, stop, user, ITEMS) for user in everybody(histories)])
    rows = sparse.csr_matrix(np.eye(ITEMS, dtype=np.float32))  # a history of each single item
    np.testing.assert_allclose(model.knn(rows).toarray(), slow_cosines(known), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.ease(rows), slow_ease(known), rtol=1e-4, atol=1e-6)
    slow = slow_transitions(histories, stop, ITEMS)
    np.testing.assert_allclose(model.follow(rows).toarray(), slow, rtol=1e-5, atol=1e-6)


@settings(max_examples=60)
@given(with_stop(users=6))
def test_factors_are_finite_and_the_same_bytes_again(drawn):
    histories, stop = drawn
    counts = interactions(histories, stop, ITEMS)
    one, two = (fit_collaborative(histories, stop, counts).factors for _ in range(2))
    for first, second in zip(one, two, strict=True):
        assert np.isfinite(first).all()
        assert first.tobytes() == second.tobytes()


@given(
    st.lists(
        st.lists(st.floats(-1e3, 1e3, width=32), min_size=5, max_size=5), min_size=1, max_size=4
    )
)
def test_a_level_has_mean_0_and_deviation_1_as_far_as_it_varies(rows):
    values = np.array(rows, np.float32)
    made, spread = level(values), values.astype(np.float64).std(axis=1)
    np.testing.assert_allclose(made.mean(axis=1), 0, atol=0.01 + 1e-4 * np.abs(values).max())
    wide = spread > 1.0
    np.testing.assert_allclose(made.std(axis=1)[wide], 1, atol=2e-3)
    assert (made.std(axis=1) < 1.001).all()


@given(st.floats(-100, 100, width=32), st.integers(1, 3000))
def test_what_does_not_vary_says_nothing(value, items):
    assert np.abs(level(np.full((1, items), value, np.float32))).max() < 0.05


def replaced_after(draw, histories, stop):
    """The same events before `stop`, others of another number after it."""
    columns = {"items": [], "behaviours": [], "times": []}
    offsets = [0]
    for user in range(histories.users):
        kept = slice(int(histories.offsets[user]), int(stop[user]))
        late = draw(st.lists(st.integers(0, ITEMS - 1), max_size=4))
        start = histories.times[kept][-1] if kept.stop > kept.start else 0
        step = draw(st.sampled_from([1, 90_000]))
        columns["items"].append(np.concatenate([histories.items[kept], late]))
        seen = np.full(len(late), histories.behaviours[0])
        columns["behaviours"].append(np.concatenate([histories.behaviours[kept], seen]))
        coming = start + step * np.arange(1, len(late) + 1)
        columns["times"].append(np.concatenate([histories.times[kept], coming]))
        offsets.append(offsets[-1] + kept.stop - kept.start + len(late))
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    types = {"items": np.int32, "behaviours": np.int8, "times": np.int64}
    typed = {name: column.astype(types[name]) for name, column in joined.items()}
    return Histories(
        user_ids=histories.user_ids,
        offsets=np.array(offsets, np.int64),
        timed=histories.timed,
        **typed,
    )


@st.composite
def two_futures(draw):
    """Two workspaces with the same events before the validation window; what follows differs.

    With who trains (None = everybody).
    """
    one = draw(drawn_histories(items=ITEMS, users=5))
    split = draw(drawn_split(one))
    two = replaced_after(draw, one, split.train_stop)
    assume(one.events and two.events)
    known = two.offsets[:-1] + split.train_stop - one.offsets[:-1]
    middle = known + (two.offsets[1:] - known) // 2
    who = draw(st.none() | st.sets(st.integers(0, one.users - 1)).map(sorted))
    trains = None if who is None else np.array(who, np.int64)
    platforms = (
        platform_of(one, ITEMS, split=split),
        platform_of(two, ITEMS, split=Split("time", known, middle)),
    )
    return tuple(Workspace(platform, CONFIG.max_events, trains) for platform in platforms)


@settings(max_examples=30)
@given(two_futures())
def test_signals_before_a_window_do_not_change_with_what_follows(futures):
    encoder = initial_encoder(CONFIG, seed=1)
    one, two = (
        SignalTable(w, window_cut(w, "validation"), encoder).of(everybody(w.platform.histories))
        for w in futures
    )
    assert one.tobytes() == two.tobytes()


@settings(max_examples=30)
@given(two_futures())
def test_examples_come_from_the_training_window_alone(futures):
    encoder = initial_encoder(CONFIG, seed=1)
    one, two = (ExampleSet(w, FEW, seed=3).with_encoder(encoder) for w in futures)
    assert one.signals.tobytes() == two.signals.tobytes()
    assert one.shares.tobytes() == two.shares.tobytes()
    assert one.offsets.tobytes() == two.offsets.tobytes()


@st.composite
def two_crowds(draw):
    """Two platforms on which those who train are the same and all others differ."""
    one = draw(drawn_histories(items=ITEMS, users=5))
    split = draw(drawn_split(one))
    trains = np.array(sorted(draw(st.sets(st.integers(0, one.users - 1)))), np.int64)
    kept = np.isin(np.repeat(everybody(one), np.diff(one.offsets)), trains)
    shift, later = draw(st.integers(1, ITEMS - 1)), draw(st.sampled_from([0, 10**7]))
    two = replace(
        one,
        items=np.where(kept, one.items, (one.items + shift) % ITEMS).astype(np.int32),
        times=np.where(kept, one.times, one.times + later),
    )
    return trains, tuple(
        Workspace(platform_of(h, ITEMS, split=split), CONFIG.max_events, trains) for h in (one, two)
    )


@settings(max_examples=30)
@given(two_crowds())
def test_who_does_not_train_has_no_say(crowds):
    trains, workspaces = crowds
    encoder, cuts = initial_encoder(CONFIG, seed=1), [window_cut(w, "test") for w in workspaces]
    one, two = (
        SignalTable(w, cut, encoder).of(trains) for w, cut in zip(workspaces, cuts, strict=True)
    )
    assert one.tobytes() == two.tobytes()
    made = [ExampleSet(w, FEW, seed=3).with_encoder(encoder) for w in workspaces]
    assert made[0].signals.tobytes() == made[1].signals.tobytes()
    assert made[0].shares.tobytes() == made[1].shares.tobytes()


@settings(max_examples=30)
@given(with_stop(users=5), st.permutations(range(ITEMS)))
def test_signals_follow_their_items_through_another_order_of_the_catalogue(drawn, order):
    """But for the factors: equal singular values leave their axes open."""
    histories, stop = drawn
    place = np.argsort(order)  # where each item went
    moved = replace(histories, items=place[histories.items].astype(np.int32))
    one = platform_of(histories, ITEMS)
    two = replace(one, histories=moved, vectors=one.vectors[list(order)])
    cut, users = Cut(stop, stop, stop), everybody(histories)
    made, again = (SignalTable(Workspace(p, 4), cut).of(users) for p in (one, two))
    rest = [place for place, name in enumerate(SIGNALS) if name != "svd"]
    np.testing.assert_allclose(again[:, rest], made[:, rest][..., list(order)], atol=5e-3)


@pytest.fixture(scope="module")
def rich():
    """Signals of a platform that has times, categories and prices. (users, signals, items)."""
    random = np.random.default_rng(5)
    moments = np.sort(random.integers(60, size=(12, 9)) * 80_000, axis=1)
    items = np.minimum(random.geometric(0.35, size=(12, 9)) - 1, ITEMS - 1)
    users = [
        list(zip(*(row.tolist() for row in pair), strict=True))
        for pair in zip(items, moments, strict=True)
    ]
    platform = platform_of(histories_of(*users), ITEMS)
    catalogue = replace(
        platform.catalogue,
        categories=("a", "b", "a", "c", "b", "a", "d"),
        prices=np.array([3, 1, 20, 5, 2, 8, 9], np.float32),
    )
    workspace = Workspace(replace(platform, catalogue=catalogue), CONFIG.max_events)
    table = SignalTable(workspace, window_cut(workspace, "test"), initial_encoder(CONFIG, seed=1))
    return table.of(np.arange(12))


@pytest.mark.parametrize("name", SIGNALS)
def test_every_signal_says_something(rich, name):
    assert np.abs(rich[:, SIGNALS.index(name)]).max() > 0.3
