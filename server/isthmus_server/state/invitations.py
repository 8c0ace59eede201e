"""One-time tokens by which a platform may ask to join.

Guarantees:
    A token is 32 random bytes. Only its SHA-256 is stored, so whoever reads the state or a backup
    of it cannot join with what he finds there. Of two that use a token at once, one succeeds.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, insert, select, update

from isthmus.errors import IdentityError, StateError
from isthmus_server.state import tables
from isthmus_server.state.clock import Clock
from isthmus_server.state.database import Database
from isthmus_server.state.reading import value_of
from isthmus_server.state.rows import InvitationRow

TOKEN_BYTES: Final = 32
_TABLE = tables.invitations
_ANEW: Final = "ask the operator for another: isthmus server invite NAME"


@dataclass(frozen=True)
class Invitations:
    """Invitations, each for one name."""

    database: Database
    clock: Clock

    def create(self, name: str, valid_hours: float) -> str:
        """A new token, which nobody can read again; older ones for the name are withdrawn.

        Raises:
            StateError: the hours are not above 0, or beyond what a calendar holds.
        """
        now, token = self.clock(), secrets.token_urlsafe(TOKEN_BYTES)
        try:
            expires = now + timedelta(hours=valid_hours)
        except (OverflowError, ValueError):
            expires = now
        if expires <= now:
            raise StateError(f"an invitation cannot be valid for {valid_hours} hours")
        with self.database.write() as connection:
            _withdraw(connection, name, now)
            values = {"token_sha256": _hash(token), "name": name, "created": now}
            connection.execute(insert(_TABLE).values(expires=expires, **values))
        return token

    def use(self, token: str, name: str) -> None:
        """Use up a token; `Platforms.enrol` does so together with adding the platform.

        Raises:
            IdentityError: it is unknown, for another name, used, withdrawn or too old.
        """
        with self.database.write() as connection:
            use_token(connection, token, name, self.clock(), again=False)

    def list(self) -> tuple[InvitationRow, ...]:
        """All that ever were, the oldest first."""
        query = select(_TABLE).order_by(_TABLE.c.created, _TABLE.c.token_sha256)
        with self.database.read() as connection:
            return tuple(value_of(InvitationRow, each) for each in connection.execute(query))

    def withdraw(self, name: str) -> int:
        """Take back what was not used yet for this name; how many those were."""
        with self.database.write() as connection:
            return _withdraw(connection, name, self.clock())


def use_token(connection: Connection, token: str, name: str, now: datetime, *, again: bool) -> None:
    """Use up a token within a transaction.

    Args:
        again: whether one that this name has used already is good, as an answer may get lost.

    Raises:
        IdentityError: as of `Invitations.use`.
    """
    mine = _TABLE.c.token_sha256 == _hash(token)
    row = connection.execute(select(_TABLE).where(mine).with_for_update()).first()
    if row is None or row.name != name:
        raise IdentityError(f"this token is no invitation for {name!r}", hint=_ANEW)
    if row.used is not None and again:
        return
    wrong = {"has been used": row.used, "was withdrawn": row.withdrawn}
    for what, when in wrong.items():
        if when is not None:
            raise IdentityError(f"the invitation for {name!r} {what} ({_said(when)})", hint=_ANEW)
    if row.expires <= now:
        raise IdentityError(
            f"the invitation for {name!r} ended at {_said(row.expires)}", hint=_ANEW
        )
    connection.execute(update(_TABLE).where(mine).values(used=now))


def _withdraw(connection: Connection, name: str, now: datetime) -> int:
    query = update(_TABLE).values(withdrawn=now).where(_TABLE.c.name == name)
    unused = query.where(_TABLE.c.used.is_(None), _TABLE.c.withdrawn.is_(None))
    return int(connection.execute(unused).rowcount)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _said(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
