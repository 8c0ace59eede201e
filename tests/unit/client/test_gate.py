"""The no-harm gate: only what is better on the gate's users is ever served."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.statistics import paired_bootstrap
from isthmus_client.gate import decide

OWN = ("prior", "local", "item-knn")


def judged(federated, seed=0, **own):
    values = {name: np.asarray(own.get(name, [0.0] * len(federated))) for name in OWN}
    return decide("federated", {"federated": np.asarray(federated), **values}, OWN, seed=seed)


def test_a_better_candidate_is_served():
    told = judged([0.5, 0.7, 0.4], local=[0.4, 0.6, 0.4], prior=[0.1, 0.9, 0.0])
    assert (told.decision, told.served, told.incumbent) == ("federated", "federated", "local")
    assert told.users == 3
    assert told.difference.mean == pytest.approx(0.2 / 3)
    assert told.validation == pytest.approx(
        {"federated": 1.6 / 3, "local": 1.4 / 3, "prior": 1 / 3, "item-knn": 0}
    )


def test_a_worse_candidate_is_not():
    told = judged([0.5, 0.7], local=[0.5, 0.6], prior=[0.9, 0.9])
    assert (told.decision, told.served, told.incumbent) == ("local", "prior", "prior")
    assert told.difference.mean == pytest.approx(-0.3)
    assert told.candidate == "federated"


def test_equality_keeps_the_platforms_own():
    told = judged([0.25, 0.75], local=[0.75, 0.25])
    assert (told.decision, told.served) == ("local", "local")
    assert told.difference.mean == 0


def test_among_equals_the_earlier_own_model_stays():
    told = judged([0.1, 0.1], local=[0.4, 0.4], **{"item-knn": [0.4, 0.4]})
    assert told.served == "local"


def test_nobody_to_decide_by():
    told = judged([])
    assert (told.decision, told.served, told.incumbent) == ("local", "prior", "prior")
    assert told.difference is None
    assert told.users == 0
    assert dict(told.validation) == dict.fromkeys(("federated", *OWN))


def test_models_that_are_not_the_platforms_own_do_not_compete():
    values = {"federated": np.array([0.5]), "local": np.array([0.4]), "pooled": np.array([0.9])}
    told = decide("federated", values, ("local",), seed=0)
    assert told.decision == "federated"
    assert told.validation["pooled"] == 0.9


def test_the_interval_is_the_paired_bootstraps():
    random = np.random.default_rng(0)
    candidate, local = random.random(50), random.random(50)
    told = judged(candidate, seed=9, local=local)
    assert told.difference == paired_bootstrap(candidate, local, seed=9)


qualities = st.lists(
    st.tuples(*[st.integers(0, 16).map(lambda n: n / 16)] * 4), min_size=1, max_size=8
)


@given(qualities)
def test_what_is_served_is_never_worse_than_any_of_the_platforms_own(rows):
    federated, *own = np.array(rows).T
    told = judged(federated, **dict(zip(OWN, own, strict=True)))
    means = {"federated": federated.mean(), **dict(zip(OWN, (o.mean() for o in own), strict=True))}
    assert means[told.served] >= max(means[name] for name in OWN)
    assert (told.decision == "federated") is (told.served == "federated")
    assert (told.decision == "federated") is bool(means["federated"] > means[told.incumbent])
