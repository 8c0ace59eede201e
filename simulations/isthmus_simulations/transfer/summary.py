"""The benchmark in counts, and the goals that it was built to check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from isthmus_simulations.transfer.comparing import MARGIN
from isthmus_simulations.transfer.models import CANDIDATE
from isthmus_simulations.transfer.results import (
    ComparisonName,
    Goal,
    PlatformTransfer,
    ScenarioTransfer,
    SizeClass,
    Summary,
)

SMALL: Final = 2_000  # users; up to here a platform is a small one
SMALL_LIFT, LARGE_LIFT = 0.20, 0.05
OVER: Final[dict[ComparisonName, str]] = {
    "baseline": "over the best baseline",
    "recipe": "over the same recipe alone",
}
OF_BOUND: Final = 0.97  # of the pooled model
MOST_ROUNDS, MOST_BYTES = 50, 20_000_000  # bytes of a round and platform, both ways
CHEAP_USERS: Final = 5_000  # below, a platform is to save computing
SAVED: Final = 0.30  # of the computing until equal quality


@dataclass(frozen=True)
class Published:
    """A platform of the scenario `trio`, whose users and split are those of published tables.

    Attributes:
        users: of the whole data set; on fewer the figures cannot be compared.
        ndcg: leave-one-out NDCG@10 to reach, full ranking. SASRec with sampled softmax has
            .0531, .0314 and .0580 (Beauty, Sports, Toys).
    """

    users: int
    ndcg: float


PUBLISHED_SCENARIO: Final = "trio"
PUBLISHED: Final[dict[str, Published]] = {
    "beauty": Published(22_363, 0.060),
    "sports": Published(35_598, 0.036),
    "toys": Published(19_412, 0.065),
}


def summarise(platforms: Sequence[PlatformTransfer]) -> Summary:
    """Count over all platforms that have test users."""
    mains = [p.comparisons["candidate"] for p in platforms if p.comparisons]
    return Summary(
        platforms=len(platforms),
        verdicts=Counter(main.verdict for main in mains),
        harmed_always=_harmed(platforms, "candidate"),
        harmed_served=_harmed(platforms, "served"),
        cells=sum(len(main.lifts) for main in mains),
        cells_harmed_always=_cells_harmed(platforms, "candidate"),
        cells_harmed_served=_cells_harmed(platforms, "served"),
        no_harm_shown=sum(main.no_harm for main in mains),
        sizes=tuple(
            _size(f"{words}, {size}", held, goal, over)
            for over, words in OVER.items()
            for size, held, goal in _by_size(platforms)
        ),
    )


def _harmed(platforms: Sequence[PlatformTransfer], name: ComparisonName) -> int:
    """Platforms whose mean over users and seeds is down by more than the margin."""
    lifts = [lift(platform, name) for platform in platforms]
    return sum(found is not None and found < -MARGIN for found in lifts)


def _cells_harmed(platforms: Sequence[PlatformTransfer], name: ComparisonName) -> int:
    """The same counted in each seed."""
    lifts = [x for p in platforms if p.comparisons for x in p.comparisons[name].lifts]
    return sum(found is not None and found < -MARGIN for found in lifts)


def lift(platform: PlatformTransfer, name: ComparisonName) -> float | None:
    """Relative difference of a comparison; None where there is none."""
    found = platform.comparisons.get(name)
    return found.difference.relative if found is not None else None


def _by_size(
    platforms: Sequence[PlatformTransfer],
) -> tuple[tuple[str, list[PlatformTransfer], float], ...]:
    """Small and larger platforms, each with the lift that is their goal."""
    return (
        (f"up to {SMALL:,} users", [p for p in platforms if _is_small(p)], SMALL_LIFT),
        ("larger platforms", [p for p in platforms if not _is_small(p)], LARGE_LIFT),
    )


def _is_small(platform: PlatformTransfer) -> bool:
    return platform.users <= SMALL


def _size(
    name: str, platforms: Sequence[PlatformTransfer], goal: float, over: ComparisonName
) -> SizeClass:
    lifts = [x for p in platforms if (x := lift(p, over)) is not None]
    return SizeClass(
        name=name,
        platforms=len(lifts),
        goal=goal,
        mean_lift=float(np.mean(lifts)) if lifts else None,
        above_goal=sum(found >= goal for found in lifts),
    )


def goals(
    platforms: Sequence[PlatformTransfer],
    scenarios: Sequence[ScenarioTransfer],
    summary: Summary,
) -> tuple[Goal, ...]:
    """Each goal with what was found; `met` is None where nothing was measured."""
    return (
        _none("platforms harmed > 1 %, candidate always served", summary.harmed_always),
        _none("platforms harmed > 1 %, what the gate serves", summary.harmed_served),
        _none(
            "the same, counted in every single seed",
            summary.cells_harmed_served,
            note=f"of {summary.cells}; noisy on few users",
        ),
        *(_lift_goal(size) for size in summary.sizes),
        _bound_goal(platforms),
        _at_most(
            "rounds, encoder and ranker", MOST_ROUNDS, [r for s in scenarios for r in s.rounds], ""
        ),
        _at_most(
            "MB a round and platform, both ways",
            MOST_BYTES / 1e6,
            [p.cost.bytes_per_round / 1e6 for p in platforms],
            "",
        ),
        _saving_goal(platforms),
        *(
            _published_goal(p, PUBLISHED[p.platform])
            for p in platforms
            if p.scenario == PUBLISHED_SCENARIO and p.platform in PUBLISHED
        ),
    )


def _none(name: str, found: int, note: str = "") -> Goal:
    return Goal(name=name, target="0", found=float(found), met=found == 0, note=note)


def _lift_goal(size: SizeClass) -> Goal:
    met = None if size.mean_lift is None else size.mean_lift >= size.goal
    return Goal(
        name=f"mean lift {size.name}",
        target=f"+{100 * size.goal:.0f} %",
        found=size.mean_lift,
        met=met,
        note=f"reached by {size.above_goal} of {size.platforms}",
    )


def _bound_goal(platforms: Sequence[PlatformTransfer]) -> Goal:
    ratios = [p.ratio_to_bound for p in platforms if p.ratio_to_bound is not None]
    found = float(np.mean(ratios)) if ratios else None
    low = f"lowest {min(ratios):.3f}" if ratios else ""
    return Goal(
        name="candidate over pooled, mean",
        target=f"{OF_BOUND}",
        found=found,
        met=None if found is None else found >= OF_BOUND,
        note=low,
    )


def _at_most(name: str, target: float, found: Sequence[float], note: str) -> Goal:
    most = max(found, default=None)
    met = None if most is None else most <= target
    return Goal(name=name, target=f"at most {target:g}", found=most, met=met, note=note)


def _saving_goal(platforms: Sequence[PlatformTransfer]) -> Goal:
    """Platforms that never get there keep the goal from being met: they are no missing values."""
    small = [p.cost for p in platforms if p.users < CHEAP_USERS and p.cost.local_seconds]
    known = [cost.saved for cost in small if cost.saved is not None]
    found = float(np.mean(known)) if known else None
    met = None if not small else found is not None and found >= SAVED and len(known) == len(small)
    return Goal(
        name=f"computing saved, below {CHEAP_USERS:,} users",
        target=f"{100 * SAVED:.0f} %",
        found=found,
        met=met,
        note=(
            f"reached by {sum(each >= SAVED for each in known)} of {len(small)}; "
            f"{len(known)} get there in every seed"
        ),
    )


def _published_goal(platform: PlatformTransfer, published: Published) -> Goal:
    """Of the candidate, on all users or not at all."""
    whole = platform.users == published.users and CANDIDATE in platform.models
    found = platform.models[CANDIDATE].ndcg if whole else None
    users = f"{published.users:,} users"
    return Goal(
        name=f"leave-one-out NDCG@10, {platform.platform}",
        target=f"at least {published.ndcg:.3f}",
        found=found,
        met=None if found is None else found >= published.ndcg,
        note=f"of all {users}" if whole else f"needs --max-users 0: all {users}",
    )
