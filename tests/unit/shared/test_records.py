from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest

from isthmus.errors import MessageRefusedError
from isthmus.messages import PROTOCOL_VERSION
from isthmus.parameters import Shared
from isthmus.records import ReplyHeader, WireTensor, finite_metrics, pack, unpack

HEADER = ReplyHeader("run-1", "grocer", 3, 120, "ab12")
TENSOR = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (1, 4, 1, 2)])
def test_a_tensor_travels_as_the_very_bytes_of_numpy_save(shape):
    values = np.ones(shape, np.float32)
    file = BytesIO()
    np.save(file, values)
    wire = pack(Shared({"w": values}))
    assert wire["w"].data == file.getvalue()
    assert unpack(wire).tensors["w"].shape == shape


def test_unpacking_gives_the_same_values_without_a_copy():
    wire = pack(Shared({"w": TENSOR}))
    tensor = unpack(wire).tensors["w"]
    assert np.array_equal(tensor, TENSOR)
    assert not tensor.flags.owndata
    assert not tensor.flags.writeable


def packed(values) -> bytes:
    file = BytesIO()
    np.save(file, values)
    return file.getvalue()


GOOD = pack(Shared({"w": TENSOR}))["w"]


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        (GOOD._replace(shape=(3, 2)), "states"),
        (GOOD._replace(dtype="float16"), "states"),
        (GOOD._replace(stype="pickle"), "states"),
        (GOOD._replace(data=GOOD.data[:-4]), "do not fill"),
        (GOOD._replace(data=GOOD.data + b"\0\0\0\0"), "do not fill"),
        (GOOD._replace(data=b"not an array"), "not in .npy form"),
        (GOOD._replace(data=packed(TENSOR.astype(np.float64))), "float32"),
        (GOOD._replace(data=packed(np.asfortranarray(TENSOR))), "C order"),
        (GOOD._replace(data=packed(TENSOR.astype(">f4"))), "float32"),
    ],
)
def test_other_bytes_are_refused(wire, words):
    with pytest.raises(MessageRefusedError, match=words):
        unpack({"w": wire})


def test_an_object_array_is_refused_and_not_unpickled():
    file = BytesIO()
    np.save(file, np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(MessageRefusedError):
        unpack({"w": WireTensor("float32", (1,), "numpy.ndarray", file.getvalue())})


def test_more_bytes_than_allowed_are_refused_before_they_are_read():
    with pytest.raises(MessageRefusedError, match="at most 100"):
        unpack({"w": GOOD._replace(data=b"x" * 101)}, max_bytes=100)


def test_a_header_survives_the_wire():
    assert ReplyHeader.from_record(HEADER.to_record()) == HEADER


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"users": 1.5}, "users is float"),
        ({"users": True}, "users is bool"),
        ({"platform": 7}, "platform is int"),
        ({"extra": 1}, "unknown fields"),
    ],
)
def test_a_header_with_other_fields_is_refused(change, words):
    with pytest.raises(MessageRefusedError, match=words):
        ReplyHeader.from_record({**HEADER.to_record(), **change})


def test_another_protocol_is_refused():
    other = replace(HEADER, protocol=PROTOCOL_VERSION + 1)
    with pytest.raises(MessageRefusedError, match="protocol"):
        ReplyHeader.from_record(other.to_record())


def test_metrics_become_sorted_floats():
    metrics = finite_metrics({"b": 2, "a": np.float32(0.5)})
    assert metrics == {"a": 0.5, "b": 2.0}
    assert list(metrics) == ["a", "b"]
    assert {type(value) for value in metrics.values()} == {float}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.5", True, [1.0], None])
def test_a_metric_that_is_no_finite_number_is_refused(value):
    with pytest.raises(MessageRefusedError, match="loss"):
        finite_metrics({"loss": value})
