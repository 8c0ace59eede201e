"""The privacy border as types: what a platform may send, and what never leaves it.

A `Shared`, and the `GridSum` that a privacy mechanism makes of one, are the only types that
`isthmus_client.outbox` accepts; nothing accepts a `Private`.
Values are NumPy arrays, so that the server needs no PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from isthmus.errors import MessageRefusedError
from isthmus.files import digest

Tensor = npt.NDArray[np.float32]
Steps = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Named:
    """Named tensors of one type, float32 unless a subclass says otherwise, sorted, read-only."""

    dtype: ClassVar[type[np.generic]] = np.float32
    tensors: Mapping[str, Any]

    def __post_init__(self) -> None:
        names = sorted(self.tensors)
        frozen = {name: _frozen(name, self.tensors[name], self.dtype) for name in names}
        object.__setattr__(self, "tensors", MappingProxyType(frozen))

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (dict(self.tensors),))

    @property
    def size(self) -> int:
        """Number of scalars."""
        return sum(tensor.size for tensor in self.tensors.values())

    @property
    def bytes(self) -> int:
        """Bytes of the values alone, without names or framing."""
        return sum(tensor.nbytes for tensor in self.tensors.values())

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor by name."""
        return {name: tensor.shape for name, tensor in self.tensors.items()}

    def fingerprint(self) -> str:
        """SHA-256 over names, shapes and bytes: equal values, equal fingerprint."""
        parts: list[bytes] = []
        for name, tensor in self.tensors.items():
            parts += [name.encode(), repr(tensor.shape).encode(), tensor.tobytes()]
        return digest(*parts)

    def require_shapes(self, other: _Named) -> None:
        """Refuse other names or shapes; broadcasting never hides a mistake.

        Raises:
            MessageRefusedError: names the first tensor that differs.
        """
        mine, theirs = self.shapes(), other.shapes()
        for name in sorted(mine.keys() | theirs.keys()):
            if mine.get(name) != theirs.get(name):
                raise MessageRefusedError(
                    f"tensor {name!r} has shape {theirs.get(name)}, expected {mine.get(name)}"
                )


def _frozen(name: str, tensor: npt.NDArray[Any], dtype: type[np.generic]) -> npt.NDArray[Any]:
    if tensor.dtype != dtype:
        raise MessageRefusedError(f"tensor {name!r} is {tensor.dtype}, not {np.dtype(dtype)}")
    if tensor.flags.c_contiguous and not tensor.flags.writeable:
        return np.asarray(tensor)
    copy = np.array(tensor, order="C")  # unlike `ascontiguousarray`, keeps a scalar's shape ()
    copy.flags.writeable = False
    return copy


@dataclass(frozen=True)
class Shared(_Named):
    """Parameters of the shared encoder, or a difference of them: what the federation exchanges."""

    tensors: Mapping[str, Tensor]

    def minus(self, other: Shared) -> Shared:
        """The update that leads from `other` to this, tensor by tensor."""
        self.require_shapes(other)
        return Shared({n: t - other.tensors[n] for n, t in self.tensors.items()})

    def plus(self, other: Shared) -> Shared:
        """These parameters after the update `other`."""
        self.require_shapes(other)
        return Shared({n: t + other.tensors[n] for n, t in self.tensors.items()})

    def norm(self) -> float:
        """The Euclidean norm over all tensors, summed in float64."""
        return float(np.sqrt(sum(np.vdot(t, t) for t in self._wide())))

    def is_finite(self) -> bool:
        """Whether no value is NaN or infinite."""
        return all(bool(np.isfinite(tensor).all()) for tensor in self.tensors.values())

    def _wide(self) -> Iterable[npt.NDArray[np.float64]]:
        return (tensor.astype(np.float64) for tensor in self.tensors.values())


@dataclass(frozen=True)
class GridSum(_Named):
    """A sum that was clipped and noised on the grid of `isthmus.privacy.grid`, in whole steps.

    Alone it may hold a share of the noise only, so that nobody but a sum over platforms reads it.
    """

    dtype: ClassVar[type[np.generic]] = np.int64
    tensors: Mapping[str, Steps]


@dataclass(frozen=True)
class Private(_Named):
    """Parameters that never leave the platform: item residuals, biases, mixing weights, heads."""

    tensors: Mapping[str, Tensor]
