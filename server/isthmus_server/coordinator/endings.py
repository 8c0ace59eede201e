"""How a run stops going on: by the operator's wish, by a failure, or because it is finished."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.audit_log import AuditLog
from isthmus.files import is_full
from isthmus_server.coordinator.rewind import rewind
from isthmus_server.server_home import ServerHome
from isthmus_server.state import RunRow, RunStatus, State


@dataclass(frozen=True)
class Endings:
    """Writes down what became of runs, each with its reason.

    Attributes:
        home: the server's.
        state: the server's.
        log: the server's audit log.
    """

    home: ServerHome
    state: State
    log: AuditLog

    def fulfil(self, row: RunRow) -> None:
        """Pause, stop or go back, as the operator wants; nothing of the run is under way now.

        Raises:
            StateError, AuditError, OSError: it could not be written down; it is asked for again.
        """
        if row.rollback_to is not None:
            self._roll_back(row, row.rollback_to)
        elif row.status == "finished":
            return
        elif row.wanted == "stop" and row.status not in {"stopped", "failed"}:
            self._over(row, "stopped", "stopped by the operator")
        elif row.wanted == "pause" and row.status != "paused":
            self._over(row, "paused", f"paused by the operator after round {row.round}")

    def again(self, row: RunRow, error: Exception, pause: float) -> None:
        """A try of a round failed.

        Args:
            row: of the run, with the number of the try.
            error: what went wrong.
            pause: seconds before the next try.
        """
        told = str(error) or type(error).__name__
        if is_full(error):
            told = f"the server's disk is full ({told}); make room: nothing is lost"
        reason = f"attempt {row.attempt} failed: {told}; tried again in {pause:.3g} s"
        self.state.runs.set(row.id, status="running", reason=reason)
        kind = str(getattr(error, "alarm", "") or "round-failed")
        self.state.events.add("warning", kind, told, run=row.id)

    def fail(self, row: RunRow, error: Exception) -> None:
        """Give a run up until the operator wants it again."""
        reason = f"{error} {getattr(error, 'hint', '')}".strip()
        self.state.runs.set(row.id, status="failed", reason=reason)
        self.state.runs.want(row.id, "stop")
        self.state.events.add("alarm", "run-failed", reason, run=row.id)
        self.log.append({"kind": "run failed", "run": row.id, "reason": reason[:500]})

    def finish(self, row: RunRow) -> None:
        """The last round is committed and evaluated."""
        current = self.state.runs.get(row.id)
        last = current.round if current else row.round
        self.log.append({"kind": "run finished", "run": row.id, "round": last})
        self.state.runs.set(row.id, status="finished", reason="")
        self.state.events.add("info", "run-finished", f"finished after {last} rounds", run=row.id)

    def _over(self, row: RunRow, status: RunStatus, reason: str) -> None:
        self.log.append({"kind": f"run {status}", "run": row.id, "round": row.round})
        self.state.runs.set(row.id, status=status, reason=reason)
        self.state.events.add("info", f"run-{status}", reason, run=row.id)

    def _roll_back(self, row: RunRow, to: int) -> None:
        self.log.append({"kind": "run rolled back", "run": row.id, "round": to})
        rewind(self.home.rounds(row.id), to)
        self.state.runs.rolled_back(row.id)
        reason = f"rolled back to round {to} by the operator"
        self.state.runs.set(row.id, status=_after_rollback(row), reason=reason)
        self.state.events.add("warning", "run-rolled-back", reason, run=row.id)


def _after_rollback(row: RunRow) -> RunStatus | None:
    """A run that is wanted goes on; one that is paused or stopped stays so."""
    return "proposed" if row.wanted == "run" else None
