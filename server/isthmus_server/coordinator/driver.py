"""One run, from where its checkpoints end to where something ends it: its last round, or a wish."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from isthmus.audit_log import AuditLog
from isthmus.errors import IdentityError
from isthmus.federation_contract_signing import verify_contract
from isthmus.parameters import Shared
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.coordinator.journal import Journal
from isthmus_server.coordinator.numbers import SESSIONS, SessionNumbers
from isthmus_server.flower.faults import InterruptedWaitError
from isthmus_server.flower.initial import ask_platforms, from_release
from isthmus_server.flower.records import to_arrays
from isthmus_server.flower.remote_grid import RemoteGrid
from isthmus_server.flower.strategy import FederationStrategy
from isthmus_server.from_contract import server_config
from isthmus_server.history import RoundRecord
from isthmus_server.server_home import ServerHome
from isthmus_server.state import RunRow, State

_SAY_S = 0.5  # between two reasons that are written down
_JOIN_S = 5.0  # for which a round that is about to start waits for a platform that just left
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wishes:
    """What the operator wants, asked again and again.

    Attributes:
        now: a reason to leave a round under way; "" = none.
        between: a reason not to begin another round; "" = none.
    """

    now: Callable[[], str]
    between: Callable[[], str]


class Driver:
    """Drives one run over a grid.

    Args:
        home: the server's.
        state: the server's.
        log: the server's audit log.
        row: the run.
        wishes: the operator's.
        server: the server's Ed25519 identity, 32 raw bytes.

    Raises:
        IdentityError: the contract in the state is not the one that was signed.
        MessageRefusedError: it is no contract of this release.
        ScenarioError: it asks for a rule that does not exist.
    """

    def __init__(
        self,
        home: ServerHome,
        state: State,
        log: AuditLog,
        row: RunRow,
        wishes: Wishes,
        *,
        server: bytes,
    ) -> None:
        self.contract = verify_contract(row.contract, row.signature, server)
        if self.contract.run != row.id:
            raise IdentityError(
                f"the contract of run {row.id!r} in the state is that of {self.contract.run!r}",
                hint="restore the state from a backup",
            )
        self.config = server_config(self.contract, join_deadline_s=_JOIN_S)
        self.store = CheckpointStore(home.rounds(row.id))
        self.journal = Journal(state, log, self.contract)
        self._numbers = SessionNumbers(home.rounds(row.id).parent / SESSIONS)
        self._home, self._state, self._row, self._wishes = home, state, row, wishes
        self._told, self._said = "", 0.0  # what the strategy waits for; when that was written

    @property
    def next_round(self) -> int:
        """The round after the last one that was written down."""
        return self.journal.reached() + 1

    def run(self, grid: RemoteGrid) -> None:
        """Go on up to the end of the run.

        Raises:
            InterruptedWaitError: a wish came in between; it is in the state.
            FederationError, AggregationError: a round failed; the state before it stays good.
            ServiceError: the SuperLink is not there.
            ResumeError: the checkpoints are of another run.
            OSError: the disk is full; the round before stays good.
        """
        grid.renew()
        initial = self._initial(grid)
        self._catch_up(initial)
        self._tell()
        strategy = FederationStrategy(
            self.config,
            self.store,
            self._committed,
            interrupt=self._interrupted,
            tell=self._hear,
            attempts=self._attempt,
        )
        strategy.start(grid, to_arrays(initial))

    def _initial(self, grid: RemoteGrid) -> Shared:
        """The parameters of round 0: those of the checkpoint, once there is one."""
        if (self.store.folder / "round-00000.json").exists():
            return self.store.parameters(0)
        if self.contract.initial != "seed":
            return from_release(self.contract, self._home.releases)
        self._say("asks the platforms for the initial parameters")
        return ask_platforms(self.contract, grid)

    def _catch_up(self, initial: Shared) -> None:
        """Write down rounds that were saved by a coordinator that died before it could."""
        if (saved := self.store.latest(self.config, initial)) is not None:
            self.journal.rounds(saved.history, self._row.attempt)

    def _committed(self, record: RoundRecord) -> None:
        """After each round that was saved."""
        row = self._state.runs.get(self._row.id)
        self.journal.round(record, row.attempt if row else 0)
        if reason := self._wishes.now() or self._wishes.between():
            raise InterruptedWaitError(reason)
        self._tell()

    def _attempt(self) -> int:
        """Count another session; its number for the platforms, never used in this run before."""
        row = self._state.runs.get(self._row.id)
        attempt = (row.attempt if row else self._row.attempt) + 1
        self._state.runs.set(self._row.id, attempt=attempt)
        return self._numbers()

    def _hear(self, told: str) -> None:
        """What the strategy waits for; written down a moment later, as it soon changes."""
        self._told = told

    def _interrupted(self) -> str:
        """Asked by the strategy about once a second: whether to leave the round."""
        if self._told and time.monotonic() - self._said > _SAY_S:
            self._say(self._told)
        return self._wishes.now()

    def _tell(self) -> None:
        self._say(f"round {self.next_round} of at most {self.contract.rounds} is under way")

    def _say(self, reason: str) -> None:
        self._said, self._told = time.monotonic(), ""
        self._state.runs.set(self._row.id, status="running", reason=reason)
