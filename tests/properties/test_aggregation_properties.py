import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from isthmus.messages import Update
from isthmus.parameters import Shared
from isthmus_server.aggregate import weighted_mean
from isthmus_server.optimisers import FedAdam, FedAvg, FedAvgM

values = st.floats(-100, 100, width=32)
SHAPES = {"a": (2, 3), "b": (4,), "c": ()}


def shared(draw) -> Shared:
    return Shared(
        {n: draw(hnp.arrays(np.float32, shape, elements=values)) for n, shape in SHAPES.items()}
    )


@st.composite
def cohorts(draw):
    """Updates of one to six platforms with sizes from one user to a million."""
    count = draw(st.integers(1, 6))
    return [
        Update(f"p{k}", 1, shared(draw), draw(st.integers(1, 10**6)), "base") for k in range(count)
    ]


parameters = st.composite(shared)()


@settings(deadline=None)
@given(cohorts())
def test_it_is_the_plain_weighted_mean(updates):
    mean = weighted_mean(updates)
    weights = np.array([update.users for update in updates], np.float64)
    for name in SHAPES:
        stack = np.stack([update.delta.tensors[name] for update in updates]).astype(np.float64)
        expected = np.average(stack, axis=0, weights=weights)
        np.testing.assert_allclose(mean.tensors[name], expected, rtol=1e-6, atol=1e-5)


@settings(deadline=None)
@given(cohorts(), st.randoms())
def test_the_order_of_arrival_changes_no_bit(updates, random):
    shuffled = list(updates)
    random.shuffle(shuffled)
    assert weighted_mean(shuffled).fingerprint() == weighted_mean(updates).fingerprint()


@settings(deadline=None)
@given(cohorts())
def test_the_mean_lies_between_the_updates(updates):
    mean = weighted_mean(updates)
    for name in SHAPES:
        stack = np.stack([update.delta.tensors[name] for update in updates])
        assert (mean.tensors[name] <= stack.max(axis=0)).all()
        assert (mean.tensors[name] >= stack.min(axis=0)).all()


@settings(deadline=None)
@given(cohorts(), st.integers(2, 50))
def test_only_the_shares_of_users_count(updates, factor):
    scaled = [Update(u.platform, u.round, u.delta, u.users * factor, u.base) for u in updates]
    for name in SHAPES:
        np.testing.assert_allclose(
            weighted_mean(scaled).tensors[name], weighted_mean(updates).tensors[name], rtol=1e-6
        )


@settings(deadline=None)
@given(parameters, cohorts())
def test_fedavg_with_rate_one_is_the_weighted_mean_of_the_local_parameters(start, updates):
    moved, _ = FedAvg().apply(start, weighted_mean(updates), {})
    total = sum(update.users for update in updates)
    for name in SHAPES:
        local = sum(
            (start.tensors[name].astype(np.float64) + u.delta.tensors[name]) * (u.users / total)
            for u in updates
        )
        np.testing.assert_allclose(moved.tensors[name], local, rtol=1e-5, atol=1e-4)


@settings(deadline=None)
@given(parameters, st.sampled_from([FedAvg(), FedAvgM(), FedAdam()]))
def test_platforms_that_agree_on_nothing_new_move_nothing(start, rule):
    zero = Shared({name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()})
    moved, _ = rule.apply(start, zero, rule.init(start))
    for name in SHAPES:
        np.testing.assert_array_equal(moved.tensors[name], start.tensors[name])


@settings(deadline=None)
@given(parameters, parameters)
def test_the_first_step_of_fedadam_follows_the_sign_of_the_mean(start, mean):
    rule = FedAdam(learning_rate=0.1)
    _, slots = rule.apply(start, mean, rule.init(start))
    for name in SHAPES:
        np.testing.assert_array_equal(
            np.sign(slots["m"].tensors[name]),
            np.sign(np.float32(0.1) * mean.tensors[name]),
        )
