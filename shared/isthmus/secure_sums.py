"""Updates as vectors that are summed unseen, and the sum as one update again.

A platform's weighted update, its weight, its users and its metrics are whole numbers in one vector,
so that the server learns of all of them the sum alone. What is added is exact: the only error is
the rounding of each platform's numbers to multiples of 1 / UNIT, or 1 / FINE.

    tensors by name | weight | users | for each metric its value and 1, or 0 and 0
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from isthmus.errors import MessageRefusedError, OutboxError
from isthmus.files import digest
from isthmus.messages import MAX_UPDATE_BYTES, RoundPlan, Update
from isthmus.parameters import GridSum, Shared
from isthmus.privacy import adaptive

Words = npt.NDArray[np.int64]
Shapes = Mapping[str, tuple[int, ...]]

UNIT: Final = 2.0**30
"""Steps in 1 of a weighted update: the mean over n platforms moves by n / 2**31 / weights at most,
below what float32 holds of an update. A platform of w users may send w times |update| < 2**32 / n:
ten million users in a cohort of 100 values up to 4, which a diverged training alone exceeds."""
FINE: Final = 2.0**24  # steps in 1 of weights and metrics
LARGEST: Final = 2.0**62  # of a sum, below where 2^64 wraps round
_WORD: Final = 8  # bytes
_SESSION: Final = b"isthmus secure session 1"

_WEIGHTS: Final[Mapping[str, Callable[[int], float]]] = {
    "users": float,
    "equal": lambda users: float(users > 0),
    "sqrt_users": math.sqrt,
}


@dataclass(frozen=True)
class Summed:
    """What a sum over platforms says.

    Attributes:
        delta: the weighted mean of the updates; where noise is pooled, their sum on the grid.
        users: of all together.
        weight: of all together; 0 = nobody had users, and the delta is zero.
        metrics: the mean over the platforms that told one, by name.
    """

    delta: Shared | GridSum
    users: int
    weight: float
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """Where everything is in a round's vectors; both sides derive it from the round.

    Attributes:
        shapes: of the tensors, by name.
        metrics: that are summed, sorted.
        kind: of the tensors: numbers, or sums on the privacy grid, which have no weight.
        weights: how much an update counts, as `isthmus_server.aggregate` says.

    Raises:
        MessageRefusedError: unknown weights, metrics that are not sorted, or too long a vector.
    """

    shapes: Shapes
    metrics: tuple[str, ...] = ()
    kind: Literal["float", "grid"] = "float"
    weights: str = "users"

    def __post_init__(self) -> None:
        """Refuse what the two sides could read in two ways."""
        if self.weights not in _WEIGHTS:
            raise MessageRefusedError(
                f"weights {self.weights!r} are unknown to secure aggregation",
                hint=f"use one of: {', '.join(_WEIGHTS)}",
            )
        if list(self.metrics) != sorted(set(self.metrics)):
            raise MessageRefusedError(f"metrics {list(self.metrics)} are not sorted, each once")
        if self.length * _WORD > MAX_UPDATE_BYTES:
            raise MessageRefusedError(
                f"a vector of {self.length} numbers has more than {MAX_UPDATE_BYTES} bytes"
            )

    @property
    def size(self) -> int:
        """Numbers in the tensors."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def length(self) -> int:
        """Numbers in a vector."""
        return self.size + 2 + 2 * len(self.metrics)

    def encode(self, update: Update, platforms: int) -> Words:
        """A platform's part of the sum. (length,).

        Args:
            update: as the outbox let it pass; metrics that the layout has not are left out.
            platforms: in the cohort.

        Raises:
            OutboxError: a number is so large that a sum could wrap round; nothing may leave.
            MessageRefusedError: the update has other tensors than the layout.
        """
        if update.delta.shapes() != dict(self.shapes):
            raise MessageRefusedError("the update has not the tensors of this round's vector")
        weight = np.rint(_WEIGHTS[self.weights](update.users) * FINE)
        out = np.empty(self.length, np.int64)
        place = 0
        for tensor in update.delta.tensors.values():
            part = out[place : place + tensor.size]
            if self.kind == "grid":
                part[:] = _held(tensor.reshape(-1), platforms)
            else:
                np.copyto(part, _stepped(tensor, weight / FINE, platforms), casting="unsafe")
            place += tensor.size
        told = [update.metrics.get(name) for name in self.metrics]
        pairs = [(0.0, 0.0) if value is None else (value * FINE, 1.0) for value in told]
        tail = np.array([weight, update.users, *(x for pair in pairs for x in pair)], np.float64)
        out[place:] = _within(np.rint(tail), platforms).astype(np.int64)
        return out

    def decode(self, total: npt.NDArray[np.uint64] | Words, platforms: int) -> Summed:
        """What a sum says.

        Args:
            total: of the vectors, modulo 2^64. (length,).
            platforms: whose vectors are in it.

        Raises:
            MessageRefusedError: no such platforms could have sent this: one of them lied.
        """
        if total.shape != (self.length,):
            raise MessageRefusedError(f"a sum has {total.shape} numbers, expected {self.length}")
        words = total.view(np.int64)
        weight, users, *pairs = (int(word) for word in words[self.size :])
        values, counts = pairs[::2], pairs[1::2]
        if weight < 0 or users < 0 or any(not 0 <= count <= platforms for count in counts):
            raise MessageRefusedError(
                f"the sum over {platforms} platforms says {users} users with a weight of "
                f"{weight / FINE:g}, and counts of metrics {counts}: a platform lied"
            )
        metrics = {
            name: value / FINE / count
            for name, value, count in zip(self.metrics, values, counts, strict=True)
            if count
        }
        return Summed(self._delta(words[: self.size], weight), users, weight / FINE, metrics)

    def _delta(self, words: Words, weight: int) -> Shared | GridSum:
        """The tensors of a sum, divided by its weight unless they are on the grid."""
        parts: dict[str, Words] = {}
        place = 0
        for name in sorted(self.shapes):
            size = math.prod(self.shapes[name])
            parts[name] = words[place : place + size].reshape(self.shapes[name])
            place += size
        if self.kind == "grid":
            return GridSum(parts)
        divisor = weight / FINE * UNIT if weight else math.inf
        return Shared({n: np.asarray(part / divisor, np.float32) for n, part in parts.items()})


def layout_for(
    parameters: Shared, plan: RoundPlan, metrics: Iterable[str] = (), weights: str = "users"
) -> Layout:
    """The layout of one round's updates; none of a private round has metrics.

    Raises:
        MessageRefusedError: too many parameters, or unknown weights.
    """
    shapes = parameters.shapes() | ({adaptive.WITHIN: ()} if plan.adaptive else {})
    kind: Literal["float", "grid"] = "grid" if plan.privacy == "pooled" else "float"
    told = () if plan.private else tuple(sorted(set(metrics)))
    return Layout(dict(sorted(shapes.items())), told, kind, weights)


def evaluation_layout(metrics: Iterable[str]) -> Layout:
    """The layout of metrics without an update."""
    return Layout({}, tuple(sorted(set(metrics))))


def _stepped(
    tensor: npt.NDArray[Any], weight: np.float64, platforms: int
) -> npt.NDArray[np.float64]:
    """A weighted tensor in whole steps. (size,)."""
    steps = tensor.reshape(-1).astype(np.float64)
    steps *= weight * UNIT
    np.rint(steps, out=steps)
    return _within(steps, platforms)


def _held(steps: npt.NDArray[Any], platforms: int) -> npt.NDArray[Any]:
    """The same steps of the privacy grid, if that many platforms may add such numbers up.

    It looks at what is noised already, so that being refused tells no more than being sent.

    Raises:
        OutboxError: one is larger than a platform's part of the room: the sum could wrap unseen.
    """
    bound = int(LARGEST) // platforms
    if steps.size and not -bound < int(steps.min()) <= int(steps.max()) < bound:
        raise OutboxError(
            f"a number of the noised sum is above {bound:.3g} steps of the grid: a sum over "
            f"{platforms} platforms could not hold it",
            hint="sample fewer users in a round",
        )
    return steps


def _within(steps: npt.NDArray[np.float64], platforms: int) -> npt.NDArray[np.float64]:
    """The same numbers, if that many platforms may add such numbers up.

    Raises:
        OutboxError: one is not finite, or larger than a platform's part of the room.
    """
    bound = LARGEST / platforms
    if steps.size and not float(np.abs(steps).max()) < bound:  # NaN is not below anything
        raise OutboxError(
            f"a number of the weighted update is above {bound / UNIT:.3g}, or none at all: a sum "
            f"over {platforms} platforms could not hold it",
            hint="training diverged: lower the learning rate",
        )
    return steps


def session_hash(
    parameters: Shared,
    plan: RoundPlan,
    metrics: Iterable[str],
    weights: str,
    *,
    evaluate: bool,
) -> bytes:
    """SHA-256 of all that a session's vectors follow from beside the platform's data, 32 bytes.

    Args:
        parameters: of the round.
        plan: of the round.
        metrics: names that are summed, in the order of the vector.
        weights: how much an update counts.
        evaluate: whether metrics alone are summed.

    Guarantees:
        Platforms sign it where the protocol has them sign the model, and go on only if all signed
        the same. A server that asks one platform for a metric and the others for another, which
        they do not know and send nothing for, gets no sum: it would be that platform's own.
    """
    settings = [plan.to_record(), list(metrics), weights, evaluate]
    text = json.dumps(settings, sort_keys=True, allow_nan=False)
    return bytes.fromhex(digest(_SESSION, parameters.fingerprint().encode(), text.encode()))
