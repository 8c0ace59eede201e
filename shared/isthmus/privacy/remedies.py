"""What would make a plan useful whose noise drowns the signal; nothing of it is done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from isthmus.privacy.planner import USEFUL, Plan, Wish, noise_norm, row

LEAST_PARAMETERS: Final = 1_000  # an adapter of rank 2 from 384 to 64 has 896
LEAST_ROUNDS: Final = 10  # fewer steps train nothing
MOST_PLATFORMS: Final = 100  # a cohort that somebody could bring together
_TRIES: Final = 8


@dataclass(frozen=True)
class Remedies:
    """Changes of which each alone makes a plan useful; None where it cannot.

    Attributes:
        parameters: the most that may be trained.
        rounds: that many, near the most.
        platforms: of this one's size, at least, that pool their noise.
    """

    parameters: int | None
    rounds: int | None
    platforms: int | None


def remedies(plan: Plan) -> Remedies:
    """What would make the plan useful, each change taken alone.

    Pooled noise is to withstand the plan's colluding platforms, and one at least: a platform that
    takes part is an onlooker, too.

    Raises:
        ScenarioError: what the plan itself would have raised.
    """
    pool = more_platforms(plan, max(1, plan.wish.colluding))
    return Remedies(fewer_parameters(plan), fewer_rounds(plan), pool)


def fewer_parameters(plan: Plan) -> int | None:
    """The most parameters whose noise norm is 2; None if that is below 1 000."""
    most = int(plan.wish.parameters * (USEFUL / plan.best.noise_norm) ** 2)
    return most if most >= LEAST_PARAMETERS else None


def fewer_rounds(plan: Plan) -> int | None:
    """A number of rounds at which the plan is useful, near the most; None if below 10.

    Noise falls about with the root of the rounds; each try is accounted anew.

    Raises:
        ScenarioError: what the plan itself would have raised.
    """
    rounds, norm = plan.wish.rounds, plan.best.noise_norm
    for _ in range(_TRIES):
        rounds = min(rounds - 1, int(rounds * (USEFUL / norm) ** 2))
        if rounds < LEAST_ROUNDS:
            return None
        found = row(replace(plan.wish, rounds=rounds), plan.best.epsilon, plan.best.batch)
        if found.useful:
            return rounds
        norm = found.noise_norm
    return None


def more_platforms(plan: Plan, colluding: int = 0) -> int | None:
    """The fewest platforms of this one's size that make pooled noise useful.

    Args:
        plan: of one platform, or of a cohort that is too small.
        colluding: platforms that the pooled noise shall withstand.

    Returns:
        None if even 100 were too few.
    """
    best = plan.best
    for platforms in range(max(plan.wish.platforms, colluding) + 1, MOST_PLATFORMS + 1):
        cohort: Wish = replace(
            plan.wish, platforms=platforms, colluding=colluding, cohort_users=None
        )
        if noise_norm(cohort, best.noise_multiplier, best.sampling_rate) <= USEFUL:
            return platforms
    return None
