"""What secure aggregation costs: whole rounds in memory, timed side by side with the plain sum."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from isthmus.errors import AggregationError
from isthmus.progress import Progress, Silent
from isthmus.secagg import (
    Adverts,
    Agreements,
    Conversation,
    Reveals,
    Shares,
    Site,
    Terms,
    Vectors,
    default_threshold,
    opened,
)

GOAL: Final = 0.5  # CPU seconds of a platform and round
GOAL_AT: Final = (1_000_000, 10)  # parameters, platforms

_MODEL: Final = bytes(32)
_WORD: Final = 8  # bytes of a number modulo 2^64

Words = npt.NDArray[np.uint64]
Answer = Callable[[str, bytes], bytes]
_P = TypeVar("_P", Adverts, Shares, Vectors, Agreements, Reveals)


@dataclass(frozen=True)
class Cost:
    """Of one round.

    Attributes:
        parameters: numbers in a vector.
        platforms: in the cohort.
        dropped: of them, after their shares and before their vectors.
        platform_seconds: CPU seconds of each platform that stayed, over all phases.
        server_seconds: CPU seconds of the server, over all phases.
        plain_seconds: CPU seconds of the same sum without masks.
        up_bytes: of all messages of one platform that stayed, the largest.
        down_bytes: of all messages to it, likewise.
    """

    parameters: int
    platforms: int
    dropped: int
    platform_seconds: tuple[float, ...]
    server_seconds: float
    plain_seconds: float
    up_bytes: int
    down_bytes: int

    @property
    def platform_mean(self) -> float:
        """CPU seconds of a platform."""
        return sum(self.platform_seconds) / len(self.platform_seconds)

    @property
    def server_ratio(self) -> float:
        """The server's CPU seconds over those of the plain sum."""
        return self.server_seconds / self.plain_seconds

    @property
    def bytes_ratio(self) -> float:
        """Bytes from a platform over those of its vector in the clear."""
        return self.up_bytes / (self.parameters * _WORD)


@dataclass
class _Meter:
    """What one side has used so far."""

    seconds: float = 0.0
    up: int = 0
    down: int = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Add the CPU time of a block."""
        start = time.process_time()
        yield
        self.seconds += time.process_time() - start


@dataclass
class _Hall:
    """The platforms and the server of a round, with their meters."""

    terms: Terms
    keys: dict[str, Ed25519PrivateKey]
    server: _Meter = field(default_factory=_Meter)
    meters: dict[str, _Meter] = field(default_factory=dict)
    talks: dict[str, Conversation] = field(default_factory=dict)


def measure(parameters: int, platforms: int, *, dropped: int = 0) -> Cost:
    """One whole round in memory.

    Args:
        parameters: numbers in a vector.
        platforms: in the cohort.
        dropped: of them, after their shares; the server recovers their masks.

    Raises:
        AggregationError: fewer would be left than the threshold, or the sum is not exact.
    """
    hall = _hall(parameters, platforms)
    start = np.random.default_rng(7).integers(0, 2**64, parameters, np.uint64)
    total, stayed = _round(hall, start, dropped)
    plain = _Meter()
    vectors = (_vector(start, name) for name in stayed)
    if not np.array_equal(total, _plain(vectors, plain, parameters)):
        raise AggregationError("the sum under masks is not the plain sum", alarm="benchmark")
    used = [hall.meters[name] for name in stayed]
    return Cost(
        parameters,
        platforms,
        dropped,
        tuple(meter.seconds for meter in used),
        hall.server.seconds,
        plain.seconds,
        max(meter.up for meter in used),
        max(meter.down for meter in used),
    )


def compare(
    parameters: Iterable[int],
    platforms: Iterable[int],
    *,
    dropped: int = 0,
    progress: Progress | None = None,
) -> list[Cost]:
    """Each number of parameters with each number of platforms."""
    progress = progress or Silent()
    sizes = [(size, cohort) for size in parameters for cohort in platforms]
    found = []
    with progress.track("rounds", len(sizes)) as advance:
        for size, cohort in sizes:
            found.append(measure(size, cohort, dropped=dropped))
            advance(1)
    return found


def _hall(parameters: int, platforms: int) -> _Hall:
    keys = {f"p{i:03}": Ed25519PrivateKey.generate() for i in range(platforms)}
    members = tuple((name, key.public_key().public_bytes_raw()) for name, key in keys.items())
    threshold = default_threshold(platforms)
    terms = Terms("benchmark", 1, bytes(32), members, threshold, parameters, minimum=2)
    return _Hall(terms, keys, meters={name: _Meter() for name in keys})


def _round(hall: _Hall, start: Words, dropped: int) -> tuple[Words, tuple[str, ...]]:
    """All phases; the sum, and who is in it."""
    talks = hall.talks
    adverts = _adverts(hall)
    with hall.server.running():
        shares, notices = adverts.close()
    shares = _heard(hall, shares, notices, lambda name, notice: talks[name].share(notice))
    with hall.server.running():
        vectors, notices = shares.close()
    for name, notice in list(notices.items())[dropped:]:
        answer = _masking(talks[name], _vector(start, name))
        vectors = _heard(hall, vectors, {name: notice}, answer)
    with hall.server.running():
        agreements, notices = vectors.close()
    agreements = _heard(hall, agreements, notices, lambda name, data: talks[name].agree(data))
    with hall.server.running():
        reveals, notices = agreements.close()
    reveals = _heard(hall, reveals, notices, lambda name, notice: talks[name].reveal(notice))
    with hall.server.running():
        total = reveals.close()
    return total.view(np.uint64), tuple(notices)


def _adverts(hall: _Hall) -> Adverts:
    phase, enrolled = opened(hall.terms, _MODEL), dict(hall.terms.members)
    for name, key in hall.keys.items():
        site = Site(name, key, enrolled, hall.terms.contract, minimum=2)
        with hall.meters[name].running():
            hall.talks[name] = Conversation(site, hall.terms, _MODEL)
        hall.meters[name].up += len(hall.talks[name].opening)
        with hall.server.running():
            phase = phase.receive(hall.talks[name].opening)
    return phase


def _heard(hall: _Hall, phase: _P, notices: dict[str, bytes], answer: Answer) -> _P:
    """The phase with what platforms answer, one by one: one vector is in memory at a time."""
    for name, notice in notices.items():
        meter = hall.meters[name]
        with meter.running():
            data = answer(name, notice)
        meter.down += len(notice)
        meter.up += len(data)
        with hall.server.running():
            phase = phase.receive(data)
    return phase


def _masking(talk: Conversation, vector: Words) -> Answer:
    """Phase 3 with a vector that is made before, as that is not the protocol's work."""
    return lambda _, notice: talk.mask(notice, vector)


def _vector(start: Words, name: str) -> Words:
    """A platform's own numbers."""
    return start + np.uint64(int(name[1:]))


def _plain(vectors: Iterator[Words], meter: _Meter, parameters: int) -> Words:
    """The sum without masks, of bytes as they would come in."""
    total = np.zeros(parameters, np.uint64)
    for vector in vectors:
        data = vector.tobytes()
        with meter.running():
            np.add(total, np.frombuffer(data, np.uint64), out=total)
    return total
