"""One data set's account in the platform's ledger, as rounds and the outbox use it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from safetensors import SafetensorError
from safetensors.numpy import load, save

from isthmus.errors import MessageRefusedError, OutboxError
from isthmus.files import write_bytes
from isthmus.messages import RoundPlan, Update
from isthmus.parameters import GridSum, Shared
from isthmus.privacy.accounting import rdp_epsilon
from isthmus.privacy.events import Event
from isthmus_client.ledger import Key, Ledger, Reservation
from isthmus_client.outbox import Sent, Settled

KEPT: Final = 20
"""Rounds of a run whose bytes are kept."""


@dataclass(frozen=True)
class LedgerCharge:
    """Reserves rounds, settles what leaves, and keeps it for a second sending.

    Attributes:
        key: whose privacy is spent.
        folder: of the bytes that left in the latest rounds of each run; they are noised, and left
            already. A run that goes back by fewer rounds is answered from them, and not charged.
        published_users: what every update says that it is of.

    Guarantees:
        A round is charged before anything of it is computed. Bytes are on the disk before they are
        settled, and settled before they leave: after a crash the same bytes leave again or the
        round is charged anew, never new bytes under an old charge.
    """

    ledger: Ledger
    key: Key
    folder: Path
    published_users: int
    _open: dict[tuple[str, int], Reservation] = field(default_factory=dict, repr=False)

    def register(self, plan: RoundPlan, rounds: int) -> None:
        """Fix a run's rounds before the first one, so that they are accounted tightly.

        Raises:
            BudgetError: they do not fit the budget; nothing is charged.
        """
        self.ledger.register(self.key, plan.run_id, event_of(plan), rounds)

    def reserve(self, plan: RoundPlan, received: Shared) -> Event:
        """Charge a round; what it may cost.

        Raises:
            BudgetError: over budget; nothing was charged, and nothing may be computed.
        """
        event = event_of(plan)
        where = (self.key, plan.run_id, plan.round)
        reservation = self.ledger.reserve(*where, event, base=received.fingerprint())
        self._open[plan.run_id, plan.round] = reservation
        return event

    def settle(self, plan: RoundPlan, update: Update) -> Settled:
        """Keep the bytes, then tell the ledger that they leave.

        Raises:
            OutboxError: the round was not reserved.
        """
        reservation = self._open.pop((plan.run_id, plan.round), None)
        if reservation is None or reservation.base != update.base:
            raise OutboxError(f"round {plan.round} of run {plan.run_id} was never reserved")
        write_bytes(self._place(plan), save(dict(update.delta.tensors)))
        self._forget_before(plan)
        head = self.ledger.commit(reservation, update.delta.fingerprint())
        return Settled(self._bound(), head)

    def sent(self, plan: RoundPlan, received: Shared) -> Sent | None:
        """The bytes that left for this round from these parameters; None if none did.

        None too where they are lost and each platform adds the whole noise: then the round may be
        computed anew, and is charged anew.

        Raises:
            OutboxError: they are lost and hold a share of pooled noise.
        """
        where = (self.key, plan.run_id, plan.round)
        base = received.fingerprint()
        fingerprint = self.ledger.released(*where, base=base)
        if fingerprint is None:
            return None
        kept = self._kept(plan)
        if kept is None or kept.fingerprint() != fingerprint:
            return self._lost(plan)
        head = self.ledger.resend(*where, fingerprint, base=base)
        return Sent(kept, self.published_users, Settled(self._bound(), head))

    @staticmethod
    def _lost(plan: RoundPlan) -> None:
        """Two sums that differ in one platform's share alone show it under that share's noise."""
        if plan.privacy == "pooled":
            raise OutboxError(
                f"round {plan.round} of run {plan.run_id} left before and its bytes are lost: a "
                "second share of its pooled noise may not leave",
                hint="put the kept bytes back, or begin a new run",
            )

    def _bound(self) -> float:
        """A bound of the epsilon spent so far that takes no time.

        The ledger admits nothing beyond the budget, so that the budget is a bound too; the tight
        figure, which takes seconds, is the ledger's own to show.
        """
        budget = self.ledger.budget
        return min(rdp_epsilon(self.ledger.events(self.key), budget.delta), budget.epsilon)

    def _kept(self, plan: RoundPlan) -> Shared | GridSum | None:
        """What was kept of the round; None where it is gone or damaged."""
        place = self._place(plan)
        if not place.exists():
            return None
        try:
            tensors = load(place.read_bytes())
            return GridSum(tensors) if plan.privacy == "pooled" else Shared(tensors)
        except (SafetensorError, MessageRefusedError):
            return None

    def _place(self, plan: RoundPlan) -> Path:
        return self.folder / plan.run_id / _name(plan.round)

    def _forget_before(self, plan: RoundPlan) -> None:
        """Let go of the bytes of rounds that the run hardly goes back to."""
        oldest = _name(max(plan.round - KEPT + 1, 0))
        for path in self._place(plan).parent.glob("round-*.safetensors"):
            if path.name < oldest:
                path.unlink(missing_ok=True)


def _name(number: int) -> str:
    """Of a round's file; names sort as rounds do."""
    return f"round-{number:08d}.safetensors"


def event_of(plan: RoundPlan) -> Event:
    """What a private round costs each of the platform's users."""
    return Event(plan.noise_multiplier, plan.sampling_rate)
