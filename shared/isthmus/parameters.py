"""The privacy border as two types: what a platform may send, and what never leaves it.

`Shared` is the only type that `isthmus_client.outbox` accepts; nothing accepts a `Private`.
Values are NumPy arrays, so that the server needs no PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.errors import MessageRefusedError
from isthmus.files import digest

Tensor = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Named:
    """Named float32 tensors, sorted by name and read-only."""

    tensors: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        frozen = {name: _frozen(name, self.tensors[name]) for name in sorted(self.tensors)}
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


def _frozen(name: str, tensor: Tensor) -> Tensor:
    if tensor.dtype != np.float32:
        raise MessageRefusedError(f"tensor {name!r} is {tensor.dtype}, not float32")
    if tensor.flags.c_contiguous and not tensor.flags.writeable:
        return np.asarray(tensor)
    copy = np.array(tensor, order="C")  # unlike `ascontiguousarray`, keeps a scalar's shape ()
    copy.flags.writeable = False
    return copy


@dataclass(frozen=True)
class Shared(_Named):
    """Parameters of the shared encoder, or a difference of them: what the federation exchanges."""

    def minus(self, other: Shared) -> Shared:
        """The update that leads from `other` to this, tensor by tensor."""
        self.require_like(other)
        return Shared({n: t - other.tensors[n] for n, t in self.tensors.items()})

    def plus(self, other: Shared) -> Shared:
        """These parameters after the update `other`."""
        self.require_like(other)
        return Shared({n: t + other.tensors[n] for n, t in self.tensors.items()})

    def norm(self) -> float:
        """The Euclidean norm over all tensors, summed in float64."""
        return float(np.sqrt(sum(np.vdot(t, t) for t in self._wide())))

    def is_finite(self) -> bool:
        """Whether no value is NaN or infinite."""
        return all(bool(np.isfinite(tensor).all()) for tensor in self.tensors.values())

    def require_like(self, other: Shared) -> None:
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

    def _wide(self) -> Iterable[npt.NDArray[np.float64]]:
        return (tensor.astype(np.float64) for tensor in self.tensors.values())


@dataclass(frozen=True)
class Private(_Named):
    """Parameters that never leave the platform: item residuals, biases, mixing weights, heads."""
