"""Which row a ledger adds to the rows that it has, or why none. Nothing is read or written here.

Each function takes the state up to the last row and gives the next row, lacking only its place in
the chain; None where what is asked for is on record already. A refusal is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from isthmus.errors import BudgetError, LedgerError, OutboxError
from isthmus.privacy.events import Event
from isthmus_client.ledger.gate import Gate
from isthmus_client.ledger.rows import (
    Changed,
    Committed,
    Finished,
    Mechanism,
    Registered,
    Resent,
    Reserved,
    Row,
)
from isthmus_client.ledger.state import State
from isthmus_client.ledger.values import Budget, Key, Reservation

Draft = Callable[..., Row]
"""Makes the row from its number, time and the hash before it."""

Decision = Callable[[State], Draft | None]


def registered(
    state: State, gate: Gate, key: Key, run: str, event: Event, rounds: int
) -> Draft | None:
    """A schedule of so many rounds in all.

    Raises:
        BudgetError: it does not fit.
    """
    account = state.account(key)
    more = rounds - account.scheduled(run, event).rounds
    if more < 1:
        return None
    what = f"a schedule of {rounds} rounds for run {run}"
    gate.require_schedule(key, account, event, more, state.limit, what)
    return partial(
        Registered,
        data=key.data,
        unit=key.unit,
        run=run,
        mechanism=Mechanism.of(event),
        rounds=more,
    )


def finished(state: State, key: Key, run: str) -> Draft | None:
    """The end of a run's schedules."""
    schedules = state.account(key).schedules.items()
    if not any(name == run and schedule.open for (name, _), schedule in schedules):
        return None
    return partial(Finished, data=key.data, unit=key.unit, run=run)


def reserved(
    state: State, gate: Gate, key: Key, run: str, round_number: int, event: Event, base: str
) -> Draft:
    """A round's charge.

    Raises:
        BudgetError: over budget.
    """
    account = state.account(key)
    scheduled = account.scheduled(run, event).open > 0
    what = f"round {round_number} of run {run}"
    gate.require_round(key, account, event, state.limit, scheduled=scheduled, what=what)
    return partial(
        Reserved,
        data=key.data,
        unit=key.unit,
        run=run,
        round=round_number,
        base=base,
        mechanism=Mechanism.of(event),
        scheduled=scheduled,
    )


def committed(state: State, reservation: Reservation, fingerprint: str) -> Draft | None:
    """What a reserved round gave out.

    Raises:
        OutboxError: it has given out other bytes.
        LedgerError: there is no such reservation.
    """
    if state.reservation(reservation.number) != reservation:
        raise LedgerError(
            f"the ledger does not know the reservation of row {reservation.number}",
            hint="reserve in this ledger before computing",
        )
    before = state.commit_of(reservation.number)
    if before is None:
        return partial(Committed, reservation=reservation.number, fingerprint=fingerprint)
    if before.fingerprint == fingerprint:
        return None
    raise OutboxError(
        f"round {reservation.round} of run {reservation.run} has given out "
        f"{before.fingerprint[:12]} for this charge; {fingerprint[:12]} may not leave too",
        hint="send the stored bytes again, or reserve the round anew, which charges it",
    )


def resent(
    state: State, key: Key, run: str, round_number: int, fingerprint: str, base: str
) -> Draft:
    """The same bytes again.

    Raises:
        OutboxError: they are not the same.
    """
    found = state.release(key, run, round_number, base)
    if found is None or found.fingerprint != fingerprint:
        raise OutboxError(
            f"round {round_number} of run {run} did not give out {fingerprint[:12]} last from "
            "these parameters, so it may not leave uncharged",
            hint="reserve the round anew, which charges it",
        )
    return partial(Resent, commit=found.number)


def lowered(state: State, epsilon: float | None, delta: float | None) -> Draft | None:
    """The smaller budget that a ledger is opened with; None takes the stored number.

    Raises:
        BudgetError: it is larger, or out of range.
    """
    limit = state.limit
    asked = Budget(
        limit.epsilon if epsilon is None else float(epsilon),
        limit.delta if delta is None else float(delta),
    )
    if asked == limit:
        return None
    if limit.allows(asked):
        return changed(asked, "lowered when opened")
    raise BudgetError(
        f"a budget of epsilon {asked.epsilon:g} at delta {asked.delta:g} is asked for, the "
        f"ledger's is epsilon {limit.epsilon:g} at delta {limit.delta:g}",
        hint="stay within it, or raise it, with its reason, by `isthmus client privacy budget`",
    )


def changed(budget: Budget, reason: str) -> Draft:
    """Another budget.

    Raises:
        BudgetError: without a reason.
    """
    if not reason.strip():
        raise BudgetError("a budget is changed without a reason", hint="say why")
    return partial(Changed, epsilon=budget.epsilon, delta=budget.delta, reason=reason)
