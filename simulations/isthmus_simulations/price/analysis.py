"""From finished cells to the results: a pure function, so that anything can be planted in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from isthmus.privacy.planner import USEFUL
from isthmus.statistics import Difference, paired_bootstrap
from isthmus_client.figures import PairedDifference
from isthmus_client.membership import FALSE_POSITIVE_RATE, highest_tpr
from isthmus_simulations.price.cells import PRIVATE, WAYS, Attack, CellFacts, PlatformFacts, Way
from isthmus_simulations.price.goals import goals
from isthmus_simulations.price.limits import limits
from isthmus_simulations.price.results import (
    Kept,
    Line,
    PlatformPrice,
    PriceResults,
    RunPrice,
    ScenarioPrice,
)
from isthmus_simulations.results import Privacy

CONFIDENCE: Final = 0.95  # of every interval
Values = npt.NDArray[np.float64]
Key = tuple[Way, float | None]
Made = TypeVar("Made")


def analyse(
    cells: Sequence[CellFacts],
    *,
    quick: bool,
    whole: bool,
    created: datetime,
    config: Mapping[str, Any],
    versions: Mapping[str, str],
    warnings: Sequence[str] = (),
) -> PriceResults:
    """Average over seeds, compare on every platform, check the goals.

    Args:
        cells: every scenario under the same seeds.
        quick: whether the training plans are the short ones.
        whole: whether all users took part with the full training plans, as the goals ask.
    """
    names = dict.fromkeys(cell.scenario for cell in cells)
    scenarios = {n: _scenario([cell for cell in cells if cell.scenario == n]) for n in names}
    return PriceResults(
        created=created,
        quick=quick,
        seeds=tuple(sorted({cell.seed for cell in cells})),
        confidence=CONFIDENCE,
        scenarios=scenarios,
        goals=tuple(g for n, found in scenarios.items() for g in goals(n, found, whole=whole)),
        config=dict(config),
        versions=dict(versions),
        warnings=tuple(warnings),
    )


def _scenario(cells: Sequence[CellFacts]) -> ScenarioPrice:
    reference = next(cell for cell in cells if cell.way == "federated")
    platforms = {name: _platform(name, cells) for name in reference.platforms}
    runs = _runs(cells)
    return ScenarioPrice(
        split=reference.split,
        platforms=platforms,
        runs=runs,
        limits=limits(platforms, runs),
    )


@dataclass(frozen=True)
class _Seen:
    """One way of training on one platform, seed by seed.

    Attributes:
        privacy: of the first seed; None without privacy.
    """

    key: Key
    facts: tuple[PlatformFacts, ...]
    privacy: Privacy | None

    @cached_property
    def ndcg(self) -> Values:
        """Mean over seeds; the test users are the same in each. (users,)"""
        return np.asarray(np.mean([found.ndcg for found in self.facts], axis=0))

    @property
    def by_seed(self) -> list[float]:
        return [float(np.mean(found.ndcg)) for found in self.facts]


def _platform(name: str, cells: Sequence[CellFacts]) -> PlatformPrice:
    held: dict[Key, list[CellFacts]] = {}
    for cell in cells:
        if name in cell.platforms:
            held.setdefault((cell.way, cell.epsilon), []).append(cell)
    seen = {
        key: _Seen(key, tuple(c.platforms[name] for c in held[key]), held[key][0].privacy)
        for key in sorted(held, key=_place)
    }
    first = seen["federated", None].facts[0]
    return PlatformPrice(
        users=first.users,
        items=first.items,
        training_users=first.training_users,
        held_out=first.held_out,
        test_users=first.test_users,
        users_tested=len(first.users_tested),
        lines=tuple(_line(each, seen) for each in seen.values()) if first.ndcg else (),
    )


def _line(each: _Seen, seen: Mapping[Key, _Seen]) -> Line:
    way, epsilon = each.key

    def against(way: Way, epsilon: float | None = None) -> Difference | None:
        other = seen.get((way, epsilon))
        if other is None or other.key == each.key:
            return None
        return paired_bootstrap(each.ndcg, other.ndcg, confidence=CONFIDENCE, seed=0)

    own = against("private_alone", epsilon) if way in {"pooled", "local"} else None
    std = float(np.std(each.by_seed, ddof=1)) if len(each.facts) > 1 else None
    return Line(
        way=way,
        epsilon=epsilon,
        ndcg=float(each.ndcg.mean()),
        std=std,
        kept=_made(Kept.of, against("federated")),
        kept_of_noiseless=_made(Kept.of, against("noiseless")),
        over_prior=_made(PairedDifference.of, against("prior")),
        over_alone=_made(PairedDifference.of, against("alone")),
        over_private_alone=_made(PairedDifference.of, own),
        attack=_attack([found.attack for found in each.facts if found.attack is not None]),
        tpr_bound=_bound(each.privacy),
    )


def _made(make: Callable[[Difference], Made | None], found: Difference | None) -> Made | None:
    return None if found is None else make(found)


def _attack(found: Sequence[Attack]) -> Attack | None:
    """Means over seeds; the ends of intervals are the outermost of any seed."""
    if not found:
        return None
    means = {n: float(np.mean([getattr(a, n) for a in found])) for n in ("auc", "tpr", "fpr")}
    lows = {n: min(getattr(a, n) for a in found) for n in ("auc_low", "tpr_low")}
    highs = {n: max(getattr(a, n) for a in found) for n in ("auc_high", "tpr_high")}
    first = found[0]
    return Attack(**means, **lows, **highs, members=first.members, non_members=first.non_members)


def _bound(privacy: Privacy | None) -> float | None:
    """The most that any attack on what is claimed could reach."""
    if privacy is None or privacy.epsilon is None or privacy.delta is None:
        return None
    return highest_tpr(privacy.epsilon, privacy.delta, FALSE_POSITIVE_RATE)


def _runs(cells: Sequence[CellFacts]) -> tuple[RunPrice, ...]:
    """Every way of training; the prior is none."""
    held: dict[tuple[Way, float | None, str | None], list[CellFacts]] = {}
    for cell in cells:
        held.setdefault((cell.way, cell.epsilon, cell.platform), []).append(cell)
    ordered = sorted(held, key=lambda key: _place(key[:2]))
    return tuple(_run(held[key]) for key in ordered if key[0] != "prior")


def _place(key: Key) -> tuple[int, float]:
    """Ways in their own order, large epsilons first."""
    way, epsilon = key
    return WAYS.index(way), -(epsilon or 0.0)


def _run(cells: Sequence[CellFacts]) -> RunPrice:
    first = cells[0]
    known = [cell.seconds for cell in cells if cell.seconds is not None]
    schedule = first.privacy.run if first.privacy is not None else None
    useful = schedule.noise_norm <= USEFUL if schedule is not None else None
    return RunPrice(
        way=first.way,
        epsilon=first.epsilon,
        platform=first.platform,
        parameters=first.parameters,
        rounds=float(np.mean([cell.rounds for cell in cells])),
        bytes=float(np.mean([cell.bytes for cell in cells])),
        seconds=float(np.mean(known)) if known else None,
        privacy=first.privacy,
        useful=False if first.impossible and first.way in PRIVATE else useful,
        impossible=first.impossible,
    )
