"""The gate before a release: would it pass the budget, whatever made somebody ask for it?

A privacy loss distribution proves its epsilon for a schedule that was fixed before the first
release. Where a later release is chosen by what earlier ones gave out (another try, another noise,
one more run), stopping before their composed distribution passes the budget does not keep it in
general: Privacy Filters are Captured by Residues (arXiv 2602.15815). Renyi divergences of an order
that was fixed beforehand may be added up path by path: V. Feldman and T. Zrnic, Individual Privacy
Accounting via a Renyi Filter (NeurIPS 2021); J. Whitehouse, A. Ramdas, R. Rogers and Z. S. Wu,
Fully Adaptive Composition in Differential Privacy (ICML 2023).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from isthmus.errors import ScenarioError
from isthmus.privacy.accounting import epsilon as epsilon_of
from isthmus.privacy.accounting import require_delta
from isthmus.privacy.events import Event
from isthmus.privacy.renyi import ORDERS, divergences, surcharge

PLAN_SHARE: Final = 0.9  # of delta, for going by the plan; the rest covers leaving it
_FRACTIONS: Final = (1.0, 0.7)  # of the order that suits plain Gaussian noise: sampling lowers it


def plan_delta(delta: float) -> float:
    """The delta at which a plan's epsilon must be within the budget; see `RdpFilter`.

    Noise for a plan that fills the budget is `noise_multiplier_for(epsilon, plan_delta(delta), …)`.
    """
    return PLAN_SHARE * delta


@dataclass(frozen=True)
class RdpFilter:
    """What a budget still admits; made by `opened`, carried on by `charged`.

    Guarantees:
        (epsilon, delta)-DP for one user added or removed, for everything that is released as long
        as each release was admitted first, though every release's noise, rate and very existence
        be chosen from all earlier outputs. The proof splits what can happen into classes by what
        was charged in the end, each with a share of delta, and the shares add up to delta:
        (a) the plan was followed to its end or broken off: its privacy loss distribution, whose
        parameters no output has touched, has the share `PLAN_SHARE`; breaking off is
        post-processing. (b) for each order: the divergences of that order stayed within the
        order's bound; a process that stops where they would pass it is Renyi-DP by Feldman and
        Zrnic's composition theorem for adaptively chosen parameters, and on this class it is the
        same process. Orders, shares and plan are fixed when the filter is opened.

    Attributes:
        epsilon: of the budget; above 0.
        delta: of the budget.
        orders: places in `ORDERS` of the orders in use.
        spent: divergences charged so far, at these orders.
        ahead: what the plan still holds; None once it was left, or where there is none.
    """

    epsilon: float
    delta: float
    orders: tuple[int, ...]
    spent: tuple[float, ...]
    ahead: tuple[Event, ...] | None
    _share: float

    @classmethod
    def opened(cls, epsilon: float, delta: float, plan: Iterable[Event] = ()) -> RdpFilter:
        """A filter of which nothing is spent.

        Args:
            epsilon: of the budget; above 0.
            delta: of the budget.
            plan: releases in their order, fixed before the first of them. One whose epsilon at
                `plan_delta(delta)` is above the budget is no plan: each release is then judged
                alone.

        Raises:
            ScenarioError: epsilon is not above 0, or delta is out of range.
        """
        if not epsilon > 0:
            raise ScenarioError(f"epsilon is {epsilon}, expected above 0")
        require_delta(plan_delta(delta))
        listed = tuple(plan)
        within = bool(listed) and epsilon_of(listed, plan_delta(delta)) <= epsilon
        orders = _orders(epsilon, delta)
        left = delta - plan_delta(delta) if within else delta
        share = left / len(orders)
        return cls(epsilon, delta, orders, (0.0,) * len(orders), listed if within else None, share)

    def admits(self, event: Event) -> bool:
        """Whether the budget still holds with `event` charged."""
        return _without(self.ahead, event) is not None or self._renyi(event) <= self.epsilon

    def charged(self, event: Event) -> RdpFilter:
        """The filter after `event`, which is charged whether admitted or not."""
        spent = tuple(float(value) for value in self._sums(event))
        return replace(self, spent=spent, ahead=_without(self.ahead, event))

    def bound(self) -> float:
        """The epsilon that the divergences prove for all charges so far; 0 before the first.

        It may lie above the budget while the plan, which has its own proof, goes on.
        """
        if not any(self.spent):
            return 0.0
        return float(np.min(np.asarray(self.spent) + self._surcharges()))

    def _renyi(self, event: Event) -> float:
        return float(np.min(self._sums(event) + self._surcharges()))

    def _sums(self, event: Event) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.asarray(self.spent) + divergences([event])[list(self.orders)]

    def _surcharges(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return surcharge(self._share)[list(self.orders)]


def _orders(epsilon: float, delta: float) -> tuple[int, ...]:
    """Orders that let the most plain Gaussian noise through, and one lower, for low noise."""
    room = (epsilon - surcharge(delta)) / np.asarray(ORDERS)
    best = ORDERS[int(np.argmax(room))]
    places = {int(np.argmin(np.abs(np.asarray(ORDERS) - best * part))) for part in _FRACTIONS}
    return tuple(sorted(places))


def _without(plan: tuple[Event, ...] | None, event: Event) -> tuple[Event, ...] | None:
    """What a plan holds after its next release; None if `event` is not that one."""
    if not plan:
        return None
    first, *rest = plan
    same = (first.noise_multiplier, first.sampling_rate) == (
        event.noise_multiplier,
        event.sampling_rate,
    )
    if not same or event.count > first.count:
        return None
    if event.count == first.count:
        return tuple(rest)
    return (replace(first, count=first.count - event.count), *rest)
