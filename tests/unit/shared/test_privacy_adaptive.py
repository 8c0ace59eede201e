"""The arithmetic of an adaptive clipping norm, and what a plan may ask of it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from private_platforms import PRIVATE_ROUND

from isthmus.errors import MessageRefusedError
from isthmus.messages import RoundPlan
from isthmus.parameters import Shared
from isthmus.privacy import adaptive

NORMS = st.floats(1e-6, 1e6)
SHARES = st.floats(-50, 50)
ADAPTIVE = replace(PRIVATE_ROUND, clipping_quantile=0.4)
PARAMETERS = Shared({"w": np.zeros((2, 3), np.float32)})
SCALAR = np.zeros((), np.float32)


@given(norm=NORMS, within=st.booleans())
def test_gradient_and_coordinate_together_are_as_long_as_the_norm(norm, within):
    coordinate = adaptive.encoded(float(within), 1, norm)
    assert math.hypot(adaptive.gradient_norm(norm), coordinate) == pytest.approx(norm)
    assert adaptive.gradient_norm(norm) > 0.998 * norm


@given(norm=NORMS, users=st.integers(1, 5000), share=st.floats(0, 1))
def test_what_is_encoded_is_decoded(norm, users, share):
    mean = adaptive.encoded(share * users, users, norm) / users
    assert adaptive.decoded(mean, norm) == pytest.approx(share, abs=1e-9)


def test_half_of_a_sample_of_any_size_is_half():
    mean = adaptive.encoded(36, 72, 0.3) / 50
    assert adaptive.decoded(mean, 0.3) == 0.5


@given(norm=NORMS, share=SHARES, quantile=st.floats(0, 1))
def test_the_norm_moves_towards_the_quantile_and_never_far(norm, share, quantile):
    after = adaptive.moved(norm, share, quantile)
    assert abs(math.log(after / norm)) <= adaptive.RATE + 1e-12
    assert (after - norm) * (quantile - share) >= 0


def test_the_paper_s_step():
    assert adaptive.moved(2.0, 0.75, 0.5) == pytest.approx(2.0 * math.exp(-0.2 * 0.25))


def test_the_norm_stays_where_float32_can_sum():
    assert adaptive.moved(adaptive.LOWEST, 1.0, 0.1) == adaptive.LOWEST
    assert adaptive.moved(adaptive.HIGHEST, 0.0, 0.1) == adaptive.HIGHEST


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"clipping_quantile": -0.1}, "clipping_quantile"),
        ({"clipping_quantile": 1.0}, "clipping_quantile"),
        ({"clipping_quantile": math.nan}, "clipping_quantile"),
        ({"clipping_norm": adaptive.LOWEST / 2}, "clipping_norm"),
        ({"clipping_norm": adaptive.HIGHEST * 2}, "clipping_norm"),
    ],
)
def test_a_plan_out_of_range_is_refused(changes, field):
    with pytest.raises(MessageRefusedError, match=field):
        replace(PRIVATE_ROUND, **changes)


def test_without_privacy_there_is_no_norm_to_adapt():
    with pytest.raises(MessageRefusedError, match=r"clipping_quantile is 0.5, must be 0 without"):
        RoundPlan("run", 1, 3, clipping_quantile=0.5)


def test_only_an_adaptive_plan_shortens_the_gradient():
    assert PRIVATE_ROUND.gradient_norm == PRIVATE_ROUND.clipping_norm
    assert ADAPTIVE.gradient_norm == 0.5 * math.sqrt(0.9975)


def test_an_update_has_the_scalar_exactly_when_it_is_asked_for():
    bare, full = PARAMETERS, Shared({**PARAMETERS.tensors, adaptive.WITHIN: SCALAR})
    PRIVATE_ROUND.require_update(PARAMETERS, bare)
    ADAPTIVE.require_update(PARAMETERS, full)
    with pytest.raises(MessageRefusedError, match=r"lacks '.within', which the plan's"):
        ADAPTIVE.require_update(PARAMETERS, bare)
    with pytest.raises(MessageRefusedError, match=r"has '.within', but the plan's .* is fixed"):
        PRIVATE_ROUND.require_update(PARAMETERS, full)


@pytest.mark.parametrize(
    "tensors",
    [
        {"w": PARAMETERS.tensors["w"], adaptive.WITHIN: np.zeros(1, np.float32)},
        {"w": PARAMETERS.tensors["w"][:1], adaptive.WITHIN: SCALAR},
        {"w": PARAMETERS.tensors["w"], "v": SCALAR, adaptive.WITHIN: SCALAR},
        {adaptive.WITHIN: SCALAR},
    ],
)
def test_the_other_tensors_are_those_of_the_parameters(tensors):
    with pytest.raises(MessageRefusedError, match="has shape"):
        ADAPTIVE.require_update(PARAMETERS, Shared(tensors))
