"""Weights of histories and faded popularity against loops over events."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from planted_histories import drawn_histories, drawn_split, spans

from isthmus_client.baselines import DAY, recency_weights, recent_popularity

ITEMS = 7
decays = st.sampled_from([0.5, 0.8, 1.0])


@st.composite
def histories_and_stop(draw):
    histories = draw(drawn_histories(items=ITEMS))
    return histories, draw(drawn_split(histories)).train_stop


@given(histories_and_stop(), decays, st.integers(0, 4), st.booleans())
def test_recency_weights_are_a_loops(drawn, decay, latest, repeats):
    histories, stop = drawn
    slow = np.zeros((histories.users, ITEMS))
    for user, (start, _) in enumerate(spans(histories)):
        for age, place in enumerate(range(stop[user] - 1, start - 1, -1)):
            item = histories.items[place]
            if latest and age >= latest:
                break
            if repeats or not slow[user, item]:
                slow[user, item] += decay**age
    fast = recency_weights(histories, stop, ITEMS, decay=decay, latest=latest, repeats=repeats)
    np.testing.assert_allclose(fast.toarray(), slow, rtol=1e-6)


@given(histories_and_stop(), st.sampled_from([0.0, 0.003, 1.0]), st.booleans())
def test_faded_popularity_is_a_loops(drawn, half_life, adoption):
    histories, stop = drawn
    events = [
        (user, histories.items[place], histories.times[place])
        for user, (start, _) in enumerate(spans(histories))
        for place in range(start, stop[user])
    ]
    now, met = max((time for _, _, time in events), default=0), {}
    for user, item, time in events:
        if not (adoption and (user, item) in met):
            met[user, item] = time
    slow = np.zeros(ITEMS)
    for (_, item), time in met.items():
        faded = half_life and histories.timed
        slow[item] += 0.5 ** ((now - time) / (DAY * half_life)) if faded else 1.0
    fast = recent_popularity(histories, stop, ITEMS, half_life=half_life, adoption=adoption)
    np.testing.assert_allclose(fast, slow, rtol=1e-5)
