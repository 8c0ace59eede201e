"""Server optimisers: how the mean of the platforms' updates moves the global parameters.

Each is a frozen value with `init` and `apply`, state in and state out (Reddi et al. 2021, Adaptive
Federated Optimization, algorithms 1 and 2). The mean update takes the place of a negative gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Final, Protocol

import numpy as np
import numpy.typing as npt

from isthmus.errors import ScenarioError
from isthmus.parameters import Shared

Slots = Mapping[str, Shared]
"""An optimiser's memory between rounds: named tensors shaped like the parameters."""

Wide = npt.NDArray[np.float64]


class ServerOptimiser(Protocol):
    """Turns a mean update into new parameters."""

    name: ClassVar[str]

    def init(self, parameters: Shared) -> Slots:
        """The memory before the first round."""
        ...

    def apply(self, parameters: Shared, mean: Shared, slots: Slots) -> tuple[Shared, Slots]:
        """The parameters after one round, and the memory for the next."""
        ...

    def settings(self) -> dict[str, str | float]:
        """The name and every knob: what a checkpoint remembers."""
        ...


@dataclass(frozen=True)
class FedAvg:
    """Adds the mean update; with a rate of 1 the result is the mean of the local parameters."""

    name: ClassVar[str] = "fedavg"
    learning_rate: float = 1.0  # > 0; 1 = plain averaging

    def __post_init__(self) -> None:
        _require_positive(self, "learning_rate")

    def init(self, parameters: Shared) -> Slots:  # noqa: ARG002 - remembers nothing
        """No memory."""
        return {}

    def apply(self, parameters: Shared, mean: Shared, slots: Slots) -> tuple[Shared, Slots]:
        """The parameters plus rate * mean."""
        return _combine(lambda x, d: x + self.learning_rate * d, parameters, mean), slots

    def settings(self) -> dict[str, str | float]:
        """The name and every knob."""
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True)
class FedAvgM:
    """Averaging with momentum on the server (Hsu et al. 2019)."""

    name: ClassVar[str] = "fedavgm"
    learning_rate: float = 1.0  # > 0
    momentum: float = 0.9  # 0 up to 1; 0 = off, which is FedAvg

    def __post_init__(self) -> None:
        _require_positive(self, "learning_rate")
        _require_fraction(self, "momentum")

    def init(self, parameters: Shared) -> Slots:
        """A momentum of zero."""
        return {"momentum": _filled(parameters, 0.0)}

    def apply(self, parameters: Shared, mean: Shared, slots: Slots) -> tuple[Shared, Slots]:
        """Momentum becomes momentum * m + mean; the parameters move by rate * m."""
        speed = _combine(lambda m, d: self.momentum * m + d, slots["momentum"], mean)
        moved = _combine(lambda x, m: x + self.learning_rate * m, parameters, speed)
        return moved, {"momentum": speed}

    def settings(self) -> dict[str, str | float]:
        """The name and every knob."""
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True)
class FedAdam:
    """Adam on the server (Reddi et al. 2021, algorithm 2): no bias correction, v starts at tau²."""

    name: ClassVar[str] = "fedadam"
    learning_rate: float = 0.01  # > 0
    beta1: float = 0.9  # 0 up to 1
    beta2: float = 0.99  # 0 up to 1
    tau: float = 1e-3  # > 0; the degree of adaptivity: smaller adapts more

    def __post_init__(self) -> None:
        _require_positive(self, "learning_rate", "tau")
        _require_fraction(self, "beta1", "beta2")

    def init(self, parameters: Shared) -> Slots:
        """A first moment of zero and a second of tau²."""
        return {"m": _filled(parameters, 0.0), "v": _filled(parameters, self.tau**2)}

    def apply(self, parameters: Shared, mean: Shared, slots: Slots) -> tuple[Shared, Slots]:
        """Moments of the mean update, then x + rate * m / (sqrt(v) + tau)."""
        b1, b2 = self.beta1, self.beta2
        first = _combine(lambda m, d: b1 * m + (1 - b1) * d, slots["m"], mean)
        second = _combine(lambda v, d: b2 * v + (1 - b2) * d * d, slots["v"], mean)
        step = _combine(lambda m, v: m / (np.sqrt(v) + self.tau), first, second)
        moved = _combine(lambda x, s: x + self.learning_rate * s, parameters, step)
        return moved, {"m": first, "v": second}

    def settings(self) -> dict[str, str | float]:
        """The name and every knob."""
        return {"name": self.name, **asdict(self)}


SERVER_OPTIMISERS: Final[Mapping[str, Callable[..., ServerOptimiser]]] = {
    FedAvg.name: FedAvg,
    FedAvgM.name: FedAvgM,
    FedAdam.name: FedAdam,
}


def server_optimiser(name: str, **knobs: float) -> ServerOptimiser:
    """The optimiser of that name with the knobs given, its defaults otherwise.

    Raises:
        ScenarioError: no optimiser has this name, or it has no such knob.
    """
    if name not in SERVER_OPTIMISERS:
        known = ", ".join(SERVER_OPTIMISERS)
        raise ScenarioError(f"server optimiser {name!r} is unknown", hint=f"use one of: {known}")
    try:
        return SERVER_OPTIMISERS[name](**knobs)
    except TypeError as error:
        raise ScenarioError(f"server optimiser {name!r} has not all of: {sorted(knobs)}") from error


def _require_positive(optimiser: ServerOptimiser, *names: str) -> None:
    for name in names:
        if not 0 < (value := getattr(optimiser, name)) < math.inf:
            raise ScenarioError(f"{optimiser.name}: {name} is {value}, must be above 0")


def _require_fraction(optimiser: ServerOptimiser, *names: str) -> None:
    for name in names:
        if not 0 <= (value := getattr(optimiser, name)) < 1:
            raise ScenarioError(f"{optimiser.name}: {name} is {value}, must be 0 up to 1")


def _filled(like: Shared, value: float) -> Shared:
    return Shared({n: np.full(t.shape, value, np.float32) for n, t in like.tensors.items()})


def _combine(rule: Callable[[Wide, Wide], Wide], left: Shared, right: Shared) -> Shared:
    """The rule on each pair of tensors in float64, rounded to float32 once."""
    left.require_shapes(right)
    return Shared(
        {
            name: rule(tensor.astype(np.float64), right.tensors[name].astype(np.float64)).astype(
                np.float32
            )
            for name, tensor in left.tensors.items()
        }
    )
