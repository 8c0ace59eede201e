"""How the values of `isthmus.messages` look on the wire, free of any transport.

A message from the server holds the records ARRAYS (the round's parameters) and PLAN; a platform's
reply holds ARRAYS (its delta), REPLY and METRICS. A tensor travels as NumPy's `.npy` bytes, version
1.0, little-endian in C order: float32, or int64 for all of a sum on the privacy grid; anything else
is refused before it is read.

Under secure aggregation the first message holds SECURE besides (the terms); every later one, and
every reply, holds SECURE and, in ARRAYS, one array of bytes that `isthmus.secagg` made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from io import BytesIO
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from isthmus.errors import MessageRefusedError
from isthmus.messages import MAX_UPDATE_BYTES, PROTOCOL_VERSION, Scalar
from isthmus.parameters import GridSum, Shared

ARRAYS: Final = "arrays"
PLAN: Final = "plan"
REPLY: Final = "reply"
METRICS: Final = "metrics"
SECURE: Final = "secure"

ERROR_BASE: Final = 1000
"""Added to an error's exit code in a platform's error reply; Flower's own codes are below."""

_MAX_HEADER: Final = 4096  # bytes of a .npy header; ours have 128
_STYPE: Final = "numpy.ndarray"  # the name that Flower gives to .npy bytes
_SEALED: Final = "isthmus.secagg"
_FRAME: Final = 4096  # bytes around a vector
_CODES: Final = {"float32": "<f4", "int64": "<i8"}


class WireTensor(NamedTuple):
    """One tensor as bytes, in the order of the fields of Flower's `Array`."""

    dtype: str
    shape: tuple[int, ...]
    stype: str
    data: bytes


class WireTensorLike(Protocol):
    """Whatever carries these four; Flower's `Array` does."""

    dtype: str
    shape: tuple[int, ...]
    stype: str
    data: bytes


@dataclass(frozen=True)
class ReplyHeader:
    """What a platform says about its reply, next to its delta and its metrics."""

    run_id: str
    platform: str
    round: int
    users: int  # training users behind the delta; 0 for an evaluation, which has none
    base: str  # fingerprint of the parameters that it received
    protocol: int = PROTOCOL_VERSION

    def to_record(self) -> dict[str, Scalar]:
        """As flat scalars."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, object]) -> ReplyHeader:
        """From flat scalars.

        Raises:
            MessageRefusedError: a field is missing, unknown or of the wrong type, or the platform
                speaks another protocol.
        """
        kinds = {f.name: str if f.type == "str" else int for f in fields(cls)}
        if odd := sorted(set(record) ^ set(kinds)):
            raise MessageRefusedError(f"reply has missing or unknown fields: {odd}")
        for name, kind in kinds.items():
            if type(record[name]) is not kind:
                got = type(record[name]).__name__
                raise MessageRefusedError(f"reply: {name} is {got}, expected {kind.__name__}")
        header = cls(**dict(record))  # type: ignore[arg-type]  # each type was just checked
        if header.protocol != PROTOCOL_VERSION:
            raise MessageRefusedError(
                f"reply speaks protocol {header.protocol}, expected {PROTOCOL_VERSION}",
                hint="install the same release of isthmus on both sides",
            )
        return header


@dataclass(frozen=True)
class Spoken:
    """What stands beside the bytes of a phase of secure aggregation."""

    run_id: str
    protocol: int = PROTOCOL_VERSION

    def to_record(self) -> dict[str, str | int]:
        """As flat values."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, object]) -> Spoken:
        """From flat values.

        Raises:
            MessageRefusedError: a field is missing, unknown or of the wrong type, or the other
                side speaks another protocol.
        """
        run, protocol = record.get("run_id"), record.get("protocol")
        if set(record) != {"run_id", "protocol"} or not isinstance(run, str):
            raise MessageRefusedError("secure aggregation: missing or unknown fields")
        if protocol != PROTOCOL_VERSION:
            raise MessageRefusedError(
                f"the other side speaks protocol {protocol}, this one {PROTOCOL_VERSION}",
                hint="install the same release of isthmus on both sides",
            )
        return cls(run)


@dataclass(frozen=True)
class Opened:
    """What opens a session of secure aggregation, next to the parameters and the plan.

    Attributes:
        terms: of the session, encoded.
        metrics: names that are summed.
        weights: how much an update counts.
        evaluate: whether metrics alone are summed.
    """

    terms: bytes
    metrics: tuple[str, ...]
    weights: str
    evaluate: bool

    def to_record(self) -> dict[str, bytes | str | bool | list[str]]:
        """As flat values."""
        return {**asdict(self), "metrics": list(self.metrics)}

    @classmethod
    def from_record(cls, record: Mapping[str, object]) -> Opened:
        """From flat values.

        Raises:
            MessageRefusedError: a field is missing, unknown or of the wrong type.
        """
        if odd := sorted(set(record) ^ {"terms", "metrics", "weights", "evaluate"}):
            raise MessageRefusedError(f"secure aggregation: missing or unknown fields: {odd}")
        terms, metrics = record["terms"], record["metrics"]
        weights, evaluate = record["weights"], record["evaluate"]
        named = isinstance(metrics, list) and all(isinstance(name, str) for name in metrics)
        if not (
            isinstance(metrics, list)
            and named
            and isinstance(terms, bytes)
            and isinstance(weights, str)
            and isinstance(evaluate, bool)
        ):
            raise MessageRefusedError("secure aggregation: a field is of another type than agreed")
        return cls(terms, tuple(metrics), weights, evaluate)


def sealed_wire(data: bytes) -> dict[str, WireTensor]:
    """Bytes of secure aggregation as the one array of a record."""
    return {_SEALED: WireTensor("uint8", (len(data),), _SEALED, data)}


def sealed_bytes(arrays: Mapping[str, WireTensorLike]) -> bytes:
    """The bytes again.

    Raises:
        MessageRefusedError: it is not one array of such bytes, or they are too many.
    """
    if set(arrays) != {_SEALED} or arrays[_SEALED].stype != _SEALED:
        raise MessageRefusedError(f"expected bytes of secure aggregation, got {sorted(arrays)}")
    data = arrays[_SEALED].data
    if len(data) > MAX_UPDATE_BYTES + _FRAME:
        raise MessageRefusedError(f"a message has {len(data)} bytes")
    return data


def pack(parameters: Shared | GridSum) -> dict[str, WireTensor]:
    """Each tensor as bytes, by name."""
    dtype = np.dtype(parameters.dtype).name
    return {name: _packed(tensor, dtype) for name, tensor in parameters.tensors.items()}


def _packed(tensor: npt.NDArray[Any], dtype: str) -> WireTensor:
    values = np.ascontiguousarray(tensor, dtype=_CODES[dtype])
    header = BytesIO()
    layout = {"descr": _CODES[dtype], "fortran_order": False, "shape": tensor.shape}
    npy.write_array_header_1_0(header, layout)
    return WireTensor(dtype, tensor.shape, _STYPE, header.getvalue() + values.tobytes())


def unpack(arrays: Mapping[str, WireTensorLike], *, max_bytes: int = MAX_UPDATE_BYTES) -> Shared:
    """The tensors, read-only and sharing the memory of their bytes.

    Raises:
        MessageRefusedError: more bytes than the maximum, or a tensor whose bytes are not exactly
            float32 values of its stated shape.
    """
    return Shared(_tensors(arrays, "float32", max_bytes))


def unpack_update(
    arrays: Mapping[str, WireTensorLike], *, max_bytes: int = MAX_UPDATE_BYTES
) -> Shared | GridSum:
    """As `unpack`, and a sum on the grid where all tensors say that they are int64.

    Raises:
        MessageRefusedError: as `unpack`.
    """
    if arrays and all(array.dtype == "int64" for array in arrays.values()):
        return GridSum(_tensors(arrays, "int64", max_bytes))
    return unpack(arrays, max_bytes=max_bytes)


def _tensors(
    arrays: Mapping[str, WireTensorLike], dtype: str, max_bytes: int
) -> dict[str, npt.NDArray[Any]]:
    total = sum(len(array.data) for array in arrays.values())
    if total > max_bytes:
        raise MessageRefusedError(f"arrays have {total} bytes, at most {max_bytes} pass")
    return {name: _unpacked(name, array, dtype) for name, array in arrays.items()}


def _unpacked(name: str, array: WireTensorLike, dtype: str) -> npt.NDArray[Any]:
    shape, offset = _read_header(name, array.data, dtype)
    stated = (array.dtype, tuple(array.shape), array.stype)
    if stated != (dtype, shape, _STYPE):
        raise MessageRefusedError(f"tensor {name!r} states {stated}, but holds {dtype} {shape}")
    if len(array.data) - offset != np.dtype(dtype).itemsize * math.prod(shape):
        raise MessageRefusedError(f"tensor {name!r}: {len(array.data)} bytes do not fill {shape}")
    return np.frombuffer(array.data, dtype=_CODES[dtype], offset=offset).reshape(shape)


def _read_header(name: str, data: bytes, expected: str) -> tuple[tuple[int, ...], int]:
    """The shape, and where the values start."""
    stream = BytesIO(data[:_MAX_HEADER])
    try:
        version = npy.read_magic(stream)
        shape, fortran, dtype = npy.read_array_header_1_0(stream, max_header_size=_MAX_HEADER)
    except ValueError as error:
        raise MessageRefusedError(f"tensor {name!r} is not in .npy form") from error
    if version != (1, 0) or fortran or dtype != np.dtype(_CODES[expected]):
        raise MessageRefusedError(f"tensor {name!r} is {dtype}, expected {expected} in C order")
    return shape, stream.tell()


def finite_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics as plain floats, sorted by name.

    Raises:
        MessageRefusedError: a value is no number, or NaN or infinite.
    """
    for name, value in metrics.items():
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise MessageRefusedError(f"metric {name!r} is {type(value).__name__}, not a number")
        if not math.isfinite(value):
            raise MessageRefusedError(f"metric {name!r} is {value}, not a finite number")
    return {name: float(metrics[name]) for name in sorted(metrics)}
