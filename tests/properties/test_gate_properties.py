"""The gate's promise, with one window and with two, against a slow and plain rereading of it."""

from math import sqrt

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from isthmus_client.gate import decide
from isthmus_client.mixing import FEWEST
from isthmus_client.track_record import past_of

OWN = ("one", "two")
MODELS = ("candidate", *OWN)


@st.composite
def windows(draw):
    """Qualities of three models on some users, often with ties and zeros."""
    users = draw(st.integers(2, 60))
    means = draw(st.tuples(*[st.sampled_from([0.0, 0.2, 0.5, 0.52, 0.6])] * 3))
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    noise = draw(st.sampled_from([0.0, 0.05, 0.3]))
    return {
        name: np.clip(mean + noise * random.normal(size=users), 0, 1)
        for name, mean in zip(MODELS, means, strict=True)
    }


def share_of_best(window, model):
    best = max(sum(values) / len(values) for values in window.values())
    return (sum(window[model]) / len(window[model])) / best if best else 0.0


def gain_and_error(window, incumbent):
    gains = [float(c - o) for c, o in zip(window["candidate"], window[incumbent], strict=True)]
    mean = sum(gains) / len(gains)
    spread = sqrt(sum((g - mean) ** 2 for g in gains) / (len(gains) - 1))
    best = max(sum(values) / len(values) for values in window.values()) or 1.0
    return mean / best, spread / sqrt(len(gains)) / best


def near(a, b):
    return abs(a - b) < 1e-9


@given(windows(), windows())
def test_only_what_exceeds_the_errors_of_both_windows_is_served(now, before):
    told = decide("candidate", now, OWN, seed=0, past=past_of("candidate", before, OWN))
    used = [now, before] if min(len(now["one"]), len(before["one"])) >= FEWEST else [now]
    standing = {name: sum(share_of_best(w, name) for w in used) for name in OWN}
    assert near(standing[told.incumbent], max(standing.values()))
    figures = [gain_and_error(window, told.incumbent) for window in used]
    gain = sum(each for each, _ in figures)
    error = sqrt(len(used) * sum(each**2 for _, each in figures))
    if near(gain, error):
        return  # rounding decides
    enough = len(now["one"]) >= FEWEST
    assert (told.decision == "federated") == (enough and gain > error)
    assert told.served == ("candidate" if told.decision == "federated" else told.incumbent)


@given(windows(), windows(), st.floats(0.1, 1.0))
def test_the_scale_of_the_earlier_window_decides_nothing(now, before, factor):
    """A window in which everything is harder to rank counts as much as any other."""
    shrunk = {name: factor * values for name, values in before.items()}
    one, other = (
        decide("candidate", now, OWN, seed=0, past=past_of("candidate", each, OWN))
        for each in (before, shrunk)
    )
    if one.both is not None and near(one.both.gain, one.both.standard_error):
        return
    if one.both is not None and near(
        *(sum(share_of_best(w, name) for w in (now, before)) for name in OWN)
    ):
        return
    assert (one.served, one.incumbent) == (other.served, other.incumbent)


@given(windows())
def test_a_record_that_says_the_same_again_changes_nothing(now):
    alone = decide("candidate", now, OWN, seed=0)
    again = decide("candidate", now, OWN, seed=0, past=past_of("candidate", now, OWN))
    if alone.standard_error is None or near(alone.difference.mean, alone.standard_error):
        return  # rounding decides
    assert (again.decision, again.served) == (alone.decision, alone.served)
