"""Training windows against a naive loop over events, for any histories and any cuts."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_histories import RETURN, drawn_histories, spans

from isthmus.behaviours import PADDING
from isthmus_client.histories import Histories
from isthmus_client.sequences import Sequences, gap_buckets

BRIEF = settings(deadline=None, max_examples=150)


@st.composite
def cases(draw):
    """Histories, a stop for each user, and the two settings."""
    histories = draw(drawn_histories())
    stop = [draw(st.integers(start, end)) for start, end in spans(histories)]
    return (
        histories,
        np.array(stop, np.int64),
        draw(st.integers(1, 5)),
        draw(st.integers(1, 3)),
        draw(st.integers(0, 2**32 - 1)),
    )


def coming(histories, start, stop, position):
    """Items that a user meets for the first time after the moment of `position`, before `stop`."""
    found, met = [], set()
    for place in range(start, stop):
        item = int(histories.items[place])
        later = place > position
        if histories.timed:
            later = histories.times[place] > histories.times[position]
        if item not in met and later and histories.behaviours[place] != RETURN:
            found.append(item)
        met.add(item)
    return found


def window(histories, begin, end, width):
    """The rows that a batch should hold for the events begin..end."""
    gaps = gap_buckets(histories)
    empty = width - (end - begin)
    return [
        [*histories.items[begin:end], *[-1] * empty],
        [*histories.behaviours[begin:end], *[PADDING] * empty],
        [*gaps[begin:end], *[0] * empty],
    ]


def rows_of(batch, row):
    return [batch.items[row].tolist(), batch.behaviours[row].tolist(), batch.gaps[row].tolist()]


@BRIEF
@given(cases())
def test_the_latest_events_left_aligned_and_padded(case):
    histories, stop, most, horizon, _ = case
    batch = Sequences(histories, stop, max_events=most, horizon=horizon).latest(
        np.arange(histories.users)
    )
    width = max(1, *(min(most, last - start) for (start, _), last in zip_stops(histories, stop)))
    for user, ((start, _), last) in enumerate(zip_stops(histories, stop)):
        assert rows_of(batch, user) == window(histories, max(start, last - most), last, width)
    assert batch.lengths.tolist() == [
        min(most, last - start) for (start, _), last in zip_stops(histories, stop)
    ]
    assert (batch.targets == -1).all()


def zip_stops(histories, stop):
    return list(zip(spans(histories), stop.tolist(), strict=True))


@BRIEF
@given(cases())
def test_users_who_train_are_those_with_something_to_predict(case):
    histories, stop, most, horizon, _ = case
    found = Sequences(histories, stop, max_events=most, horizon=horizon).training_users
    expected = [
        user
        for user, ((start, _), last) in enumerate(zip_stops(histories, stop))
        if any(coming(histories, start, last, place) for place in range(start, last))
    ]
    assert found.tolist() == expected


@BRIEF
@given(cases())
def test_training_windows_and_targets_are_those_of_a_loop(case):
    histories, stop, most, horizon, seed = case
    sequences = Sequences(histories, stop, max_events=most, horizon=horizon)
    users = sequences.training_users
    batch = sequences.training_batch(users, np.random.default_rng(seed))
    for row, user in enumerate(users):
        (start, _), last = zip_stops(histories, stop)[user]
        ends = range(max(min(start + most, last), last - most), last + 1)
        assert any(fits(histories, batch, row, (start, last), (e, most, horizon)) for e in ends)


def fits(histories, batch, row, user, cut):
    """Whether a row is the window that ends at `end`, with targets that a loop would allow."""
    (start, last), (end, most, horizon) = user, cut
    begin = max(start, end - most)
    if rows_of(batch, row) != window(histories, begin, end, batch.items.shape[1]):
        return False
    allowed = [coming(histories, start, last, p)[:horizon] or [-1] for p in range(begin, end)]
    targets = batch.targets[row].tolist()
    good = all(t in some for t, some in zip(targets, allowed, strict=False))
    return good and set(targets[end - begin :]) <= {-1}


@BRIEF
@given(cases(), st.data())
def test_nothing_at_or_after_the_stop_reaches_a_batch(case, data):
    """No leakage: whatever validation and test events are, training sees the same bytes."""
    histories, stop, most, horizon, seed = case
    other = after_stop_changed(histories, stop, np.random.default_rng(data.draw(st.integers(0, 9))))
    one, two = (Sequences(h, stop, max_events=most, horizon=horizon) for h in (histories, other))
    assert one.training_users.tolist() == two.training_users.tolist()
    batches = [
        s.training_batch(one.training_users, np.random.default_rng(seed)) for s in (one, two)
    ]
    latest = [s.latest(np.arange(histories.users)) for s in (one, two)]
    for left, right in (batches, latest):
        for name in ("items", "behaviours", "gaps", "targets"):
            np.testing.assert_array_equal(getattr(left, name), getattr(right, name))


def after_stop_changed(histories, stop, random):
    """Other items, behaviours and (later) times at and after each user's stop."""
    user = np.repeat(np.arange(histories.users), np.diff(histories.offsets))
    late = np.arange(histories.events) >= stop[user]
    return Histories(
        histories.user_ids,
        histories.offsets,
        np.where(late, random.integers(0, 99, histories.events), histories.items).astype(np.int32),
        np.where(late, random.integers(1, 11, histories.events), histories.behaviours).astype(
            np.int8
        ),
        histories.times + np.where(late, random.integers(0, 10_000), 0),
        timed=histories.timed,
    )
