"""The values that cross between server and platforms, free of any transport.

Each side's Flower adapter turns them into records and back; nothing else is on the wire.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Final, Literal, get_args

import numpy as np

from isthmus.errors import MessageRefusedError
from isthmus.parameters import GridSum, Shared
from isthmus.privacy import adaptive

Scalar = str | int | float | bool
Trust = Literal["none", "local", "pooled"]
"""Whom a run's users must trust: `local`: nobody outside their platform, which adds all the noise;
`pooled`: that no more than the agreed number of platforms collude, as each adds a share of it;
`none`: everybody, as there is no noise."""

PROTOCOL_VERSION = 2
MAX_UPDATE_BYTES = 100 * 1024 * 1024  # bytes of one update; larger payloads fail in Flower's SQLite


@dataclass(frozen=True)
class RoundPlan:
    """What the server asks of a platform in one round. Numbers only: no code, no paths."""

    run_id: str
    round: int  # starts at 1
    seed: int  # of the run; a platform derives its own with its name and the round
    local_epochs: float = 1.0  # passes over the platform's training users
    max_steps: int = 0  # optimiser steps at most in a round; 0 = no limit
    batch_size: int = 128  # users a step
    learning_rate: float = 1e-3  # AdamW, local
    weight_decay: float = 0.0  # AdamW, local; 0 = off
    negatives: int = 512  # uniform negatives, shared by a batch
    proximal: float = 0.0  # FedProx mu towards the round's parameters; 0 = off
    validate: bool = True  # evaluate the received parameters on the platform's validation window
    privacy: str = "none"  # trust mode; with any other, a round is one noised gradient
    clipping_norm: float = 0.0  # C of this round: the largest norm of what a user adds
    noise_multiplier: float = 0.0  # of the whole noise over C
    sampling_rate: float = 0.0  # of users, Poisson
    shares: int = 1  # honest platforms whose noise makes the whole
    clipping_quantile: float = 0.0  # of users, that C follows; 0 = a fixed C
    protocol: int = PROTOCOL_VERSION

    def __post_init__(self) -> None:
        """Refuse what no training could follow.

        Raises:
            MessageRefusedError: names the field, its value and its bound.
        """
        _require(self.round >= 0, "round", self.round, "0 or more")
        _require(self.seed >= 0, "seed", self.seed, "0 or more")
        for name in ("local_epochs", "learning_rate"):
            value = getattr(self, name)
            _require(math.isfinite(value) and value > 0, name, value, "finite and above 0")
        for name in ("weight_decay", "proximal"):
            value = getattr(self, name)
            _require(math.isfinite(value) and value >= 0, name, value, "finite and 0 (off) or more")
        for name in ("batch_size", "negatives"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        _require(self.max_steps >= 0, "max_steps", self.max_steps, "0 (no limit) or more")
        self._require_privacy()

    @property
    def private(self) -> bool:
        """Whether the round's update is a noised gradient."""
        return self.privacy != "none"

    @property
    def adaptive(self) -> bool:
        """Whether the clipping norm follows a quantile, and updates say who is within it."""
        return self.clipping_quantile > 0

    @property
    def gradient_norm(self) -> float:
        """What a user's gradient is clipped to: C, less the share that adapting it takes."""
        return adaptive.gradient_norm(self.clipping_norm) if self.adaptive else self.clipping_norm

    def require_update(self, parameters: Shared, update: Shared | GridSum) -> None:
        """Refuse an update that has not exactly the tensors that the plan asks for.

        They are those of the parameters and, where the clipping norm adapts, the scalar
        `adaptive.WITHIN`.

        Raises:
            MessageRefusedError: names the first tensor that differs.
        """
        has = adaptive.WITHIN in update.tensors
        if has and not self.adaptive:
            raise MessageRefusedError(
                f"update has {adaptive.WITHIN!r}, but the plan's clipping norm is fixed"
            )
        if self.adaptive and not has:
            raise MessageRefusedError(
                f"update lacks {adaptive.WITHIN!r}, which the plan's clipping norm is adapted by"
            )
        extra = {adaptive.WITHIN: np.zeros((), np.float32)} if self.adaptive else {}
        Shared({**parameters.tensors, **extra}).require_shapes(update)

    def _require_privacy(self) -> None:
        """A round is private wholly or not at all."""
        _require(self.privacy in get_args(Trust), "privacy", self.privacy, "none, local or pooled")
        for name in _PRIVACY:
            value = getattr(self, name)
            good = math.isfinite(value) and (value > 0 if self.private else value == 0)
            _require(good, name, value, "above 0" if self.private else "0 without privacy")
        _require(self.sampling_rate <= 1, "sampling_rate", self.sampling_rate, "1 at most")
        _require(self.shares >= 1, "shares", self.shares, "1 or more")
        _require(self.privacy == "pooled" or self.shares == 1, "shares", self.shares, "1")
        # What is measured on users is a release of its own, which nobody accounts for.
        _require(not (self.private and self.validate), "validate", self.validate, "off")
        self._require_clipping()

    def _require_clipping(self) -> None:
        """A norm that float32 can sum, and a quantile that there is."""
        low, high, norm = adaptive.LOWEST, adaptive.HIGHEST, self.clipping_norm
        good = not self.private or low <= norm <= high
        _require(good, "clipping_norm", norm, f"{low:g} to {high:g}")
        expected = "0 (fixed) up to 1" if self.private else "0 without privacy"
        good = 0 <= self.clipping_quantile < 1 and (self.private or not self.adaptive)
        _require(good, "clipping_quantile", self.clipping_quantile, expected)

    def to_record(self) -> dict[str, Scalar]:
        """As flat scalars."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, object]) -> RoundPlan:
        """From flat scalars.

        Raises:
            MessageRefusedError: a field is missing, unknown or of the wrong type.
        """
        known = {f.name: type(f.default) for f in fields(cls) if f.name not in _PLAIN}
        types: dict[str, type] = {**known, **_PLAIN}
        if set(record) != set(types):
            odd = sorted(set(record) ^ set(types))
            raise MessageRefusedError(f"round plan has missing or unknown fields: {odd}")
        for name, kind in types.items():
            if type(record[name]) is not kind:
                got = type(record[name]).__name__
                raise MessageRefusedError(f"round plan: {name} is {got}, expected {kind.__name__}")
        return cls(**dict(record))  # type: ignore[arg-type]  # each type was just checked


def _require(good: bool, name: str, value: object, expected: str) -> None:
    if not good:
        raise MessageRefusedError(f"round plan: {name} is {value}, must be {expected}")


_PRIVACY: Final = ("clipping_norm", "noise_multiplier", "sampling_rate")
_PLAIN: dict[str, type] = {"run_id": str, "round": int, "seed": int}


@dataclass(frozen=True)
class Update:
    """What one platform contributes to one round, after the outbox has checked it.

    Attributes:
        delta: local parameters minus the round's parameters; where noise is pooled, a sum of
            negative gradients on the grid with a share of it.
        users: training users behind it; the aggregation weight. 0 counts nothing.
        base: fingerprint of the parameters that it started from.
        metrics: additive counts and means declared in the contract, by name.
    """

    platform: str
    round: int
    delta: Shared | GridSum
    users: int
    base: str
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def shared(self) -> Shared:
        """The delta of an update that may be read alone.

        Raises:
            MessageRefusedError: it holds a share of noise, and only a sum may be read.
        """
        if isinstance(self.delta, GridSum):
            raise MessageRefusedError(f"{self.platform!r} sent a sum on the grid: only sums of all")
        return self.delta
