"""The privacy border as types."""

import pickle

import numpy as np
import pytest

from isthmus.errors import MessageRefusedError
from isthmus.parameters import Private, Shared


def shared(**tensors):
    return Shared({name: np.array(value, dtype=np.float32) for name, value in tensors.items()})


def test_tensors_are_sorted_by_name():
    assert list(shared(b=[1.0], a=[2.0]).tensors) == ["a", "b"]


@pytest.mark.parametrize("source", [np.ones((2, 3)), np.ones((3, 2)).T, np.ones(())])
def test_later_changes_of_the_source_do_not_reach_in(source):
    source = source.astype(np.float32, order="K")
    held = Shared({"w": source})
    source[...] = 5.0
    assert np.all(held.tensors["w"] == 1.0)


def test_a_scalar_keeps_its_shape():
    value = shared(scale=2.5)
    assert value.shapes() == {"scale": ()}
    assert value.minus(shared(scale=1.0)).shapes() == {"scale": ()}


def test_tensors_and_their_mapping_are_read_only():
    value = shared(w=[1.0, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        value.tensors["w"][0] = 3.0
    with pytest.raises(TypeError):
        value.tensors["v"] = value.tensors["w"]


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32, np.complex64])
def test_only_float32_is_held(dtype):
    with pytest.raises(MessageRefusedError, match=f"'w' is {np.dtype(dtype)}, not float32"):
        Shared({"w": np.ones(3, dtype=dtype)})


def test_shared_and_private_are_different_types():
    tensors = {"w": np.ones(3, dtype=np.float32)}
    assert not isinstance(Private(tensors), Shared)
    assert not isinstance(Shared(tensors), Private)
    assert Shared(tensors) != Private(tensors)


def test_private_parameters_have_no_arithmetic():
    assert not {"minus", "plus", "norm"} & set(dir(Private))


def test_sizes():
    value = shared(a=np.zeros((3, 5)), b=0.0)
    assert value.size == 16
    assert value.bytes == 64


def test_arithmetic():
    difference = shared(a=[5.0, 7.0]).minus(shared(a=[2.0, 3.0]))
    assert difference.tensors["a"].tolist() == [3.0, 4.0]
    assert difference.norm() == 5.0
    assert shared(a=[2.0, 3.0]).plus(difference).tensors["a"].tolist() == [5.0, 7.0]


def test_the_norm_does_not_overflow_in_float32():
    assert shared(a=[3e30, 4e30]).norm() == pytest.approx(5e30)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_finiteness(bad):
    assert shared(a=[1.0], b=[2.0, 3.0]).is_finite()
    assert not shared(a=[1.0], b=[2.0, bad]).is_finite()


@pytest.mark.parametrize(
    "other",
    [
        shared(a=[1.0, 2.0], b=[[1.0]], c=[0.0]),
        shared(a=[1.0, 2.0]),
        shared(a=[1.0], b=[[1.0]]),  # would broadcast
        shared(a=[[1.0, 2.0]], b=[[1.0]]),
    ],
)
def test_other_names_or_shapes_are_refused(other):
    mine = shared(a=[3.0, 4.0], b=[[1.0]])
    for operation in (mine.plus, mine.minus, mine.require_shapes):
        with pytest.raises(MessageRefusedError, match="has shape"):
            operation(other)


@pytest.mark.parametrize(
    "other",
    [
        shared(a=[1.0, 2.0], c=[3.0]),  # a name
        shared(a=[1.0, 2.0], b=[3.5]),  # a value
        shared(a=[[1.0, 2.0]], b=[3.0]),  # a shape
        shared(a=[1.0], b=[2.0, 3.0]),  # where one ends
    ],
)
def test_a_fingerprint_changes_with_everything(other):
    mine = shared(a=[1.0, 2.0], b=[3.0])
    assert mine.fingerprint() == shared(b=[3.0], a=[1.0, 2.0]).fingerprint()
    assert mine.fingerprint() != other.fingerprint()


def test_a_copy_through_another_process_is_equal_and_still_read_only():
    copy = pickle.loads(pickle.dumps(shared(a=[1.0, 2.0])))  # noqa: S301 - what a pool does
    assert copy.fingerprint() == shared(a=[1.0, 2.0]).fingerprint()
    assert not copy.tensors["a"].flags.writeable
