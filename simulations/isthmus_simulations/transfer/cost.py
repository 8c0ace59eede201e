"""What it costs a platform to reach the quality that it reaches alone, with the federation.

Both curves are of the same figure: NDCG@10 of the tuning users by the content part alone. Seconds
are the platform's own computing, validation included on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isthmus_simulations.transfer.facts import CostPoint, PlatformFacts


@dataclass(frozen=True)
class Reached:
    """When the federation reached what the platform reaches alone, under one seed.

    Attributes:
        quality: the best validation NDCG@10 of training alone.
        local_seconds: of training alone until then; 0 where nothing trained was better.
        seconds: of the platform's computing for the federation until then; None where never.
        bytes: both ways until then; None where never.
        round: the first round that is as good; None where never.
    """

    quality: float
    local_seconds: float
    seconds: float | None
    bytes: int | None
    round: int | None


def reached(facts: PlatformFacts) -> Reached | None:
    """The first point of the federation's curve that is as good; None without validation."""
    best = _best(facts.local)
    if best is None or best.ndcg is None:
        return None
    point = next((p for p in facts.federated if p.ndcg is not None and p.ndcg >= best.ndcg), None)
    if point is None:
        return Reached(best.ndcg, best.seconds, None, None, None)
    return Reached(best.ndcg, best.seconds, point.seconds, point.bytes, int(point.step))


def _best(curve: Sequence[CostPoint]) -> CostPoint | None:
    """The earliest point of the best quality."""
    known = [point for point in curve if point.ndcg is not None]
    return max(known, key=lambda point: (point.ndcg or 0.0, -point.step), default=None)


def saved(found: Sequence[Reached]) -> float | None:
    """Share of the computing that the federation saves, over the seeds that can be compared.

    A seed where it never gets there saves nothing and counts as None of its own; if that is any
    seed, or if nobody trained at all, there is no figure.
    """
    if not found or any(each.seconds is None for each in found):
        return None
    alone = sum(each.local_seconds for each in found)
    together = sum(each.seconds or 0.0 for each in found)
    return 1 - together / alone if alone > 0 else None
