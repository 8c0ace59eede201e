"""The server's state: one door to all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from isthmus_server.state.clock import Clock, utc_now
from isthmus_server.state.database import Database, connect
from isthmus_server.state.events import Events
from isthmus_server.state.invitations import Invitations
from isthmus_server.state.platforms import Platforms
from isthmus_server.state.releases import Releases
from isthmus_server.state.rounds import Rounds
from isthmus_server.state.runs import Runs
from isthmus_server.state.schema import bring_up


class State:
    """Platforms, invitations, runs, rounds, events and releases in one database.

    Each call is one transaction. Safe for many threads and many processes; a process that is
    forked must open its own.

    Attributes:
        place: the database, for a message: without user and password.
    """

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self.database = database
        self.place = database.place
        self.platforms = Platforms(database, clock)
        self.invitations = Invitations(database, clock)
        self.runs = Runs(database, clock)
        self.rounds = Rounds(database, clock)
        self.events = Events(database, clock)
        self.releases = Releases(database, clock)

    def close(self) -> None:
        """Let go of every connection."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_state(url_or_path: str | Path, *, clock: Clock = utc_now) -> State:
    """Open the state, made or brought up to date where need be.

    Args:
        url_or_path: a file, or a URL of SQLite or PostgreSQL.
        clock: what time it is.

    Raises:
        StateError: it cannot be reached, read or written, or a newer version made it.
    """
    database = connect(url_or_path)
    try:
        bring_up(database)
    except BaseException:
        database.close()
        raise
    return State(database, clock)
