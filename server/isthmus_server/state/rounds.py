"""Committed rounds: each counts once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update

from isthmus.errors import StateError
from isthmus_server.state import tables
from isthmus_server.state.clock import Clock
from isthmus_server.state.column_types import to_json
from isthmus_server.state.database import Database
from isthmus_server.state.reading import value_of
from isthmus_server.state.rows import RoundRow
from isthmus_server.state.runs import forget_after

_TABLE = tables.rounds


@dataclass(frozen=True)
class Rounds:
    """The rounds of all runs."""

    database: Database
    clock: Clock

    def commit(
        self,
        run: str,
        round: int,  # noqa: A002 - the row's own name
        attempt: int,
        *,
        record: Mapping[str, Any],
        fingerprint: str,
        seconds: float,
    ) -> bool:
        """Note a round whose checkpoint is on disk, and that its run has come so far; in one step.

        Args:
            record: plain JSON.
            seconds: finite.

        Returns:
            False where it was noted before: a coordinator that died in between says it again.

        Raises:
            StateError: the round was committed with other parameters; the run is not known; a
                value is no plain JSON.
        """
        _refuse_odd(record, seconds)
        key = {"run": run, "round": round}
        values = {"attempt": attempt, "record": dict(record), "fingerprint": fingerprint}
        with self.database.write() as connection:
            runs = tables.runs
            locked = select(runs.c.round).where(runs.c.id == run).with_for_update()
            reached = connection.execute(locked).scalar()
            if reached is None:
                raise StateError(f"there is no run {run!r}")
            here = (_TABLE.c.run == run) & (_TABLE.c.round == round)
            there = connection.execute(select(_TABLE.c.fingerprint).where(here)).scalar()
            if there is not None:
                _refuse_other(run, round, there, fingerprint)
                return False
            now = self.clock()
            connection.execute(
                insert(_TABLE).values(seconds=seconds, committed=now, **key, **values)
            )
            far = {"round": max(reached, round), "updated": now}
            connection.execute(update(runs).where(runs.c.id == run).values(**far))
            return True

    def list(self, run: str) -> tuple[RoundRow, ...]:
        """The rounds of a run, the first one first."""
        query = select(_TABLE).where(_TABLE.c.run == run).order_by(_TABLE.c.round)
        with self.database.read() as connection:
            return tuple(value_of(RoundRow, each) for each in connection.execute(query))

    def after(self, run: str, round: int) -> int:  # noqa: A002
        """Forget the rounds after this one; how many those were. See `Runs.rolled_back`."""
        with self.database.write() as connection:
            return forget_after(connection, run, round)


def _refuse_odd(record: Mapping[str, Any], seconds: float) -> None:
    try:
        to_json(dict(record))
    except (ValueError, TypeError) as error:
        raise StateError(f"a round's record is no plain JSON: {error}") from None
    if not math.isfinite(seconds):
        raise StateError(f"a round cannot take {seconds} seconds")


def _refuse_other(run: str, number: int, theirs: str, ours: str) -> None:
    if theirs != ours:
        raise StateError(
            f"round {number} of {run!r} is committed with the parameters {theirs[:16]}, "
            f"not with {ours[:16]}",
            hint=f"go back first: isthmus server run rollback {run} --round {number - 1}",
        )
