"""The privacy of a proposed run: its schedule, and whether anything is left to learn from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from isthmus.errors import BudgetError
from isthmus.privacy.overlap import left_noise
from isthmus.privacy.planner import USEFUL, Wish, plan
from isthmus.privacy.remedies import remedies
from isthmus.privacy.schedule import SPARE, PrivatePlan, Schedule, schedule_for
from isthmus_server.run_request import RunRequest

_ROUNDS = 100  # of a private run, unless asked for otherwise
_LEARNING_RATE = 2e-3  # of the server's Adam


@dataclass(frozen=True)
class PlannedPrivacy:
    """What a private run publishes.

    Attributes:
        schedule: rates, noise and delta.
        noise_norm: of a round's mean gradient, over the clipping norm; useful is up to 2.
    """

    schedule: Schedule
    noise_norm: float


def planned_privacy(
    request: RunRequest, users: Mapping[str, int], parameters: int
) -> PlannedPrivacy:
    """The schedule of a private run over these platforms.

    Args:
        request: with a trust mode other than none.
        users: published users of each platform.
        parameters: numbers of the encoder.

    Guarantees:
        As `isthmus.privacy.schedule.schedule_for`, which simulations plan with too.

    Raises:
        ScenarioError: the platforms cannot keep it.
        BudgetError: its noise drowns what could be learned, and that was not accepted.
    """
    assert request.privacy != "none"
    wanted = PrivatePlan(
        request.privacy,
        request.epsilon,
        request.colluders,
        rounds=request.rounds or _ROUNDS,
        batch=request.private_batch,
        clipping_norm=request.clipping_norm,
        learning_rate=request.learning_rate or _LEARNING_RATE,
        clipping_quantile=request.clipping_quantile,
    )
    schedule = schedule_for(wanted, users, parameters)
    found = PlannedPrivacy(schedule, noise_norm(schedule, parameters))
    if found.noise_norm > USEFUL and not request.accept_noise:
        raise _drowned(found, parameters)
    return found


def noise_norm(schedule: Schedule, parameters: int) -> float:
    """Length of the noise in a round's mean gradient over all platforms, over the clipping norm.

    Pooled noise is the planned one and the shares that colluders may withdraw; where each platform
    adds its own, the sum holds that of all.
    """
    platforms, noise = len(schedule.users), schedule.noise_multiplier
    if schedule.plan.trust == "pooled":
        whole = left_noise(noise, platforms, schedule.plan.colluders, 0)
    else:
        whole = noise * math.sqrt(platforms)
    return whole * math.sqrt(parameters) / schedule.expected_users


def _drowned(found: PlannedPrivacy, parameters: int) -> BudgetError:
    """In the planner's words: how loud it is, and what would do."""
    asked = found.schedule.plan
    return BudgetError(
        f"epsilon {asked.epsilon:g} leaves nothing to learn from: the noise is "
        f"{found.noise_norm:.1f} times as long as the longest gradient, useful is at most "
        f"{USEFUL:g}; nothing was proposed",
        hint=_hint(found, parameters),
    )


def _hint(found: PlannedPrivacy, parameters: int) -> str:
    schedule = found.schedule
    users, everybody = min(schedule.users.values()), sum(schedule.users.values())
    platforms, colluders = len(schedule.users), schedule.plan.colluders
    wish = Wish(
        users=users,
        rounds=schedule.plan.rounds + SPARE,
        epsilon=schedule.plan.epsilon,
        parameters=parameters,
        batch=max(1, int(schedule.sampling_rate * users)),
        delta=schedule.delta,
        platforms=platforms,
        colluding=colluders,
        cohort_users=everybody,
    )
    pooled = plan(wish)
    ways = []
    if schedule.plan.trust == "local" and pooled.best.useful:
        ways.append("pool the noise of these platforms (--privacy pooled)")
    cures = remedies(pooled)
    where = "pooled, " if schedule.plan.trust == "local" else ""
    if cures.parameters is not None and not pooled.best.useful:
        ways.append(f"{where}train at most {cures.parameters:,} parameters (--encoder dim=...)")
    if cures.rounds is not None and not pooled.best.useful:
        ways.append(f"{where}run {cures.rounds:,} rounds (--rounds)")
    if schedule.sampling_rate < 1:
        ways.append(f"sample more users in a round (--private-batch, up to {everybody:,})")
    ways.append("allow a larger --epsilon, or propose it all the same: --accept-noise")
    return "; or ".join(ways)
