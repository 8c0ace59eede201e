"""Runs: what is, what the operator wants, and what the platforms answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from isthmus.errors import StateError
from isthmus_server.state import tables
from isthmus_server.state.clock import Clock
from isthmus_server.state.database import Database
from isthmus_server.state.reading import value_of, value_or_none
from isthmus_server.state.rows import Decision, DecisionRow, RunRow, RunStatus, Wanted

_TABLE = tables.runs
_NEW: Final = "waits for the coordinator: isthmus server up"


@dataclass(frozen=True)
class Runs:
    """The runs, and the platforms' decisions on them."""

    database: Database
    clock: Clock

    def propose(
        self,
        run: str,
        *,
        contract: bytes,
        contract_sha256: str,
        signature: bytes,
        reason: str = _NEW,
    ) -> RunRow:
        """A new run, which the platforms are asked to approve.

        Returns:
            The run that is there already, where its contract is the very same.

        Raises:
            StateError: another contract has this id.
        """
        values = {"id": run, "contract": contract, "contract_sha256": contract_sha256}
        values |= {"signature": signature, "reason": reason, "status": "proposed", "wanted": "run"}
        now = self.clock()
        with self.database.write() as connection:
            there = _locked(connection, run)
            if there is not None and there.contract == contract:
                return there
            if there is not None:
                raise StateError(f"there is a run {run!r} already", hint="choose another name")
            zero = {"round": 0, "attempt": 0, "created": now, "updated": now}
            query = insert(_TABLE).values(**values, **zero).returning(_TABLE)
            return value_of(RunRow, connection.execute(query).one())

    def get(self, run: str) -> RunRow | None:
        """The run; None = there is none of this id."""
        with self.database.read() as connection:
            found = connection.execute(select(_TABLE).where(_TABLE.c.id == run)).first()
        return value_or_none(RunRow, found)

    def list(self) -> tuple[RunRow, ...]:
        """All of them, the oldest first."""
        query = select(_TABLE).order_by(_TABLE.c.created, _TABLE.c.id)
        with self.database.read() as connection:
            return tuple(value_of(RunRow, each) for each in connection.execute(query))

    def want(self, run: str, what: Wanted) -> RunRow:
        """The operator's wish, which the coordinator fulfils between two rounds.

        Raises:
            StateError: there is no such run, or it is finished.
        """
        with self.database.write() as connection:
            row = _require(connection, run)
            if row.status == "finished":
                raise StateError(f"the run {run!r} is finished", hint="start another run")
            return self._changed(connection, run, {"wanted": what})

    def set(
        self,
        run: str,
        *,
        status: RunStatus | None = None,
        reason: str | None = None,
        round: int | None = None,  # noqa: A002 - the row's own name
        attempt: int | None = None,
    ) -> RunRow:
        """What the coordinator found; None leaves a value as it is.

        Raises:
            StateError: there is no such run, or it would be without a reason and not finished.
        """
        given = {"status": status, "reason": reason, "round": round, "attempt": attempt}
        values = {name: value for name, value in given.items() if value is not None}
        with self.database.write() as connection:
            row = _require(connection, run)
            if (
                not values.get("reason", row.reason)
                and values.get("status", row.status) != "finished"
            ):
                raise StateError(f"the run {run!r} would be {row.status} without a reason")
            return self._changed(connection, run, values)

    def rollback(self, run: str, to: int) -> RunRow:
        """The operator's wish to go back; the coordinator fulfils it between two rounds.

        Raises:
            StateError: there is no such run, or it has not come so far.
        """
        with self.database.write() as connection:
            row = _require(connection, run)
            if not 0 <= to <= row.round:
                raise StateError(
                    f"the run {run!r} cannot go back to round {to}: its last is {row.round}",
                    hint=f"name a round from 0 to {row.round}",
                )
            return self._changed(connection, run, {"rollback_to": to})

    def rolled_back(self, run: str) -> RunRow:
        """The wish of `rollback` is fulfilled: later rounds are forgotten, in one step.

        Call it after the checkpoints are gone. The attempt keeps growing, so that no round is
        ever asked for twice under the same number.
        """
        with self.database.write() as connection:
            row = _require(connection, run)
            if row.rollback_to is None:
                return row
            forget_after(connection, run, row.rollback_to)
            values = {"round": row.rollback_to, "rollback_to": None, "attempt": row.attempt + 1}
            return self._changed(connection, run, values)

    def decide(
        self, run: str, platform: str, decision: Decision, reason: str, signature: bytes
    ) -> DecisionRow:
        """A platform's answer; its last one counts.

        Raises:
            StateError: there is no such run.
        """
        table = tables.decisions
        mine = (table.c.run == run) & (table.c.platform == platform)
        values = {"run": run, "platform": platform, "decision": decision, "reason": reason}
        with self.database.write() as connection:
            _require(connection, run)  # locked: two answers come one after the other
            there = connection.execute(select(table).where(mine)).first()
            same = there is not None and there.decision == decision and there.reason == reason
            if there is not None and same and there.signature == signature:
                return value_of(DecisionRow, there)
            connection.execute(delete(table).where(mine))
            new = insert(table).values(signature=signature, at=self.clock(), **values)
            return value_of(DecisionRow, connection.execute(new.returning(table)).one())

    def decisions(self, run: str) -> tuple[DecisionRow, ...]:
        """What the platforms answered, by name."""
        query = select(tables.decisions).where(tables.decisions.c.run == run)
        with self.database.read() as connection:
            found = connection.execute(query).all()
        return tuple(sorted((value_of(DecisionRow, each) for each in found), key=_platform))

    def _changed(self, connection: Connection, run: str, values: Mapping[str, Any]) -> RunRow:
        query = update(_TABLE).where(_TABLE.c.id == run).values(updated=self.clock(), **values)
        return value_of(RunRow, connection.execute(query.returning(_TABLE)).one())


def forget_after(connection: Connection, run: str, number: int) -> int:
    """Delete the rows of the rounds after `number`; how many those were."""
    table = tables.rounds
    later = delete(table).where(table.c.run == run, table.c.round > number)
    return int(connection.execute(later).rowcount)


def _platform(row: DecisionRow) -> str:
    return row.platform


def _locked(connection: Connection, run: str) -> RunRow | None:
    query = select(_TABLE).where(_TABLE.c.id == run).with_for_update()
    found = connection.execute(query).first()
    return value_or_none(RunRow, found)


def _require(connection: Connection, run: str) -> RunRow:
    row = _locked(connection, run)
    if row is None:
        known = ", ".join(sorted(connection.execute(select(_TABLE.c.id)).scalars())) or "none"
        raise StateError(f"there is no run {run!r}", hint=f"known runs: {known}")
    return row
