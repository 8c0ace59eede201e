"""What a run remembers of each round, and what the scores of the rounds say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from isthmus.parameters import Shared

Metrics = Mapping[str, float]
Scores = Mapping[str, float]
"""A validation score by platform."""

EVERYBODY: Final = "all platforms"
"""Whose score it is where the server sees sums only; no platform has a name with a blank in it."""


@dataclass(frozen=True)
class PlatformRecord:
    """One platform's accepted part of a round.

    Attributes:
        users: 0 under secure aggregation, where no platform's is known.
        metrics: as reported; those under "validation/" describe the parameters *before* the round.
        bytes_down: of the serialised message to the platform.
        bytes_up: of its serialised reply.
        share: of the round's update, by the aggregation's weights; None where it was not recorded.
    """

    users: int
    metrics: Metrics
    update_norm: float  # Euclidean, of its delta; 0 for a share of a sum, which has none
    bytes_down: int
    bytes_up: int
    share: float | None = None


@dataclass(frozen=True)
class Refusal:
    """A reply that was not used."""

    platform: str
    reason: str
    bytes_down: int
    bytes_up: int


@dataclass(frozen=True)
class SumRecord:
    """What the server saw of a round under secure aggregation: the sum, and who was in it.

    Attributes:
        users: of all platforms together.
        metrics: mean over the platforms that told one; as in `PlatformRecord`.
        attempt: number of the session, which is bound to all of its keys.
        dropped: who did not get through a phase, by the phase's name; empty phases are left out.
        seconds: wall-clock time of each phase on the server.
    """

    users: int
    metrics: Metrics
    attempt: int
    dropped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RoundRecord:
    """One committed round; round 0 stands for the initial parameters and has no platforms.

    Attributes:
        platforms: accepted, by name.
        missing: asked, but silent up to the deadline.
        seconds: wall-clock time of the round on the server.
        fingerprint: of the parameters that the round committed.
        sum: under secure aggregation, all that is known of users and metrics; None without.
    """

    round: int
    platforms: Mapping[str, PlatformRecord]
    refused: tuple[Refusal, ...]
    missing: tuple[str, ...]
    seconds: float
    fingerprint: str
    sum: SumRecord | None = None

    def bytes_total(self) -> int:
        """Bytes in both directions over all platforms that replied."""
        accepted = sum(p.bytes_down + p.bytes_up for p in self.platforms.values())
        return accepted + sum(r.bytes_down + r.bytes_up for r in self.refused)


@dataclass(frozen=True)
class RunResult:
    """What a run ends with.

    Attributes:
        validation: each platform's score of the parameters of round 0, 1, ... up to the last;
            a platform that did not report one is not in that round's mapping.
        clipping_norm: of a private run after its last round; 0 without privacy.
    """

    final: Shared
    best: Shared
    best_round: int
    rounds: tuple[RoundRecord, ...]
    validation: tuple[Scores, ...]
    clipping_norm: float = 0.0


def validation(
    history: Sequence[RoundRecord], last: Mapping[str, Metrics], score: str
) -> tuple[Scores, ...]:
    """The scores of the parameters of round 0 up to the last committed one.

    A reply in round r validates the parameters of round r - 1, hence the shift.

    Args:
        history: the committed rounds from 1 on, in order.
        last: the metrics of the evaluation after the last round; empty if there was none.
        score: the metric's name.
    """
    reports: list[Mapping[str, Metrics]] = [
        {EVERYBODY: record.sum.metrics}
        if record.sum
        else {name: platform.metrics for name, platform in record.platforms.items()}
        for record in history
    ]
    return tuple(
        {n: float(m[score]) for n, m in sorted(report.items()) if score in m}
        for report in [*reports, last]
    )


def progress(scores: Sequence[Scores]) -> list[float]:
    """For each round: the mean over platforms of the score relative to the platform's first one.

    A platform that is silent in a round keeps its latest score. Platforms whose first score is 0
    have no ratio: they count only if no platform has one, and then with their plain scores.
    """
    first: dict[str, float] = {}
    latest: dict[str, float] = {}
    means: list[float] = []
    for round_scores in scores:
        latest.update(round_scores)
        for name, value in round_scores.items():
            first.setdefault(name, value)
        ratios = [latest[name] / value for name, value in sorted(first.items()) if value > 0]
        plain = [value for _, value in sorted(latest.items())]
        means.append(_mean(ratios or plain))
    return means


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def best_round(scores: Sequence[Scores]) -> int:
    """The earliest round with the highest progress; the last round if nothing was validated."""
    if not any(scores):
        return len(scores) - 1
    means = progress(scores)
    validated = [number for number, round_scores in enumerate(scores) if round_scores]
    return max(validated, key=lambda number: (means[number], -number))


def should_stop(scores: Sequence[Scores], patience: int) -> bool:
    """Whether the best of the validated rounds lies `patience` or more rounds back; 0 = never."""
    validated = [number for number, round_scores in enumerate(scores) if round_scores]
    return bool(patience and validated) and validated[-1] - best_round(scores) >= patience
