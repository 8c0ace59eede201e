"""What a ledger speaks of: whose data, how much may be spent, and what a round reserved."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from isthmus.errors import BudgetError
from isthmus.privacy.events import Event

LARGEST_DELTA: Final = 0.1  # a larger one promises nobody anything
MOST_LETTERS: Final = 200  # of a name in a row


@dataclass(frozen=True, order=True)
class Key:
    """Whose privacy is spent. Rounds of one key add up; rounds of two keys have other users.

    Attributes:
        data: names the data set's identity, such as a digest of where it comes from; the same for
            all versions, samples and windows of the same users, or their rounds do not add up.
        unit: what neighbouring data sets differ in: a user's whole history.

    Raises:
        ValueError: an empty name, or one of more than 200 letters.
    """

    data: str
    unit: str = "user"

    def __post_init__(self) -> None:
        for name in ("data", "unit"):
            if not 0 < len(getattr(self, name)) <= MOST_LETTERS:
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected 1 to 200 letters")


@dataclass(frozen=True)
class Budget:
    """What may be spent on each key over all time: epsilon above 0, delta above 0.

    Raises:
        BudgetError: a number is out of its range.
    """

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < math.inf:
            raise BudgetError(f"epsilon is {self.epsilon}, expected a finite number above 0")
        if not 0 < self.delta < LARGEST_DELTA:
            raise BudgetError(f"delta is {self.delta}, expected above 0 and below {LARGEST_DELTA}")

    def allows(self, other: Budget) -> bool:
        """Whether `other` is nowhere larger."""
        return other.epsilon <= self.epsilon and other.delta <= self.delta


@dataclass(frozen=True)
class Reservation:
    """A round that is charged and may now be computed, once.

    Attributes:
        entry: hash of the row that charges it.
        number: of that row, from 1.
        base: fingerprint of the parameters that the round starts from; "" = not stated.
    """

    entry: str
    number: int
    key: Key
    run: str
    round: int
    base: str
    event: Event


@dataclass(frozen=True)
class Standing:
    """How a key stands; every epsilon is at the budget's delta.

    Attributes:
        budget: what may be spent.
        spent: epsilon of all rounds charged, by privacy loss distributions: the tight bound, for
            rounds that were fixed before the first of them.
        filter_bound: epsilon by which the filter judges rounds outside of the plan: true however
            rounds were chosen, and well above 0 from the first round on.
        held: epsilon of all rounds charged and all that registered schedules still may charge.
        left: the budget's epsilon minus `held`; 0 = nothing.
        rounds: charged.
        committed: of these, whose bytes may have left; the others crashed, and stay charged.
        resent: times that bytes left again without a charge.
        runs: in which anything was charged.
    """

    key: Key
    budget: Budget
    spent: float
    filter_bound: float
    held: float
    left: float
    rounds: int
    committed: int
    resent: int
    runs: int
