"""Whether a round or a schedule still fits a budget: `isthmus.privacy.filter`, asked in one place.

Schedules registered before a key's first round are the plan that its filter is opened with, and
accounted tightly. All else is judged by Renyi divergences, which hold however rounds were chosen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from isthmus.errors import BudgetError
from isthmus.privacy.accounting import epsilon
from isthmus.privacy.events import Event
from isthmus.privacy.filter import RdpFilter, plan_delta
from isthmus_client.ledger.state import Account, joined, merged
from isthmus_client.ledger.values import Budget, Key, Standing

_CACHED = 256  # epsilons kept: they depend on nothing but the events and delta
_HINT = (
    "more noise or fewer rounds; or raise the budget, with its reason, by "
    "`isthmus client privacy budget`"
)


@lru_cache(_CACHED)
def bound(events: tuple[Event, ...], delta: float, accountant: str = "pld") -> float:
    """Epsilon of all events; tight, and slow the first time, with "pld"."""
    return epsilon(events, delta, accountant)


@dataclass(frozen=True)
class _Opened:
    """A key's filter, and how far it has come."""

    budget: Budget
    plan: tuple[Event, ...]
    taken: int  # charges of the account in it
    filter: RdpFilter


class Gate:
    """The filters of a ledger's keys, each brought up to its account when it is asked.

    A filter is opened anew, and every charge put through it again, when the budget changes.

    Guarantees:
        Those of `RdpFilter`, for every key alone, and for the budget in force, if that was not
        chosen by what rounds gave out. A round outside of schedules passes only if everything
        that open schedules hold would still pass after it.
    """

    def __init__(self) -> None:
        self._opened: dict[Key, _Opened] = {}

    def filter(self, key: Key, account: Account, budget: Budget) -> RdpFilter:
        """The key's filter, after all its charges."""
        found, plan = self._opened.get(key), account.planned()
        if found is None or (found.budget, found.plan) != (budget, plan):
            fresh = RdpFilter.opened(budget.epsilon, budget.delta, plan)
            found = _Opened(budget, plan, 0, fresh)
        taken = _charged(found.filter, account.charges[found.taken :])
        found = replace(found, taken=len(account.charges), filter=taken)
        self._opened[key] = found
        return found.filter

    def require_round(
        self,
        key: Key,
        account: Account,
        event: Event,
        budget: Budget,
        *,
        scheduled: bool,
        what: str,
    ) -> None:
        """Refuse a round that does not fit.

        Args:
            key: whose.
            account: the key's, up to now.
            event: the round's.
            budget: in force.
            scheduled: whether a schedule holds it.
            what: the round, for a person.

        Raises:
            BudgetError: with the numbers.
        """
        current, held = self.filter(key, account, budget), account.held()
        if scheduled or not held:
            fits = current.admits(event)
        else:
            fits = _charged(current, (*held, event)).bound() <= budget.epsilon
        if not fits:
            after = _charged(current, (event,) if scheduled else (*held, event)).bound()
            raise _refusal(key, account, budget, what, after)

    def require_schedule(
        self, key: Key, account: Account, event: Event, rounds: int, budget: Budget, what: str
    ) -> None:
        """Refuse a schedule that does not fit with all that was charged and registered before.

        Raises:
            BudgetError: with the numbers.
        """
        more = replace(event, count=rounds * event.count)
        if account.charges:
            held = (*account.held(), more)
            after = _charged(self.filter(key, account, budget), held).bound()
            fits = after <= budget.epsilon
        else:
            plan = (*account.planned(), more)
            fits = RdpFilter.opened(budget.epsilon, budget.delta, plan).ahead is not None
            after = 0.0 if fits else bound(merged(plan), plan_delta(budget.delta))
        if not fits:
            raise _refusal(key, account, budget, what, after)

    def standing(self, key: Key, account: Account, budget: Budget) -> Standing:
        """How a key stands."""
        charges = account.spent()
        held = bound(merged((*charges, *account.held())), budget.delta)
        return Standing(
            key=key,
            budget=budget,
            spent=bound(charges, budget.delta),
            filter_bound=self.filter(key, account, budget).bound(),
            held=held,
            left=max(0.0, budget.epsilon - held),
            rounds=len(account.charges),
            committed=account.committed,
            resent=account.resent,
            runs=len(account.runs),
        )


def _charged(current: RdpFilter, events: Iterable[Event]) -> RdpFilter:
    """The filter after these; neighbours of one kind are charged at once."""
    for event in joined(events):
        current = current.charged(event)
    return current


def _refusal(key: Key, account: Account, budget: Budget, what: str, after: float) -> BudgetError:
    charges = account.spent()
    spent = bound(charges, budget.delta)
    held = bound(merged((*charges, *account.held())), budget.delta)
    reserved = f", and schedules hold it up to {held:.4g}" if account.held() else ""
    return BudgetError(
        f"{what} would bring epsilon to {after:.4g} at delta {budget.delta:.3g}, and the budget of "
        f"data set {key.data!r} is {budget.epsilon:.4g}: {spent:.4g} is spent{reserved}",
        hint=_HINT,
    )
