"""What the operator does with the roster: invite, approve, revoke, look.

All of it is written to the state; the processes that run find it there, whether or not they do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from isthmus.audit_log import AuditLog
from isthmus.control.invitation import Invitation
from isthmus.errors import IdentityError, ScenarioError, ServiceError, StateError
from isthmus.identity import Authority, checked_name, load_signing_key, same_fingerprint
from isthmus_server.ports import announced
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import Settings, load_settings
from isthmus_server.state import InvitationRow, PlatformRow, State, open_state


@dataclass(frozen=True)
class Roster:
    """One server's roster, opened."""

    home: ServerHome
    settings: Settings
    state: State

    def invite(self, name: str, hours: float, host: str | None = None) -> Invitation:
        """An invitation for one platform; one before it for the same name is withdrawn.

        Args:
            name: that the platform will have.
            hours: for which it is good.
            host: by which the platform reaches the server; None = the first of the settings.

        Raises:
            IdentityError: the name is none.
            ScenarioError: the host is not in the server's certificate.
            ServiceError: the port is chosen by the server when it is up, and it was not up yet.
            StateError: the hours are out of bounds, or the state cannot be written.
        """
        checked_name(name)
        server = self._host(host)
        port = self.settings.enrolment_port or announced(self.home).get("enrolment", 0)
        if not port:
            raise ServiceError(
                "the server takes any free port for joining, and has not been up yet",
                hint="isthmus server up first, or set enrolment_port in server.toml",
            )
        authority = Authority.open(self.home.authority).certificate_pem
        token = self.state.invitations.create(name, hours)
        self._log("invited", platform=name, hours=hours)
        return Invitation(server, port, name, token, authority)

    def approve(self, name: str, fingerprint: str) -> PlatformRow:
        """Let a platform take part, or again after an alarm.

        Args:
            name: the platform's.
            fingerprint: of its keys, as its engineer tells it by another way.

        Raises:
            StateError: there is no such platform.
            IdentityError: its keys have another fingerprint; nothing was changed.
        """
        row = self.platform(name)
        if not same_fingerprint(fingerprint, row.fingerprint):
            text = f"approval of {name} was refused: its keys have another fingerprint"
            self.state.events.add("alarm", "fingerprint", text, platform=name)
            raise IdentityError(
                f"{name} joined with keys of the fingerprint {row.fingerprint}, not {fingerprint}",
                hint="do not approve it: somebody else may have used the invitation. Revoke it, "
                "and invite anew",
            )
        if row.status == "approved":
            return row
        found = self.state.platforms.set_status(name, "approved", "approved by the operator")
        self.state.events.add("info", "approved", f"{name} is approved", platform=name)
        self._log("approved", platform=name, fingerprint=row.fingerprint)
        return found

    def revoke(self, name: str, reason: str) -> PlatformRow | None:
        """End a platform's membership, and invitations for its name; it holds at its next call.

        Returns:
            The platform; None = only an invitation was withdrawn.

        Raises:
            ScenarioError: no reason is given.
            StateError: there is neither such a platform nor an invitation.
        """
        if not reason.strip():
            raise ScenarioError("a revocation needs a reason", hint="--reason WORDS")
        withdrawn = self.state.invitations.withdraw(name)
        if self.state.platforms.get(name) is None and withdrawn:
            self._log("withdrawn", platform=name, reason=reason)
            return None
        row = self.state.platforms.set_status(name, "revoked", reason)
        self.state.events.add("warning", "revoked", f"{name} is revoked: {reason}", platform=name)
        self._log("revoked", platform=name, reason=reason)
        return row

    def platform(self, name: str) -> PlatformRow:
        """A platform of the roster.

        Raises:
            StateError: there is none of this name.
        """
        row = self.state.platforms.get(name)
        if row is None:
            known = ", ".join(each.name for each in self.state.platforms.list()) or "none"
            raise StateError(f"no platform {name!r} has joined", hint=f"those that have: {known}")
        return row

    def look(self, now: datetime | None = None) -> Mapping[str, Any]:
        """Platforms and open invitations, as plain JSON."""
        at = now or datetime.now(UTC)
        platforms = [self._shown(row, at) for row in self.state.platforms.list()]
        invited = [_invited(row) for row in self.state.invitations.list() if _open(row, at)]
        return {"platforms": platforms, "invitations": invited}

    def _host(self, host: str | None) -> str:
        if host is not None and host not in self.settings.hosts:
            raise ScenarioError(
                f"{host} is not in the server's certificate",
                hint=f"one of {', '.join(self.settings.hosts)}, or add it to hosts in server.toml",
            )
        return host or self.settings.hosts[0]

    def _shown(self, row: PlatformRow, at: datetime) -> dict[str, Any]:
        alive = timedelta(seconds=3 * self.settings.heartbeat_s)
        return {
            "name": row.name,
            "status": row.status,
            "note": row.status_note,
            "online": row.last_seen is not None and at - row.last_seen < alive,
            "fingerprint": row.fingerprint,
            "joined": row.joined.isoformat(),
            "last_seen": None if row.last_seen is None else row.last_seen.isoformat(),
            "skew_s": row.skew_s,
            "certificate_expires": None if row.expires is None else row.expires.isoformat(),
            "facts": dict(row.facts),
        }

    def _log(self, kind: str, **body: object) -> None:
        key = load_signing_key(self.home.identity / "signing.key")
        at = datetime.now(UTC).isoformat(timespec="seconds")
        AuditLog(self.home.audit, key).append({"kind": kind, "at": at, **body})


@contextmanager
def open_roster(home: ServerHome) -> Iterator[Roster]:
    """The roster of a server that was made, while the context is open.

    Raises:
        DataMissingError, ScenarioError: there is no server, or its settings are wrong.
        StateError: the state cannot be opened.
    """
    settings = load_settings(home)
    with open_state(settings.database_url(home)) as state:
        yield Roster(home, settings, state)


def _open(row: InvitationRow, at: datetime) -> bool:
    return row.used is None and row.withdrawn is None and row.expires > at


def _invited(row: InvitationRow) -> dict[str, str]:
    return {
        "name": row.name,
        "created": row.created.isoformat(),
        "expires": row.expires.isoformat(),
    }
