"""The no-harm gate: only what is surely better on the gate's users is ever served."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.statistics import equivalence, paired_bootstrap
from isthmus_client.gate import MARGIN, decide

OWN = ("prior", "local", "item-knn")
MANY = 10  # copies of three users: enough to show a gain by


def judged(federated, seed=0, **own):
    values = {name: np.asarray(own.get(name, [0.0] * len(federated))) for name in OWN}
    return decide("federated", {"federated": np.asarray(federated), **values}, OWN, seed=seed)


def test_a_surely_better_candidate_is_served():
    told = judged(
        [0.5, 0.7, 0.4] * MANY, local=[0.4, 0.6, 0.4] * MANY, prior=[0.1, 0.9, 0.0] * MANY
    )
    assert (told.decision, told.served, told.incumbent) == ("federated", "federated", "local")
    assert told.users == 3 * MANY
    assert told.difference.mean == pytest.approx(0.2 / 3)
    assert told.standard_error == pytest.approx(0.0471405 / np.sqrt(29), rel=1e-4)
    assert "exceeds its standard error" in told.reason
    assert told.validation == pytest.approx(
        {"federated": 1.6 / 3, "local": 1.4 / 3, "prior": 1 / 3, "item-knn": 0}
    )


def test_a_better_mean_within_its_standard_error_is_not_served():
    gains = np.tile([0.4, -0.3, -0.05], MANY)
    told = judged(0.5 + gains, local=np.full(3 * MANY, 0.5))
    assert told.difference.mean > 0
    assert told.standard_error > told.difference.mean
    assert (told.decision, told.served) == ("local", "local")
    assert "within its standard error" in told.reason


def test_a_worse_candidate_is_not():
    told = judged([0.5, 0.7] * MANY * 2, local=[0.5, 0.6] * MANY * 2, prior=[0.9, 0.9] * MANY * 2)
    assert (told.decision, told.served, told.incumbent) == ("local", "prior", "prior")
    assert told.difference.mean == pytest.approx(-0.3)
    assert told.candidate == "federated"
    assert "not better" in told.reason


def test_equality_keeps_the_platforms_own():
    told = judged([0.25, 0.75] * MANY * 2, local=[0.75, 0.25] * MANY * 2)
    assert (told.decision, told.served) == ("local", "local")
    assert told.difference.mean == 0


def test_a_handful_of_users_shows_nothing():
    few = judged([0.9] * 24, local=[0.1] * 24)
    assert (few.decision, few.served) == ("local", "local")
    assert "24 users are too few" in few.reason
    assert judged([0.9] * 25, local=[0.1] * 25).decision == "federated"


def test_one_user_has_no_standard_error():
    told = judged([0.9], local=[0.1])
    assert (told.decision, told.standard_error) == ("local", None)


def test_among_equals_the_earlier_own_model_stays():
    told = judged([0.1, 0.1], local=[0.4, 0.4], **{"item-knn": [0.4, 0.4]})
    assert told.served == "local"


def test_nobody_to_decide_by():
    told = judged([])
    assert (told.decision, told.served, told.incumbent) == ("local", "prior", "prior")
    assert told.difference is told.equivalence is told.standard_error is None
    assert told.users == 0
    assert dict(told.validation) == dict.fromkeys(("federated", *OWN))


def test_models_that_are_not_the_platforms_own_do_not_compete():
    values = {
        "federated": np.full(30, 0.5),
        "local": np.full(30, 0.4),
        "pooled": np.full(30, 0.9),
    }
    told = decide("federated", values, ("local",), seed=0)
    assert told.decision == "federated"
    assert told.validation["pooled"] == pytest.approx(0.9)


def test_interval_and_tests_are_those_of_the_paired_bootstrap():
    random = np.random.default_rng(0)
    candidate, local = random.random(50), random.random(50)
    told = judged(candidate, seed=9, local=local)
    assert told.difference == paired_bootstrap(candidate, local, seed=9)
    assert told.equivalence == equivalence(candidate, local, margin=MARGIN, seed=9)


def test_equal_models_are_served_about_as_seldom_as_one_standard_error_says():
    random = np.random.default_rng(3)
    served = [
        judged(*(values := random.random((2, 60)))[:1], local=values[1]).decision == "federated"
        for _ in range(200)
    ]
    assert 0.08 < np.mean(served) < 0.25  # a sixth of normal draws lies beyond one


qualities = st.lists(
    st.tuples(*[st.integers(0, 16).map(lambda n: n / 16)] * 4), min_size=1, max_size=8
)


@given(qualities, st.sampled_from([1, 8]))
def test_what_is_served_is_never_worse_than_any_of_the_platforms_own(rows, copies):
    federated, *own = np.tile(np.array(rows), (copies, 1)).T
    told = judged(federated, **dict(zip(OWN, own, strict=True)))
    means = {"federated": federated.mean(), **dict(zip(OWN, (o.mean() for o in own), strict=True))}
    assert means[told.served] >= max(means[name] for name in OWN)
    assert (told.decision == "federated") is (told.served == "federated")
    gain = federated - dict(zip(OWN, own, strict=True))[told.incumbent]
    sure = gain.size >= 25 and gain.mean() > gain.std(ddof=1) / np.sqrt(gain.size)
    assert (told.decision == "federated") is bool(sure)
