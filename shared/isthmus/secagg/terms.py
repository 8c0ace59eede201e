"""What a round is: the terms that every signature, key and share of it is bound to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from isthmus.files import digest
from isthmus.messages import MAX_UPDATE_BYTES
from isthmus.secagg.alarms import Alarm, refuse
from isthmus.secagg.wire import (
    DIGEST,
    MAX_NAME,
    MAX_PLATFORMS,
    MAX_RUN,
    Data,
    Reader,
    ascending,
    chunk,
    chunks,
    number,
)

PROTOCOL: Final = b"isthmus-secagg/1"
MINIMUM: Final = 3  # platforms in a sum; of two, each could subtract its own part
Bits = Literal[32, 64]


def default_threshold(platforms: int) -> int:
    """Two thirds, rounded up: safe while fewer than a third collude with a lying server."""
    return -(-2 * platforms // 3)


@dataclass(frozen=True)
class Terms:
    """One attempt at one round.

    Attributes:
        run: its name.
        round: from 1.
        contract: SHA-256 of the federation contract, 32 bytes.
        members: name and Ed25519 identity key (32 raw bytes) of each platform, sorted by name.
        threshold: t, shares that reveal a secret; more than half of the members.
        length: numbers in a vector.
        bits: of a number; sums are modulo 2^bits.
        minimum: platforms in a sum at least; 2 or more.
        attempt: from 1; a round that was given up is tried again under the next.
    """

    run: str
    round: int
    contract: bytes
    members: tuple[tuple[str, bytes], ...]
    threshold: int
    length: int
    bits: Bits = 64
    minimum: int = MINIMUM
    attempt: int = 1

    def __post_init__(self) -> None:
        """Refuse terms under which a sum would not be safe, or too large.

        Raises:
            AggregationError: names the value and its bound.
        """
        size = len(self.members)
        _bounded("members", size, 2, MAX_PLATFORMS, Alarm.OVERSIZE)
        _bounded("threshold", self.threshold, size // 2 + 1, size)
        _bounded("minimum", self.minimum, 2, size)
        _bounded("round", self.round, 1, 2**63)
        _bounded("attempt", self.attempt, 1, 2**63)
        if self.bits not in (32, 64):
            refuse(Alarm.TERMS, f"terms: bits is {self.bits}, must be 32 or 64")
        _bounded("length", self.length, 1, MAX_UPDATE_BYTES * 8 // self.bits, Alarm.OVERSIZE)
        _bounded("the run's name in bytes", len(self.run.encode()), 1, MAX_RUN)
        _bounded("the contract's hash in bytes", len(self.contract), DIGEST, DIGEST)
        self._require_members()

    def _require_members(self) -> None:
        ascending(self.names, "the cohort")
        for name, key in self.members:
            _bounded("a platform's name in bytes", len(name.encode()), 1, MAX_NAME)
            _bounded(f"the identity key of {name!r} in bytes", len(key), DIGEST, DIGEST)
        if len({key for _, key in self.members}) != len(self.members):
            refuse(Alarm.SWAPPED_KEY, "two platforms of the cohort have the same identity key")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the members, sorted."""
        return tuple(name for name, _ in self.members)

    @property
    def vector_bytes(self) -> int:
        """Of a vector, without framing."""
        return self.length * self.bits // 8

    @property
    def quorum(self) -> int:
        """Platforms that a sum must have: the threshold, or the minimum where it is larger."""
        return max(self.threshold, self.minimum)

    @property
    def context(self) -> bytes:
        """SHA-256 over the protocol's version and all of the terms, 32 bytes."""
        return bytes.fromhex(digest(PROTOCOL, self.to_bytes()))

    def identity(self, name: str) -> bytes:
        """A member's identity key.

        Raises:
            AggregationError: there is no such member.
        """
        return dict(self.members).get(name) or refuse(
            Alarm.UNKNOWN_SENDER, f"{name!r} is not in the cohort of round {self.round}"
        )

    def position(self, name: str) -> int:
        """From 1, in the order of names: where Shamir's polynomial is read for this member."""
        return self.names.index(name) + 1

    def require(self, found: int, needed: int, phase: str) -> None:
        """Abort with fewer platforms than needed.

        Raises:
            AggregationError: with the numbers; nothing of the round can be unmasked then.
        """
        if found < needed:
            refuse(
                Alarm.TOO_FEW,
                f"round {self.round}: {found} of {len(self.members)} platforms {phase}, "
                f"{needed} are needed; nothing was learned",
                hint="try the round again when more platforms can answer",
            )

    def to_bytes(self) -> bytes:
        """The one encoding."""
        numbers = (self.round, self.attempt, self.threshold, self.minimum, self.length, self.bits)
        parts = [chunk(self.run.encode()), *map(number, numbers), self.contract]
        parts.append(chunks([chunk(name.encode()) + key for name, key in self.members]))
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, data: Data) -> Terms:
        """The terms again.

        Raises:
            AggregationError: the bytes are no terms, or unsafe ones.
        """
        reader = Reader(data, "terms")
        run = reader.name(MAX_RUN)
        round_, attempt, threshold, minimum, length, bits = (reader.number() for _ in range(6))
        contract = reader.raw(DIGEST)
        members = reader.each(_member)
        reader.done()
        return cls(run, round_, contract, members, threshold, length, bits, minimum, attempt)  # type: ignore[arg-type]  # bits are checked above


def _member(reader: Reader) -> tuple[str, bytes]:
    part = Reader(reader.chunk(2 * (MAX_NAME + DIGEST)), "a member")
    name, key = part.name(), part.raw(DIGEST)
    part.done()
    return name, key


def _bounded(what: str, value: int, low: int, high: int, above: Alarm = Alarm.TERMS) -> None:
    if not low <= value <= high:
        alarm = above if value > high else Alarm.TERMS
        refuse(alarm, f"terms: {what} is {value}, must be {low} to {high}")
