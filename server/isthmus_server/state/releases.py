"""Which releases there are; the files are beside, in the server's folder."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import insert, select, update

from isthmus.errors import StateError
from isthmus_server.state import tables
from isthmus_server.state.clock import Clock
from isthmus_server.state.database import Database
from isthmus_server.state.reading import value_of, value_or_none
from isthmus_server.state.rows import ReleaseRow

_TABLE = tables.releases


@dataclass(frozen=True)
class Releases:
    """The rows of releases."""

    database: Database
    clock: Clock

    def add(
        self,
        release: str,
        *,
        run: str,
        round: int,  # noqa: A002 - the row's own name
        sha256: str,
        path: str,
        signature: bytes,
    ) -> ReleaseRow:
        """Note a release whose files are on disk.

        Returns:
            The row that is there already, where it names the very same encoder.

        Raises:
            StateError: another encoder has this id.
        """
        values = {"id": release, "run": run, "round": round, "sha256": sha256, "path": path}
        with self.database.write() as connection:
            mine = _TABLE.c.id == release
            there = connection.execute(select(_TABLE).where(mine).with_for_update()).first()
            if there is not None:
                return _same(value_of(ReleaseRow, there), sha256)
            more = {"signature": signature, "created": self.clock(), "withdrawn_reason": ""}
            query = insert(_TABLE).values(**values, **more).returning(_TABLE)
            return value_of(ReleaseRow, connection.execute(query).one())

    def list(self) -> tuple[ReleaseRow, ...]:
        """All of them, the oldest first; withdrawn ones too."""
        query = select(_TABLE).order_by(_TABLE.c.created, _TABLE.c.id)
        with self.database.read() as connection:
            return tuple(value_of(ReleaseRow, each) for each in connection.execute(query))

    def get(self, release: str) -> ReleaseRow | None:
        """The release; None = there is none of this id."""
        with self.database.read() as connection:
            found = connection.execute(select(_TABLE).where(_TABLE.c.id == release)).first()
        return value_or_none(ReleaseRow, found)

    def withdraw(self, release: str, reason: str) -> ReleaseRow:
        """Take it back; the first reason stays.

        Raises:
            StateError: there is no such release.
        """
        mine = _TABLE.c.id == release
        values = {"withdrawn": self.clock(), "withdrawn_reason": reason}
        with self.database.write() as connection:
            open_one = update(_TABLE).where(mine, _TABLE.c.withdrawn.is_(None)).values(**values)
            connection.execute(open_one)
            found = connection.execute(select(_TABLE).where(mine)).first()
        if found is None:
            raise StateError(
                f"there is no release {release!r}", hint="list them: isthmus server release list"
            )
        return value_of(ReleaseRow, found)


def _same(row: ReleaseRow, sha256: str) -> ReleaseRow:
    if row.sha256 != sha256:
        raise StateError(
            f"the release {row.id!r} is another encoder: {row.sha256[:16]}, not {sha256[:16]}",
            hint="releases are never replaced; release a later round",
        )
    return row
