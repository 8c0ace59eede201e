"""The platform's own record of privacy spent: reserve, compute, commit, send."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from isthmus.audit_log import ROOT
from isthmus.errors import LedgerError
from isthmus.privacy.events import Event
from isthmus_client.ledger import decisions
from isthmus_client.ledger.chain import Chain
from isthmus_client.ledger.gate import Gate, bound
from isthmus_client.ledger.rows import Opened, Row, sealed
from isthmus_client.ledger.store import create, missing
from isthmus_client.ledger.values import Budget, Key, Reservation, Standing

PATIENCE: Final = 60.0  # seconds to wait for another process that writes


class Ledger:
    """One platform's ledger, opened and checked from its first row to its last.

    A round is reserved, which charges it; then computed; then committed with the hash of what is
    to leave; then sent. A crash anywhere leaves the charge. To send the very same bytes again
    costs nothing (`released`, `resend`); to compute a round again is to reserve it again.

    Args:
        path: the file; made with the budget if it is not there.
        epsilon: what may be spent on each key over all time. None takes the stored budget; less
            than that lowers it for good; more is refused (`raise_budget`).
        delta: as `epsilon`.
        read_only: only look; works on a read-only medium too.
        clock: Unix seconds, for the rows.
        patience: seconds to wait for another process that writes.

    Guarantees:
        - What is charged to a key never falls: not by a crash at any point, a kill, a restart,
          another run, or several processes and threads at once. A row is on the disk before the
          call that writes it returns.
        - Nothing is charged beyond the budget; a refusal comes before anything is computed. All
          rounds of a key together are (epsilon, delta)-DP for one user added or removed, however
          their noise, their number and whole runs were chosen by earlier results (`RdpFilter`),
          as long as the budget was not.
        - Changed, dropped, added or reordered rows are found when the ledger is opened, before
          each write for rows of other processes, and by `verify`. An older copy put back shows
          with `require_contains`.
        - Not covered: who can write the file and every copy of its later hashes can forge it; and
          it charges what it is told. That a round was run as its event says is the engine's part.

    Raises:
        DataMissingError: there is no such file, and no budget to make it with.
        BudgetError: a budget out of range or above the stored one.
        LedgerError: the file was altered, is no ledger, or cannot be opened or written.
    """

    def __init__(
        self,
        path: Path,
        *,
        epsilon: float | None = None,
        delta: float | None = None,
        read_only: bool = False,
        clock: Callable[[], float] = time.time,
        patience: float = PATIENCE,
    ) -> None:
        self.path = path
        self._clock = clock
        self._gate = Gate()
        if not (read_only or path.exists()):
            self._create(epsilon, delta)
        self._chain = Chain(path, read_only=read_only, patience=patience, clock=clock)
        try:
            if not read_only:
                self._lower(epsilon, delta)
        except BaseException:
            self._chain.close()
            raise

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._chain.close()

    @property
    def budget(self) -> Budget:
        """What may be spent on each key."""
        with self._chain.current() as state:
            return state.limit

    def register(self, key: Key, run: str, event: Event, rounds: int) -> str:
        """Fix a run's rounds before the first of them, so that they are accounted tightly.

        Schedules registered before a key's first round are its plan, which may fill the budget:
        noise for it is `noise_multiplier_for(epsilon, plan_delta(delta), ...)`. A later one must
        fit by the Renyi bound. What a schedule may still charge is held back from all other runs,
        until `finish`. To register the same again changes nothing; more rounds add the rest.

        Args:
            key: whose privacy.
            run: by its name.
            event: of every round.
            rounds: of this kind in the run, and a few to spare: a round that crashed has used one.

        Returns:
            The ledger's head.

        Guarantees:
            Not more fits than the budget, all that was charged or registered before included.

        Raises:
            BudgetError: it does not fit; nothing was registered.
            LedgerError: the row could not be written, or a field cannot be.
        """
        return self._chain.add(
            lambda state: decisions.registered(state, self._gate, key, run, event, rounds)
        )

    def finish(self, key: Key, run: str) -> str:
        """Give back what a run's schedules did not charge; what they charged stays.

        Returns:
            The ledger's head.

        Raises:
            LedgerError: the row could not be written.
        """
        return self._chain.add(lambda state: decisions.finished(state, key, run))

    def reserve(
        self, key: Key, run: str, round_number: int, event: Event, *, base: str = ""
    ) -> Reservation:
        """Charge a round, before anything of it is computed.

        Args:
            key: whose privacy.
            run: by its name.
            round_number: in the run, from 0.
            event: what the round costs.
            base: fingerprint of the parameters that it starts from; "" = not stated.

        Returns:
            What `commit` takes: it pays for one result.

        Guarantees:
            The charge is on the disk before this returns, and stays whatever happens then.

        Raises:
            BudgetError: over budget, with the numbers; nothing was charged.
            LedgerError: the row could not be written, or a field cannot be.
        """
        with self._chain.current() as state:  # nobody in this process adds another row between
            self._chain.add(
                lambda now: decisions.reserved(now, self._gate, key, run, round_number, event, base)
            )
            found = state.reservation(state.number)
        assert found is not None  # the row just written
        return found

    def commit(self, reservation: Reservation, fingerprint: str) -> str:
        """Record what a reserved round gave out, before it leaves.

        To commit the same again changes nothing.

        Args:
            reservation: from `reserve`.
            fingerprint: SHA-256 of what is to leave, 64 hexadecimal digits.

        Returns:
            The ledger's head, for the receipt.

        Guarantees:
            A reservation pays for one result: other bytes are refused.

        Raises:
            OutboxError: other bytes were committed for it; these may not leave.
            LedgerError: no such reservation, or the row could not be written.
        """
        return self._chain.add(lambda state: decisions.committed(state, reservation, fingerprint))

    def released(self, key: Key, run: str, round_number: int, *, base: str = "") -> str | None:
        """Fingerprint of what the round gave out last, from these parameters; None if nothing.

        Raises:
            LedgerError: the file cannot be read or was altered.
        """
        with self._chain.current() as state:
            found = state.release(key, run, round_number, base)
        return None if found is None else found.fingerprint

    def resend(
        self, key: Key, run: str, round_number: int, fingerprint: str, *, base: str = ""
    ) -> str:
        """Record that the very bytes of a committed round leave again; that costs nothing.

        Returns:
            The ledger's head, for the receipt.

        Guarantees:
            Passes only for the run, round, parameters and bytes of a commit.

        Raises:
            OutboxError: these bytes were not committed; they may not leave uncharged.
            LedgerError: the row could not be written.
        """
        return self._chain.add(
            lambda state: decisions.resent(state, key, run, round_number, fingerprint, base)
        )

    def spent(self, key: Key, accountant: str = "pld") -> float:
        """Epsilon of all rounds charged, at the budget's delta; 0 for a key never charged.

        Args:
            key: whose.
            accountant: "pld", the tight bound, takes 0.05 to 0.5 s after every round; "rdp", 8 to
                25 % above it, milliseconds.

        Raises:
            ScenarioError: another accountant.
            LedgerError: the file cannot be read or was altered.
        """
        with self._chain.current() as state:
            charges, delta = state.account(key).spent(), state.limit.delta
        return bound(charges, delta, accountant)

    def events(self, key: Key) -> tuple[Event, ...]:
        """All rounds charged, those of one kind together.

        Raises:
            LedgerError: the file cannot be read or was altered.
        """
        with self._chain.current() as state:
            return state.account(key).spent()

    def standing(self, key: Key) -> Standing:
        """How a key stands.

        Raises:
            LedgerError: the file cannot be read or was altered.
        """
        with self._chain.current() as state:
            return self._gate.standing(key, state.account(key), state.limit)

    def keys(self) -> tuple[Key, ...]:
        """Everyone that the ledger has rows about, sorted.

        Raises:
            LedgerError: the file cannot be read or was altered.
        """
        with self._chain.current() as state:
            return tuple(sorted(state.accounts))

    def raise_budget(self, *, epsilon: float, delta: float, reason: str) -> str:
        """Set another budget, larger or smaller, with its reason, for everyone to read.

        Returns:
            The ledger's head.

        Raises:
            BudgetError: no reason, or a number out of range.
            LedgerError: the row could not be written.
        """
        budget = Budget(float(epsilon), float(delta))
        return self._chain.add(lambda _: decisions.changed(budget, reason))

    def head(self) -> str:
        """Hash of the last row.

        Raises:
            LedgerError: the file cannot be read or was altered.
        """
        with self._chain.current() as state:
            return state.head

    def entries(self) -> tuple[Row, ...]:
        """All rows, first to last, read and checked again.

        Raises:
            LedgerError: the file cannot be read or was altered.
        """
        return tuple(row for row, _, _ in self._chain.rows())

    def lines(self) -> tuple[tuple[str, str], ...]:
        """All rows as they are stored, line and hash, read and checked again.

        Raises:
            LedgerError: the file cannot be read or was altered.
        """
        return tuple((line, digest) for _, line, digest in self._chain.rows())

    def require_contains(self, *hashes: str) -> None:
        """Refuse a ledger that lacks rows which others saw: it is an older copy, or another one.

        Args:
            hashes: heads that receipts, the server or a person kept (`recorded_heads`).

        Raises:
            LedgerError: names the first hash that is not there.
        """
        with self._chain.current() as state:
            unknown = [each for each in enumerate(hashes, start=1) if each[1] not in state.hashes]
        if unknown:
            number, first = unknown[0]
            raise LedgerError(
                f"the ledger {self.path} was rolled back: entry {first[:12]}, {number} of "
                f"{len(hashes)} on record elsewhere, is not in it",
                hint="an older copy was put back, or this is another ledger; put the newest copy "
                "back: what was spent since is spent twice otherwise",
            )

    def verify(self) -> int:
        """Read and check every row again; how many there are.

        Raises:
            LedgerError: names the first row that was altered, or that rows known here are gone.
        """
        return len(self._chain.rows())

    def _create(self, epsilon: float | None, delta: float | None) -> None:
        if epsilon is None or delta is None:
            raise missing(self.path)
        budget = Budget(float(epsilon), float(delta))
        row = Opened(
            number=1,
            previous=ROOT,
            time=float(self._clock()),
            epsilon=budget.epsilon,
            delta=budget.delta,
        )
        create(self.path, *sealed(row))

    def _lower(self, epsilon: float | None, delta: float | None) -> None:
        """Take a smaller budget for good; refuse a larger one."""
        if epsilon is not None or delta is not None:
            self._chain.add(lambda state: decisions.lowered(state, epsilon, delta))
