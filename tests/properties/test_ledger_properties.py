"""Whatever a platform does, and however often it dies: what is spent never falls, never passes.

The truth that the ledger is held to is its own: Gaussian noise on a sum in which everybody takes
part composes exactly, and its delta has a closed form (Balle and Wang 2018, Theorem 8).
"""

import math
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from scipy.stats import norm

from isthmus.errors import BudgetError, OutboxError
from isthmus.privacy.events import Event
from isthmus_client.ledger import Key, Ledger

DELTA = 1e-5
NOISES = (2.3, 5.9, 17.0)
keys = st.sampled_from([Key("shop"), Key("stall", "household")])
runs = st.sampled_from(["spring", "autumn"])
numbers = st.integers(0, 3)
events = st.builds(Event, st.sampled_from(NOISES), st.just(1.0), st.integers(1, 3))
prints = st.integers(0, 9).map(lambda number: f"{number:064x}")
budgets = st.sampled_from([0.7, 2.9, 6.1])


def true_delta(charged, epsilon):
    """Delta of all rounds charged, at an epsilon: closed form, no accountant."""
    precision = sum(count / noise**2 for noise, count in charged.items())
    if not precision:
        return 0.0
    shift = math.sqrt(precision)
    tail = norm.logcdf(-epsilon / shift - shift / 2)
    return norm.cdf(shift / 2 - epsilon / shift) - math.exp(epsilon + tail)


class Platform(RuleBasedStateMachine):
    """A platform with one ledger, opened by one process or by two."""

    reservations = Bundle("reservations")

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-"))
        self.path = self.folder / "ledger.sqlite"
        self.ledgers = [Ledger(self.path, epsilon=6.1, delta=DELTA)]
        self.epsilon, self.rows = 6.1, 1
        self.charged = {}  # by key: rounds by noise
        self.committed = {}  # by row of the reservation: what it gave out
        self.spent = {}  # by key: the last that was told

    @property
    def ledger(self):
        return self.ledgers[0]

    @rule(target=reservations, key=keys, run=runs, number=numbers, event=events)
    def reserve(self, key, run, number, event):
        try:
            found = self.ledger.reserve(key, run, number, event)
        except BudgetError:
            return None
        self.rows += 1
        self.charged.setdefault(key, Counter())[event.noise_multiplier] += event.count
        assert true_delta(self.charged[key], self.epsilon) <= DELTA
        return found

    @rule(reservation=reservations, fingerprint=prints)
    def commit(self, reservation, fingerprint):
        if reservation is None:
            return
        before = self.committed.get(reservation.number)
        try:
            self.ledger.commit(reservation, fingerprint)
        except OutboxError:
            assert before not in {None, fingerprint}
            return
        assert before in {None, fingerprint}
        self.rows += before is None
        self.committed[reservation.number] = fingerprint

    @rule(reservation=reservations, fingerprint=prints)
    def resend(self, reservation, fingerprint):
        if reservation is None:
            return
        where = (reservation.key, reservation.run, reservation.round)
        known = self.ledger.released(*where)
        try:
            self.ledger.resend(*where, fingerprint)
        except OutboxError:
            assert fingerprint != known
            return
        assert fingerprint == known
        assert fingerprint in self.committed.values()
        self.rows += 1

    @rule(key=keys, run=runs, event=events, rounds=st.integers(1, 9))
    def register(self, key, run, event, rounds):
        before = self.ledger.head()
        try:
            self.rows += self.ledger.register(key, run, event, rounds) != before
        except BudgetError:
            assert self.ledger.head() == before

    @rule(key=keys, run=runs)
    def finish(self, key, run):
        before = self.ledger.head()
        self.rows += self.ledger.finish(key, run) != before

    @rule(epsilon=budgets)
    def change_the_budget(self, epsilon):
        self.ledger.raise_budget(epsilon=epsilon, delta=DELTA, reason="a test")
        self.epsilon, self.rows = epsilon, self.rows + 1

    @rule(reservation=consumes(reservations))
    def forget(self, reservation):
        """The process died between reserving and committing."""

    @rule()
    def restart(self):
        for each in self.ledgers:
            each.close()
        self.ledgers = [Ledger(self.path)]

    @rule()
    def another_process(self):
        if len(self.ledgers) == 1:
            self.ledgers.append(Ledger(self.path))
        self.ledgers.reverse()

    @invariant()
    def nothing_charged_is_forgotten(self):
        for key, charged in self.charged.items():
            found = {each.noise_multiplier: each.count for each in self.ledger.events(key)}
            assert found == dict(charged)

    @invariant()
    def spent_never_falls(self):
        for key in self.charged:
            spent = self.ledger.spent(key, "rdp")
            assert spent >= self.spent.get(key, 0.0)
            self.spent[key] = spent

    @invariant()
    def every_row_is_there_and_holds(self):
        assert self.ledger.verify() == self.rows

    def teardown(self):
        for each in self.ledgers:
            each.close()
        shutil.rmtree(self.folder)


TestPlatform = Platform.TestCase
TestPlatform.settings = settings(max_examples=16, stateful_step_count=25)
