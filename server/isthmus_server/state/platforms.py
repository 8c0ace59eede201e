"""The roster, and the rule by which a cloned identity is found.

The rolling ticket: a platform that opens a session shows the ticket of its session before and
leaves a new one, which it has put on its disk first. Of two machines with the same identity, the
one that opened first leaves the other with a ticket that is no longer good.

Guarantees:
    A ticket is compared and replaced in one transaction, so of two openings with the same ticket
    the second sees the first's. What counts as a clone suspends the platform and writes an alarm
    in that transaction.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, insert, select, update

from isthmus.errors import StateError
from isthmus_server.state import tables
from isthmus_server.state.clock import Clock
from isthmus_server.state.column_types import to_json
from isthmus_server.state.database import Database
from isthmus_server.state.events import write_event
from isthmus_server.state.invitations import use_token
from isthmus_server.state.reading import value_of, value_or_none
from isthmus_server.state.rows import HeartbeatReply, PlatformRow, PlatformStatus, SessionReply

_TABLE = tables.platforms


@dataclass(frozen=True)
class Platforms:
    """The platforms that have asked to join."""

    database: Database
    clock: Clock

    def add(
        self, name: str, *, signing: bytes, node_key: bytes, fingerprint: str, csr: bytes
    ) -> PlatformRow:
        """A platform that waits for approval.

        Returns:
            The row that is there already, where the very same keys asked before.

        Raises:
            StateError: another platform has this name.
        """
        with self.database.write() as connection:
            return _added(connection, name, signing, node_key, fingerprint, csr, self.clock())

    def enrol(
        self,
        token: str,
        name: str,
        *,
        signing: bytes,
        node_key: bytes,
        fingerprint: str,
        csr: bytes,
    ) -> PlatformRow:
        """Use an invitation and add its platform, both or neither; asking again changes nothing.

        A new invitation for the name of a platform that is not approved lets it come with new
        keys, and wait for approval again.

        Raises:
            IdentityError: the token is not good for this name.
            StateError: a platform of this name is approved.
        """
        with self.database.write() as connection:
            there = _locked(connection, name)
            if there is not None and (there.signing, there.node_key) == (signing, node_key):
                use_token(connection, token, name, self.clock(), again=True)
                return there
            use_token(connection, token, name, self.clock(), again=False)
            if there is not None:
                _refuse_approved(there)
                connection.execute(_TABLE.delete().where(_TABLE.c.name == name))
            return _added(connection, name, signing, node_key, fingerprint, csr, self.clock())

    def get(self, name: str) -> PlatformRow | None:
        """The platform; None = there is none of this name."""
        with self.database.read() as connection:
            return _row(connection.execute(select(_TABLE).where(_TABLE.c.name == name)).first())

    def list(self) -> tuple[PlatformRow, ...]:
        """All of them, by name."""
        with self.database.read() as connection:
            found = connection.execute(select(_TABLE)).all()
        return tuple(sorted((value_of(PlatformRow, each) for each in found), key=_name))

    def approved(self) -> tuple[PlatformRow, ...]:
        """Those that may take part, by name."""
        return tuple(each for each in self.list() if each.status == "approved")

    def set_status(self, name: str, status: PlatformStatus, note: str = "") -> PlatformRow:
        """Approve, suspend or revoke. Approval of one that was not approved forgets its session.

        Raises:
            StateError: there is no such platform.
        """
        with self.database.write() as connection:
            row = _require(connection, name)
            values: dict[str, Any] = {"status": status, "status_note": note}
            if status == "approved" and row.status != "approved":
                values |= {"session": None, "session_before": None, "session_confirmed": False}
            return _changed(connection, name, values)

    def set_certificate(self, name: str, pem: bytes, serial: str, expires: datetime) -> PlatformRow:
        """A certificate was issued; the one before stays good until this one is followed.

        Raises:
            StateError: there is no such platform.
        """
        with self.database.write() as connection:
            row = _require(connection, name)
            before = row.serial_before if row.serial == serial else row.serial
            new = {"certificate": pem, "serial": serial, "serial_before": before}
            return _changed(connection, name, {**new, "expires": expires})

    def open_session(self, name: str, previous: str, new: str) -> SessionReply:
        """Replace the ticket `previous` by `new`, if it is the one that counts.

        `previous` is good if it is the open session's; or the one before, as long as no heartbeat
        came with the open session's (an answer may have been lost); or if no session is open.
        """
        with self.database.write() as connection:
            row = _locked(connection, name)
            if row is None or row.status != "approved":
                return _refusal(row)
            if not new or not _is_next(row, previous):
                return _clone(connection, row, self.clock(), "opened a session with an old ticket")
            values = {"session": new, "session_before": previous, "session_confirmed": False}
            _changed(connection, name, values)
            return "opened"

    def heartbeat(
        self,
        name: str,
        session: str,
        *,
        at: datetime,
        skew_s: float,
        facts: Mapping[str, Any],
        audit_lines: int,
        audit_head: str,
    ) -> HeartbeatReply:
        """Note that a platform lives, and what it told of itself.

        An audit log that became shorter is an alarm, but the platform stays.

        Raises:
            StateError: a fact is no plain value; nothing was noted.
        """
        _refuse_odd(skew_s, facts, audit_lines)
        with self.database.write() as connection:
            row = _locked(connection, name)
            if row is None or row.status != "approved":
                return _refusal(row)
            if row.session is None:
                return "closed"
            if not _same(session, row.session):
                return _clone(connection, row, self.clock(), "sent a heartbeat of another session")
            if audit_lines < row.audit_lines:
                _alarm_shorter(connection, row, audit_lines, self.clock())
            values = {"session_confirmed": True, "last_seen": at, "skew_s": skew_s}
            told = {"facts": dict(facts), "audit_lines": audit_lines, "audit_head": audit_head}
            _changed(connection, name, values | told)
            return "ok"


def _name(row: PlatformRow) -> str:
    return row.name


def _row(found: Any) -> PlatformRow | None:
    return value_or_none(PlatformRow, found)


def _locked(connection: Connection, name: str) -> PlatformRow | None:
    """The row, which nobody else changes until the transaction ends."""
    query = select(_TABLE).where(_TABLE.c.name == name).with_for_update()
    return _row(connection.execute(query).first())


def _require(connection: Connection, name: str) -> PlatformRow:
    row = _locked(connection, name)
    if row is None:
        known = ", ".join(sorted(connection.execute(select(_TABLE.c.name)).scalars())) or "none"
        raise StateError(f"there is no platform {name!r}", hint=f"known platforms: {known}")
    return row


def _changed(connection: Connection, name: str, values: Mapping[str, Any]) -> PlatformRow:
    query = update(_TABLE).where(_TABLE.c.name == name).values(**values).returning(_TABLE)
    return value_of(PlatformRow, connection.execute(query).one())


def _added(
    connection: Connection,
    name: str,
    signing: bytes,
    node_key: bytes,
    fingerprint: str,
    csr: bytes,
    now: datetime,
) -> PlatformRow:
    there = _locked(connection, name)
    if there is not None:
        if (there.signing, there.node_key) == (signing, node_key):
            return there
        raise StateError(f"a platform {name!r} with other keys has joined", hint="invite anew")
    values: dict[str, Any] = {
        "name": name,
        "signing": signing,
        "node_key": node_key,
        "fingerprint": fingerprint,
    }
    values |= {"csr": csr, "joined": now, "status": "pending", "session_confirmed": False}
    values |= {"status_note": "waits for approval", "audit_lines": 0, "audit_head": "", "facts": {}}
    query = insert(_TABLE).values(**values).returning(_TABLE)
    return value_of(PlatformRow, connection.execute(query).one())


def _refuse_approved(row: PlatformRow) -> None:
    if row.status == "approved":
        raise StateError(
            f"the platform {row.name!r} is approved with other keys",
            hint=f"isthmus server revoke {row.name} first, if it has lost its keys",
        )


def _refusal(
    row: PlatformRow | None,
) -> Literal["unknown", "pending", "suspended", "revoked"]:
    """Why a platform that is not approved gets no further."""
    if row is None or row.status == "approved":
        return "unknown"
    return row.status


def _is_next(row: PlatformRow, previous: str) -> bool:
    if row.session is None or _same(previous, row.session):
        return True
    before = row.session_before
    return not row.session_confirmed and before is not None and _same(previous, before)


def _same(left: str, right: str) -> bool:
    """Compared without telling by its time how much of it is right."""
    return hmac.compare_digest(left.encode(errors="replace"), right.encode(errors="replace"))


def _clone(connection: Connection, row: PlatformRow, now: datetime, what: str) -> Literal["clone"]:
    note = f"its identity is in use twice: a process {what}"
    _changed(connection, row.name, {"status": "suspended", "status_note": note})
    text = f"{row.name} is suspended: {note}; approve it again when only one is left"
    write_event(connection, now, "alarm", "clone", text, platform=row.name, run=None)
    return "clone"


def _alarm_shorter(connection: Connection, row: PlatformRow, lines: int, now: datetime) -> None:
    text = f"the audit log of {row.name} had {row.audit_lines} lines and now has {lines}"
    write_event(connection, now, "alarm", "audit-log-shorter", text, platform=row.name, run=None)


def _refuse_odd(skew_s: float, facts: Mapping[str, Any], audit_lines: int) -> None:
    """Stop values that no database, or not each, can hold."""
    try:
        to_json(dict(facts))
    except (ValueError, TypeError) as error:
        raise StateError(f"a platform's facts are no plain JSON: {error}") from None
    if not math.isfinite(skew_s) or not 0 <= audit_lines < 2**63:
        raise StateError(f"a heartbeat with a skew of {skew_s} s and {audit_lines} audit lines")
