"""The values that cross between server and platforms, free of any transport.

Each side's Flower adapter turns them into records and back; nothing else is on the wire.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from isthmus.errors import MessageRefusedError
from isthmus.parameters import Shared

Scalar = str | int | float | bool

PROTOCOL_VERSION = 1
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


_PLAIN: dict[str, type] = {"run_id": str, "round": int, "seed": int}


@dataclass(frozen=True)
class Update:
    """What one platform contributes to one round, after the outbox has checked it.

    Attributes:
        delta: local parameters minus the round's parameters.
        users: training users behind it; the aggregation weight. 0 counts nothing.
        base: fingerprint of the parameters that it started from.
        metrics: additive counts and means declared in the contract, by name.
    """

    platform: str
    round: int
    delta: Shared
    users: int
    base: str
    metrics: Mapping[str, float] = field(default_factory=dict)
