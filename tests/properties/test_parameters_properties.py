"""Properties of named tensors."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from isthmus.parameters import Shared

VALUES = st.floats(-100, 100, width=32)
SHAPES = st.dictionaries(
    st.text(min_size=1, max_size=8), array_shapes(min_dims=0, max_dims=3, max_side=4), max_size=4
)


def filled(shapes):
    tensors = {name: arrays(np.float32, shape, elements=VALUES) for name, shape in shapes.items()}
    return st.fixed_dictionaries(tensors).map(Shared)


SHARED = SHAPES.flatmap(filled)
PAIRS = SHAPES.flatmap(lambda shapes: st.tuples(filled(shapes), filled(shapes)))


@given(SHARED)
def test_shapes_survive(value):
    copy = Shared(dict(value.tensors))
    assert copy.shapes() == value.shapes()
    assert copy.fingerprint() == value.fingerprint()


@given(PAIRS)
def test_plus_undoes_minus_within_rounding(pair):
    after, before = pair
    again = before.plus(after.minus(before))
    for name, tensor in again.tensors.items():
        np.testing.assert_allclose(tensor, after.tensors[name], rtol=0, atol=1e-4)


@given(PAIRS)
def test_equal_fingerprints_are_equal_bytes(pair):
    one, other = pair
    same = all(t.tobytes() == other.tensors[n].tobytes() for n, t in one.tensors.items())
    assert (one.fingerprint() == other.fingerprint()) is same


@given(SHARED)
def test_the_norm_is_that_of_all_values_in_a_row(value):
    row = [t.astype(np.float64).ravel() for t in value.tensors.values()]
    expected = np.linalg.norm(np.concatenate([*row, np.zeros(1)]))
    np.testing.assert_allclose(value.norm(), expected, rtol=1e-12)
