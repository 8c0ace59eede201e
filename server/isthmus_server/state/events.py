"""What an operator may want to know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, desc, insert, select, update

from isthmus_server.state import tables
from isthmus_server.state.clock import Clock
from isthmus_server.state.column_types import storable
from isthmus_server.state.database import Database
from isthmus_server.state.reading import value_of
from isthmus_server.state.rows import EventRow, Level

_TABLE = tables.events
_SAME_WITHIN: Final = timedelta(minutes=1)
_LONGEST: Final = 2_000  # characters of a text; a platform may have written a part of it


@dataclass(frozen=True)
class Events:
    """Events, the newest last in the table and first in a list."""

    database: Database
    clock: Clock

    def add(
        self,
        level: Level,
        kind: str,
        text: str,
        *,
        platform: str | None = None,
        run: str | None = None,
    ) -> None:
        """Tell an operator something. The same again within a minute is counted, not repeated."""
        with self.database.write() as connection:
            write_event(connection, self.clock(), level, kind, text, platform=platform, run=run)

    def list(
        self, *, run: str | None = None, level: Level | None = None, limit: int = 100
    ) -> tuple[EventRow, ...]:
        """The newest first.

        Args:
            run: of this run alone.
            level: of this level alone.
            limit: how many at most.
        """
        query = select(_TABLE).order_by(desc(_TABLE.c.id)).limit(limit)
        if run is not None:
            query = query.where(_TABLE.c.run == storable(run))
        if level is not None:
            query = query.where(_TABLE.c.level == level)
        with self.database.read() as connection:
            return tuple(value_of(EventRow, each) for each in connection.execute(query))


def write_event(
    connection: Connection,
    now: datetime,
    level: Level,
    kind: str,
    text: str,
    *,
    platform: str | None,
    run: str | None,
) -> None:
    """Like `Events.add`, within a transaction."""
    words = storable(text)[:_LONGEST]
    same = (
        select(_TABLE.c.id)
        .where(_TABLE.c.kind == kind, _TABLE.c.text == words, _TABLE.c.level == level)
        .where(_TABLE.c.platform.is_not_distinct_from(platform))
        .where(_TABLE.c.run.is_not_distinct_from(run))
        .where(_TABLE.c.last > now - _SAME_WITHIN)
        .order_by(desc(_TABLE.c.id))
        .limit(1)
    )
    there = connection.execute(same).scalar()
    if there is not None:
        again = {"times": _TABLE.c.times + 1, "last": now}
        connection.execute(update(_TABLE).where(_TABLE.c.id == there).values(**again))
        return
    values = {"at": now, "last": now, "times": 1, "level": level, "kind": kind, "text": words}
    connection.execute(insert(_TABLE).values(platform=platform, run=run, **values))
