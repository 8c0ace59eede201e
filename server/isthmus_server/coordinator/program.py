"""The coordinator's loop: look at the runs, fulfil the operator's wishes, drive one run."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Final

from isthmus.audit_log import AuditLog
from isthmus.errors import (
    AggregationError,
    FederationError,
    IdentityError,
    IsthmusError,
    MessageRefusedError,
    ResumeError,
    ScenarioError,
    ServiceError,
    StateError,
)
from isthmus.identity import load_signing_key, public_raw
from isthmus_server.coordinator.driver import Driver, Wishes
from isthmus_server.coordinator.endings import Endings
from isthmus_server.coordinator.obstacles import Outlook, next_run, outlook
from isthmus_server.flower.faults import InterruptedWaitError
from isthmus_server.flower.initial import DisagreementError
from isthmus_server.flower.private_link import PrivateLink
from isthmus_server.flower.remote_grid import RemoteGrid
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import Settings
from isthmus_server.state import RunRow, State

_LOOK_S: Final = 0.25  # between two looks at the runs
_WISH_S: Final = 0.5  # for which a wish that was read counts
_LONGEST_S: Final = 60.0  # between two tries of a round
_PROBE_S: Final = 2.0  # for the SuperLink to say who is there
_SILENT_BEATS: Final = 3  # heartbeats without which a platform counts as gone
_STRAGGLER_BEATS: Final = 2  # for which a round waits for members that may still come
_RETRIED: Final = (FederationError, AggregationError, ServiceError, StateError, OSError)
_PERMANENT: Final = (
    DisagreementError,
    IdentityError,
    MessageRefusedError,
    ResumeError,
    ScenarioError,
)
_log = logging.getLogger(__name__)


@dataclass
class _Trouble:
    """Failed tries of a run's round, one after the other."""

    tries: int = 0
    until: float = 0.0  # time.monotonic before which it is not tried again
    quorum_since: float | None = None


@dataclass
class Coordinator:
    """Brings runs to where the operator wants them, one at a time.

    Attributes:
        home: the server's.
        settings: the server's.
        state: the server's.
        stop: set when the process is to end.
    """

    home: ServerHome
    settings: Settings
    state: State
    stop: Event
    _troubles: dict[str, _Trouble] = field(default_factory=dict)
    _looked: float = -_WISH_S
    _seen: str = ""

    def __post_init__(self) -> None:
        key = load_signing_key(self.home.identity / "signing.key")
        self._server = public_raw(key)
        self._log = AuditLog(self.home.audit, key)
        self._ends = Endings(self.home, self.state, self._log)
        self._probe = PrivateLink(self.home, interrupt=self._stopping, patience_s=_PROBE_S)

    def run(self) -> None:
        """Work until told to stop; whatever goes wrong is told, and tried again."""
        try:
            while not self.stop.is_set():
                try:
                    busy = self.step()
                except (IsthmusError, OSError) as error:
                    _log.error("%s %s", error, getattr(error, "hint", ""))
                    busy = False
                if not busy:
                    self.stop.wait(_LOOK_S)
        finally:
            self._probe.close()

    def step(self) -> bool:
        """One look at all runs; whether a run was driven.

        Raises:
            StateError: the state cannot be read or written.
        """
        rows = self.state.runs.list()
        for row in rows:
            self._ends.fulfil(row)
        chosen = next_run(self.state.runs.list())
        if chosen is None:
            return False
        self._tend_others(chosen.id)
        return self._attend(chosen)

    def _tend_others(self, driven: str) -> None:
        """Fulfil what is wanted of the runs that are not driven now, and tell what they wait for.

        Raises:
            StateError: the state cannot be read or written.
        """
        for row in self.state.runs.list():
            if row.id == driven:
                continue
            self._ends.fulfil(row)
            if row.wanted == "run" and row.status != "finished" and row.rollback_to is None:
                self._say(row, f"waits for run {driven}")

    # The operator's wishes

    def _stopping(self) -> str:
        return "the coordinator stops" if self.stop.is_set() else ""

    def _wish(self, run: str) -> str:
        """What is wanted of a run other than to run, at most half a second old."""
        now = time.monotonic()
        if now - self._looked >= _WISH_S:
            row = self.state.runs.get(run)
            back = row is not None and row.rollback_to is not None
            self._seen = "rollback" if back else (row.wanted if row else "stop")
            self._looked = now
            self._tend_others(run)
        return self._seen

    def _wishes(self, run: str) -> Wishes:
        def now() -> str:
            if reason := self._stopping():
                return reason
            wish = self._wish(run)
            return f"{wish} by the operator" if wish in {"stop", "rollback"} else ""

        def between() -> str:
            return "pause by the operator" if self._wish(run) == "pause" else ""

        return Wishes(now, between)

    # A run

    def _attend(self, row: RunRow) -> bool:
        """Drive a run if nothing keeps it; whether it was driven."""
        trouble = self._troubles.setdefault(row.id, _Trouble())
        if time.monotonic() < trouble.until:
            return False
        self._looked = -_WISH_S
        wishes = self._wishes(row.id)
        try:
            driver = Driver(self.home, self.state, self._log, row, wishes, server=self._server)
            reason = self._waits(driver, row, trouble)
            if reason:
                self._say(row, reason)
                return False
            row = self._next_attempt(row)
            with closing(PrivateLink(self.home, interrupt=wishes.now)) as link:
                driver.run(self._grid(driver, link, wishes))
        except InterruptedWaitError as reason:
            _log.info("run %s: %s", row.id, reason)
        except _PERMANENT as error:
            self._ends.fail(row, error)
        except _RETRIED as error:
            self._again(row, error, trouble)
        except IsthmusError as error:
            self._ends.fail(row, error)
        except Exception as error:  # noqa: BLE001 - our mistake must not leave a run unexplained
            _log.exception("run %s", row.id)
            self._again(row, error, trouble)
        else:
            self._ends.finish(row)
            self._troubles.pop(row.id, None)
        return True

    def _next_attempt(self, row: RunRow) -> RunRow:
        """Count the try before it begins: one that is killed has used its number up."""
        return self.state.runs.set(row.id, attempt=row.attempt + 1)

    def _waits(self, driver: Driver, row: RunRow, trouble: _Trouble) -> str:
        """What the run waits for; "" = nothing."""
        try:
            found = self._outlook(driver, row)
        except ServiceError as error:
            return f"waits for the SuperLink: {error}"
        now = time.monotonic()
        if found.reason:
            trouble.quorum_since = None
            return found.reason
        trouble.quorum_since = trouble.quorum_since or now
        patience = _STRAGGLER_BEATS * self.settings.heartbeat_s
        if found.complete or driver.next_round > 1 or now - trouble.quorum_since > patience:
            return ""
        return f"waits a moment for the other members; there are {', '.join(found.ready)}"

    def _outlook(self, driver: Driver, row: RunRow) -> Outlook:
        contract = driver.contract
        approved = {each.name for each in self.state.platforms.approved()}
        decisions = self.state.runs.decisions(row.id)
        online = self._online(approved)
        return outlook(contract.members.keys(), contract.minimum, decisions, approved, online)

    def _online(self, approved: Collection[str]) -> set[str]:
        """Platforms that Flower and, where they have one, their session hears of."""
        silence = max(_SILENT_BEATS * self.settings.heartbeat_s, 10.0)
        since = datetime.now(UTC) - timedelta(seconds=silence)
        rows = {each.name: each for each in self.state.platforms.list()}
        there = {node.name for node in self._probe.nodes() if node.online}
        return {
            name
            for name in there & {*approved}
            if (seen := rows[name].last_seen) is None or seen >= since
        }

    def _grid(self, driver: Driver, link: PrivateLink, wishes: Wishes) -> RemoteGrid:
        """To the members that agreed and may take part, as of each round."""

        def allowed() -> Collection[str]:
            row = self.state.runs.get(driver.contract.run)
            return self._outlook(driver, row).ready if row else ()

        return RemoteGrid(link, wishes.now, allowed)

    def _again(self, row: RunRow, error: Exception, trouble: _Trouble) -> None:
        """Tell what went wrong, and try the round again after a while."""
        current = self.state.runs.get(row.id)
        came_on = current is not None and current.round > row.round
        trouble.tries = 1 if came_on else trouble.tries + 1
        pause = min(self.settings.retry_s * 2 ** (trouble.tries - 1), _LONGEST_S)
        trouble.until = time.monotonic() + pause
        self._ends.again(row, error, pause)

    def _say(self, row: RunRow, reason: str) -> None:
        """Tell why a run does not go on, where that is news."""
        status = "running" if row.round or row.status == "running" else "proposed"
        if (row.reason, row.status) != (reason, status):
            self.state.runs.set(row.id, status=status, reason=reason)  # type: ignore[arg-type]
