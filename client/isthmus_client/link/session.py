"""A platform's session with the server: heartbeats, contracts, certificates, releases.

    session = Session(home, load_keys(home, keyring))
    session.open()
    beat = session.beat({"version": "0.1.0"})     every `beat.heartbeat_s`
    session.decide(...); session.fetch_release(...)
    session.close()

One thread may beat while another decides or fetches.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final, Self, TypeVar

from isthmus.audit_log import Anchor, anchors_in
from isthmus.control.anchoring import SERVER, told_anchor, write_anchor
from isthmus.control.limits import SKEW_WARNED_S
from isthmus.control.reasons import RefusedError, known_reason
from isthmus.errors import IdentityError, ServiceError
from isthmus.identity import PlatformKeys, certificate_request, new_tls_key
from isthmus_client.home import Home
from isthmus_client.link.enrolled import (
    Credentials,
    Enrolment,
    audit_path,
    load_credentials,
    save_credentials,
)
from isthmus_client.link.enrolment import collect, log_certificate, own_log, with_server
from isthmus_client.link.session_calls import BeatReply, MembershipCalls, RunOffer
from isthmus_client.link.session_release import receive_release
from isthmus_client.link.session_ticket import Tickets, fresh_ticket, read_tickets, write_tickets

_T = TypeVar("_T")
_COLLECTS: Final = ("expired", "unknown")
"""Refusals after which another certificate may help: the server was restored, or time went by."""


@dataclass(frozen=True)
class Beat:
    """What a heartbeat brought.

    Attributes:
        offers: runs of this platform that are not over.
        skew_s: this machine's clock less the server's, half of the round trip taken off.
        warning: what a person should know; "" = nothing.
        renewed: whether the certificate is another than at the heartbeat before: connections that
            show it are to be made anew.
        heartbeat_s: until the next one.
        round_trip_s: of this one.
    """

    offers: tuple[RunOffer, ...]
    skew_s: float
    warning: str
    renewed: bool
    heartbeat_s: float
    round_trip_s: float


class Session:
    """A session; at most one process of a platform is in one.

    Args:
        home: the platform's; it has joined.
        keys: its long-lived keys.
        idle_s: without an answer to a call of at most 1 MiB, or a byte of a release moving, after
            which it is given up.
        wall: the machine's clock, seconds since 1970.
    """

    def __init__(
        self,
        home: Home,
        keys: PlatformKeys,
        *,
        idle_s: float = 60.0,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.home = home
        self.enrolment = Enrolment.load(home)
        self._keys, self._idle_s, self._wall = keys, idle_s, wall
        self._log = own_log(home, keys)
        self._lock = threading.RLock()
        self._held: IO[bytes] | None = None
        self._calls: MembershipCalls | None = None
        self._ticket = ""
        self._round_trip = 0.0  # seconds; of the heartbeat before
        self._changed = False  # the certificate, since the heartbeat before
        self._seen = _last_seen(home)

    @property
    def is_open(self) -> bool:
        """Whether a session was opened and not closed."""
        return bool(self._ticket)

    def open(self) -> None:
        """Show the ticket of the session before, leave a new one; collect a certificate if need be.

        Raises:
            RefusedError: the platform is not approved, is revoked, or its identity is in use twice.
            ServiceError: the server cannot be reached, or another process is in a session.
            IdentityError: the platform has not joined, or a file is damaged.
        """
        with self._lock:
            was_open = self.is_open
            try:
                self._open()
            except BaseException:
                if not was_open:
                    self.close()
                raise

    def beat(self, facts: Mapping[str, Any] | None = None, known: Sequence[str] = ()) -> Beat:
        """Tell the server that this platform lives; renew the certificate where it says so.

        Args:
            facts: plain values that the operator may read: version, worker, round; 16 KiB at most.
            known: SHA-256 of contracts whose bytes need not come again.

        Raises:
            RefusedError: revoked, suspended, in use twice, or the clocks are too far apart.
            ServiceError: the server cannot be reached; the session goes on when it is back.
            AuditError: this side's log was altered. A full disk is a warning alone.
        """
        with self._lock:
            return self._again(lambda calls: self._beat(calls, facts or {}, known))

    def renew(self) -> None:
        """Exchange certificate and key while the session goes on.

        Raises:
            RefusedError, ServiceError: as of `beat`.
            IdentityError: what came is not this platform's certificate; the old one stays.
        """
        with self._lock:
            self._again(self._renew)

    def decide(
        self, run: str, contract_sha256: str, decision: str, reason: str, signature: bytes
    ) -> None:
        """Tell the server the platform's answer to a contract; again is no matter.

        Args:
            run: its id.
            contract_sha256: of the contract that was decided about.
            decision: `approved` or `refused`.
            reason: for the operator, 2 000 characters at most.
            signature: over the decision, by the platform's signing key.

        Raises:
            RefusedError: also where there is no such run or contract.
            ServiceError: as of `beat`.
        """
        with self._lock:
            self._again(
                lambda calls: calls.decide(
                    self._ticket, run, contract_sha256, decision, reason, signature
                )
            )

    def fetch_release(self, release: str, folder: Path, *, run: str = "") -> Path:
        """Fetch a release's files; nothing is in `folder` before all are there and whole.

        Args:
            release: its id; "" = the newest of `run`.
            folder: made; one that is there is whole, and nothing is fetched.
            run: of which the newest is wanted.

        Raises:
            RefusedError: there is no such release.
            ServiceError: the server cannot be reached, or no byte moved for `idle_s`.
            MessageRefusedError: what came is not what was announced.
            OSError: the folder cannot be written.
        """
        with self._lock:
            ticket = self._ticket
            calls = MembershipCalls(self.enrolment, self._credentials(), self._idle_s)
        try:
            chunks, cut = calls.fetch_release(ticket, release, run)
            return receive_release(chunks, cut, folder, self._idle_s)
        finally:
            calls.close()

    def close(self) -> None:
        """Let go of connection and lock. The next `open` goes on from here."""
        with self._lock:
            if self._calls is not None:
                self._calls.close()
            if self._held is not None:
                self._held.close()
            self._calls, self._held, self._ticket = None, None, ""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        self._hold()
        if self._calls is None:
            self._connect()
        try:
            self._roll()
        except (RefusedError, ServiceError) as error:
            if isinstance(error, RefusedError) and error.reason not in _COLLECTS:
                raise
            self._collect()  # a certificate that expired ends the handshake without a word
            self._roll()

    def _hold(self) -> None:
        """Be the only process of this home that is in a session."""
        if self._held is not None:
            return
        handle = (self.home.federation / "session.lock").open("ab")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            raise ServiceError(
                f"another process of the platform in {self.home.folder} is in a session",
                hint="isthmus client up runs already",
            ) from None
        os.set_inheritable(handle.fileno(), False)
        self._held = handle

    def _credentials(self) -> Credentials:
        found = load_credentials(self.home, self.enrolment)
        return self._collected() if found is None else found

    def _collected(self) -> Credentials:
        found = collect(self.home, self._keys)
        self.enrolment = Enrolment.load(self.home)
        if found.credentials is None:
            raise RefusedError(known_reason(found.status), found.note)
        return found.credentials

    def _connect(self, credentials: Credentials | None = None) -> None:
        """A new channel, with the newest certificate."""
        shown = credentials or self._credentials()
        calls = MembershipCalls(self.enrolment, shown, self._idle_s)
        if self._calls is not None:
            self._calls.close()
        self._calls = calls

    def _collect(self) -> None:
        self._connect(self._collected())
        self._changed = True

    def _roll(self) -> None:
        """Open a session: the new ticket is on the disk before anybody hears of it."""
        path = self.home.federation / "session.json"
        previous, new = read_tickets(path).ticket, fresh_ticket()
        write_tickets(path, Tickets(previous, new))
        told, _ = self._joined().open_session(previous, new)
        write_tickets(path, Tickets(new))
        self._ticket = new
        updated = with_server(self.enrolment, told)
        if updated != self.enrolment:
            updated.save(self.home)
            self.enrolment = updated

    def _again(self, call: Callable[[MembershipCalls], _T]) -> _T:
        """Make a call; once more with a new session or certificate, where that is what it lacks."""
        try:
            return call(self._joined())
        except RefusedError as error:
            if error.reason == "closed":
                self._roll()
            elif error.reason in _COLLECTS:
                self._collect()
            else:
                raise
        return call(self._joined())

    def _joined(self) -> MembershipCalls:
        if self._calls is None:
            raise ServiceError("no session is open", hint="Session.open first")
        return self._calls

    def _beat(self, calls: MembershipCalls, facts: Mapping[str, Any], known: Sequence[str]) -> Beat:
        at, began = self._wall(), time.monotonic()
        audit = told_anchor(self._log)
        reply = calls.heartbeat(self._ticket, at, self._round_trip, facts, audit, known)
        self._round_trip = time.monotonic() - began
        unwritten = self._anchored(reply)
        skew = at + self._round_trip / 2 - reply.time
        beat = self._told(reply, skew)
        return replace(beat, warning=f"{beat.warning} {unwritten}".strip())

    def _anchored(self, reply: BeatReply) -> str:
        """Write down how far the server's log has come; why it could not be, "" = it was.

        A full disk does not make this platform seem to be gone: the next heartbeat tries again.
        """
        try:
            if write_anchor(self._log, SERVER, reply.audit, self._seen):
                self._seen = reply.audit
        except OSError as error:
            return f"the audit log cannot be written: {error.strerror}"
        return ""

    def _told(self, reply: BeatReply, skew: float) -> Beat:
        warning = clock_warning(skew)
        if reply.renew:
            try:
                self.renew()
            except (ServiceError, IdentityError, OSError) as error:
                warning = f"{warning} the certificate could not be renewed: {error}".strip()
        renewed, self._changed = self._changed, False
        return Beat(reply.offers, skew, warning, renewed, reply.heartbeat_s, self._round_trip)

    def _renew(self, calls: MembershipCalls) -> None:
        key = new_tls_key()
        pem = calls.renew(self._ticket, certificate_request(self.enrolment.name, key))
        credentials = save_credentials(self.home, self.enrolment, key, pem)
        log_certificate(self.home, self._keys, credentials)
        self._connect(credentials)
        self._changed = True


def clock_warning(skew_s: float) -> str:
    """What to tell a person of a difference between two clocks; "" = nothing."""
    if abs(skew_s) <= SKEW_WARNED_S:
        return ""
    how = "ahead of" if skew_s > 0 else "behind"
    return f"this machine's clock is {abs(skew_s):.0f} s {how} the server's."


def _last_seen(home: Home) -> Anchor | None:
    """What this side's log says last of the server's."""
    path = audit_path(home)
    seen = anchors_in(path, SERVER) if path.exists() else ()
    return seen[-1] if seen else None
