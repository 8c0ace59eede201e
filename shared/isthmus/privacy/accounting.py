"""Epsilon of a schedule of releases, and the noise that a wanted epsilon takes.

Two accountants, both upper bounds: `pld` (tight; what we report for a schedule fixed in advance)
and `rdp` (9 to 50 % above, the most where epsilon is small; what gates releases that were not fixed
in advance, see `isthmus.privacy.filter`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from isthmus.errors import ScenarioError
from isthmus.privacy.calibration import Loss, least_noise
from isthmus.privacy.events import MOST_ROUNDS, Event
from isthmus.privacy.loss_distribution import loss_of, rough_loss
from isthmus.privacy.renyi import converted, divergences

ACCOUNTANTS: Final = ("pld", "rdp")
LARGEST_DELTA: Final = 1e-5
MOST_DELTA: Final = 0.5
LEAST_DELTA: Final = 1e-10  # below, double precision could hide a loss of that probability
VAST: Final = 200.0  # an epsilon above it protects nobody: the cheaper bound then says so

REFUSED: Final = {
    "gdp": "it is a limit theorem and no bound; it under-reports, 3.5 where at least 6.0 is spent",
    "prv": "`pld` gives the same to 0.01 and is what we check and report",
}


def published_delta(users: int) -> float:
    """Delta for a platform of `users` published users: min(1e-5, users^-1.1).

    Args:
        users: the published constant of the schedule, never the live count; at least 2.

    Raises:
        ScenarioError: fewer than 2 users.
    """
    if users < 2:  # noqa: PLR2004 - one user has nobody to hide among
        raise ScenarioError(f"users is {users}, expected at least 2")
    return float(min(LARGEST_DELTA, float(users) ** -1.1))


def epsilon(events: Iterable[Event], delta: float, accountant: str = "pld") -> float:
    """An upper bound of epsilon for all events together, at `delta`; 0 for none.

    Args:
        events: releases about the same users, in any order, of any noise and rate.
        delta: probability left out, 1e-10 to 0.5.
        accountant: "pld" or "rdp".

    Guarantees:
        The sequence of all releases is (epsilon, delta)-DP for one user added or removed, if each
        was made as its `Event` says. With "pld" the parameters must have been fixed before the
        first release; with "rdp" see `isthmus.privacy.filter` for parameters that were not.
        Above 200 the Renyi bound is given by either.

    Raises:
        ScenarioError: another accountant, or a delta out of range.
    """
    require_accountant(accountant)
    require_delta(delta)
    listed = tuple(events)
    bound = converted(divergences(listed), delta) if listed else 0.0
    if accountant == "rdp" or bound == 0 or bound > VAST:
        return bound
    return loss_of(listed, delta, bound)


def rdp_epsilon(events: Iterable[Event], delta: float) -> float:
    """`epsilon` by Renyi divergences: 9 to 50 % above the tight one, in milliseconds.

    Guarantees:
        As `epsilon` with the accountant "rdp".

    Raises:
        ScenarioError: delta is out of range.
    """
    return epsilon(events, delta, "rdp")


def require_accountant(name: str) -> None:
    """Refuse an accountant that is not known to bound epsilon from above.

    Raises:
        ScenarioError: with the reason.
    """
    if name in ACCOUNTANTS:
        return
    reason = REFUSED.get(name, "there is no such accountant")
    raise ScenarioError(
        f"accountant is {name!r}: {reason}", hint=f"choose one of {', '.join(ACCOUNTANTS)}"
    )


def noise_multiplier_for(
    target_epsilon: float,
    delta: float,
    sampling_rate: float,
    count: int,
    spent: Iterable[Event] = (),
    accountant: str = "pld",
) -> float:
    """The least noise multiplier, to 0.1 %, that keeps `count` more releases within the target.

    It is never below 0.1: a guarantee would then rest on not being sampled alone.

    Args:
        target_epsilon: for everything together, `spent` included; above 0, at most 200.
        delta: as in `epsilon`.
        sampling_rate: of every release; in (0, 1].
        count: releases, 1 to 10 million.
        spent: what was released about the same users before.
        accountant: "pld" or "rdp".

    Guarantees:
        `epsilon((*spent, Event(result, sampling_rate, count)), delta, accountant)` is at most
        `target_epsilon`: that very call was made and compared.

    Raises:
        ScenarioError: a number is out of range, or `spent` alone leaves nothing.
    """
    _require_schedule(target_epsilon, sampling_rate, count)
    before = tuple(spent)
    already = epsilon(before, delta, accountant)
    if already >= target_epsilon:
        raise ScenarioError(
            f"epsilon {already:.4g} is spent already, the target is {target_epsilon:.4g}",
            hint="a larger target, or users of whom nothing was released yet",
        )

    def exact(noise: float) -> float:
        return epsilon((*before, Event(noise, sampling_rate, count)), delta, accountant)

    rough: Loss = exact
    if accountant == "pld":
        rough = rough_loss(before, delta, sampling_rate, count, target_epsilon)
    return least_noise(exact, rough, target_epsilon, _enough_noise(target_epsilon, delta, count))


def _enough_noise(target_epsilon: float, delta: float, count: int) -> float:
    """A noise multiplier that would do even if everybody took part in every release."""
    from dp_accounting import get_sigma_gaussian  # noqa: PLC0415 - slow

    return float(get_sigma_gaussian(target_epsilon, delta)) * math.sqrt(count)


def require_delta(delta: float) -> None:
    """Refuse a delta that promises nothing, or that double precision does not resolve.

    Raises:
        ScenarioError: below 1e-10 or above 0.5.
    """
    if not LEAST_DELTA <= delta <= MOST_DELTA:
        raise ScenarioError(
            f"delta is {delta}, expected {LEAST_DELTA:g} to {MOST_DELTA}",
            hint="users^-1.1 and at most 1e-5 is the usual choice",
        )


def _require_schedule(target_epsilon: float, sampling_rate: float, count: int) -> None:
    if not 0 < target_epsilon <= VAST:
        raise ScenarioError(f"epsilon is {target_epsilon}, expected above 0 and at most {VAST:g}")
    if not 0 < sampling_rate <= 1:
        raise ScenarioError(f"sampling rate is {sampling_rate}, expected above 0 and at most 1")
    if not 1 <= count <= MOST_ROUNDS:
        raise ScenarioError(f"rounds are {count}, expected 1 to {MOST_ROUNDS}")
