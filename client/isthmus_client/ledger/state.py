"""What a ledger's rows add up to. Rows go in, in their order; nothing is read or written here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TypeVar

from isthmus.audit_log import ROOT
from isthmus.errors import LedgerError
from isthmus.privacy.events import Event
from isthmus_client.ledger.rows import (
    Changed,
    Committed,
    Finished,
    Opened,
    Registered,
    Resent,
    Reserved,
    Row,
    altered,
)
from isthmus_client.ledger.values import Budget, Key, Reservation

_Found = TypeVar("_Found")


@dataclass
class Schedule:
    """Rounds of one kind that a run registered, and how many of them it has charged."""

    rounds: int = 0
    charged: int = 0

    @property
    def open(self) -> int:
        """Rounds that it may still charge."""
        return self.rounds - self.charged


@dataclass
class Account:
    """All that one key was charged, and may be charged by schedules.

    Attributes:
        charges: one for each round charged, in order.
        schedules: by run and round, in the order of their registration.
        runs: in which anything was charged.
        committed: rounds whose bytes may have left.
        resent: times that bytes left again.
    """

    charges: list[Event] = field(default_factory=list)
    schedules: dict[tuple[str, Event], Schedule] = field(default_factory=dict)
    runs: set[str] = field(default_factory=set)
    committed: int = 0
    resent: int = 0
    _totals: Counter[Event] = field(default_factory=Counter)
    _plan: tuple[Event, ...] | None = None

    def spent(self) -> tuple[Event, ...]:
        """All rounds charged, one event a kind, in an order that depends on nothing else."""
        return merged(replace(event, count=count) for event, count in self._totals.items())

    def held(self) -> tuple[Event, ...]:
        """All that schedules may still charge."""
        found = self.schedules.items()
        return joined(
            replace(event, count=event.count * schedule.open)
            for (_, event), schedule in found
            if schedule.open
        )

    def planned(self) -> tuple[Event, ...]:
        """What schedules held when the first round was charged, or hold if none was."""
        return self.held() if self._plan is None else self._plan

    def scheduled(self, run: str, event: Event) -> Schedule:
        """A run's schedule of such rounds; an empty one if it registered none."""
        return self.schedules.get((run, event), Schedule())

    def charge(self, run: str, event: Event) -> None:
        """Another round."""
        self._plan = self.planned()
        self.charges.append(event)
        self._totals[replace(event, count=1)] += event.count
        self.runs.add(run)


@dataclass
class State:
    """A ledger up to one of its rows.

    Guarantees:
        What an account was charged never falls: no row takes a charge back.
    """

    number: int = 0
    head: str = ROOT
    budget: Budget | None = None
    accounts: dict[Key, Account] = field(default_factory=dict)
    hashes: set[str] = field(default_factory=set)
    _reservations: dict[int, Reservation] = field(default_factory=dict)
    _commits: dict[int, Committed] = field(default_factory=dict)  # by their own number
    _commit_of: dict[int, int] = field(default_factory=dict)  # by their reservation's number
    _releases: dict[tuple[Key, str, int, str], int] = field(default_factory=dict)

    @property
    def limit(self) -> Budget:
        """What may be spent on each key.

        Raises:
            LedgerError: there is no row yet.
        """
        if self.budget is None:
            raise LedgerError(
                "the ledger has no rows",
                hint="put the newest untouched copy back; never start a new one for the same users",
            )
        return self.budget

    def account(self, key: Key) -> Account:
        """A key's account; an empty one if nothing was ever said of it."""
        return self.accounts.get(key, Account())

    def reservation(self, number: int) -> Reservation | None:
        """What a row charged."""
        return self._reservations.get(number)

    def commit_of(self, reservation: int) -> Committed | None:
        """What a reservation gave out."""
        number = self._commit_of.get(reservation)
        return None if number is None else self._commits[number]

    def release(self, key: Key, run: str, round_number: int, base: str) -> Committed | None:
        """What a round from these parameters gave out last."""
        number = self._releases.get((key, run, round_number, base))
        return None if number is None else self._commits[number]

    def take(self, row: Row, digest: str) -> None:
        """Add the next row.

        Raises:
            LedgerError: no ledger would have written it here.
        """
        match row:
            case Opened() | Changed():
                self.budget = Budget(row.epsilon, row.delta)
            case Registered():
                self._register(row)
            case Finished():
                self._finish(row)
            case Reserved():
                self._reserve(row, digest)
            case Committed():
                self._commit(row)
            case Resent():
                self._resend(row)
        self.number, self.head = row.number, digest
        self.hashes.add(digest)

    def _register(self, row: Registered) -> None:
        account = self.accounts.setdefault(row.key, Account())
        named = (row.run, row.mechanism.event())
        account.schedules.setdefault(named, Schedule()).rounds += row.rounds

    def _finish(self, row: Finished) -> None:
        for (run, _), schedule in self.account(row.key).schedules.items():
            if run == row.run:
                schedule.rounds = schedule.charged

    def _reserve(self, row: Reserved, digest: str) -> None:
        account, event = self.accounts.setdefault(row.key, Account()), row.mechanism.event()
        schedule = account.scheduled(row.run, event)
        if row.scheduled and schedule.open < 1:
            raise altered(row.number, "no schedule has a round left for it")
        account.charge(row.run, event)
        schedule.charged += row.scheduled
        self._reservations[row.number] = Reservation(
            digest, row.number, row.key, row.run, row.round, row.base, event
        )

    def _commit(self, row: Committed) -> None:
        reservation = _known(self._reservations, row.reservation, row)
        if row.reservation in self._commit_of:
            raise altered(row.number, "its reservation is committed already")
        self._commits[row.number] = row
        self._commit_of[row.reservation] = row.number
        named = (reservation.key, reservation.run, reservation.round, reservation.base)
        self._releases[named] = row.number
        self.accounts[reservation.key].committed += 1

    def _resend(self, row: Resent) -> None:
        committed = _known(self._commits, row.commit, row)
        reservation = self._reservations[committed.reservation]
        self.accounts[reservation.key].resent += 1


def _known(found: dict[int, _Found], number: int, row: Row) -> _Found:
    if number not in found:
        raise altered(row.number, f"row {number}, which it names, is none that it could name")
    return found[number]


def joined(events: Iterable[Event]) -> tuple[Event, ...]:
    """The same rounds in the same order, neighbours of one kind as one event."""
    return tuple(
        Event(noise, rate, sum(each.count for each in group))
        for (noise, rate), group in groupby(events, _sort)
    )


def merged(events: Iterable[Event]) -> tuple[Event, ...]:
    """The same rounds, one event a kind, in an order that depends on nothing else."""
    return joined(sorted(events, key=_sort))


def _sort(event: Event) -> tuple[float, float]:
    """Rounds of one kind differ in nothing that costs."""
    return event.noise_multiplier, event.sampling_rate
