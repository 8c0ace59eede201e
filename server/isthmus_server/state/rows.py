"""What the server's state holds, as frozen values. Every time is a UTC datetime that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

PlatformStatus = Literal["pending", "approved", "suspended", "revoked"]
RunStatus = Literal["proposed", "running", "paused", "stopped", "finished", "failed"]
Wanted = Literal["run", "pause", "stop"]
Decision = Literal["approved", "refused"]
Level = Literal["info", "warning", "alarm"]

SessionReply = Literal["opened", "clone", "pending", "suspended", "revoked", "unknown"]
"""`opened`, or why not: `clone` the first time, afterwards the platform's status."""

HeartbeatReply = Literal["ok", "clone", "closed", "pending", "suspended", "revoked", "unknown"]
"""`closed`: no session is open here (the operator approved anew): open one; that is no alarm."""


@dataclass(frozen=True)
class PlatformRow:
    """A platform that has asked to join.

    Attributes:
        status: what it may do; `approved` alone lets it take part.
        signing: its Ed25519 public key, 32 bytes.
        node_key: its public key for Flower's node authentication, as PEM.
        fingerprint: of both keys, compared by two persons.
        csr: its certificate request, PEM.
        certificate: the one last issued, PEM.
        serial: of `certificate`, hexadecimal.
        serial_before: of the one before, which is good while the new one travels.
        expires: of `certificate`.
        session: the ticket of the session that is open.
        session_before: the ticket before.
        session_confirmed: whether a heartbeat came with `session`.
        last_seen: of the last heartbeat, by the server's clock.
        skew_s: the platform's clock less the server's at the last heartbeat.
        audit_lines: of the platform's audit log, as it told last.
        audit_head: hash of that log's last line.
        status_note: why it has its status.
        joined: when it asked.
        facts: what the platform told of itself last: version, worker, round.
    """

    name: str
    status: PlatformStatus
    signing: bytes
    node_key: bytes
    fingerprint: str
    csr: bytes
    certificate: bytes | None
    serial: str | None
    serial_before: str | None
    expires: datetime | None
    session: str | None
    session_before: str | None
    session_confirmed: bool
    last_seen: datetime | None
    skew_s: float | None
    audit_lines: int
    audit_head: str
    status_note: str
    joined: datetime
    facts: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"PlatformRow({self.name!r}, {self.status!r}, {self.fingerprint!r})"


@dataclass(frozen=True)
class InvitationRow:
    """A one-time token for one name; of the token itself only the SHA-256 is known.

    Attributes:
        used: when a platform joined with it.
        withdrawn: when the operator took it back, or made another for the same name.
    """

    token_sha256: str
    name: str
    created: datetime
    expires: datetime
    used: datetime | None
    withdrawn: datetime | None


@dataclass(frozen=True)
class RunRow:
    """A run of the federation.

    Attributes:
        id: names its folder too.
        contract: canonical JSON that the platforms approve.
        contract_sha256: of `contract`, hexadecimal.
        signature: of `contract` by the server's Ed25519 key.
        status: what is.
        wanted: what the operator wants; the coordinator brings `status` there.
        reason: why it is as it is; empty for a finished run alone.
        round: the last committed one; 0 = none.
        attempt: of the round after that; it only ever grows within a run.
        rollback_to: the round that the operator wants to go back to; None = no such wish.
    """

    id: str
    contract: bytes
    contract_sha256: str
    signature: bytes
    status: RunStatus
    wanted: Wanted
    reason: str
    round: int
    attempt: int
    rollback_to: int | None
    created: datetime
    updated: datetime


@dataclass(frozen=True)
class DecisionRow:
    """What a platform answered to a run's contract, signed by it."""

    run: str
    platform: str
    decision: Decision
    reason: str
    signature: bytes
    at: datetime


@dataclass(frozen=True)
class RoundRow:
    """A committed round.

    Attributes:
        attempt: the one that succeeded.
        record: what a reader may see of it, as plain JSON.
        fingerprint: of the parameters that it committed.
        seconds: from its first message to its commit.
    """

    run: str
    round: int
    attempt: int
    record: Mapping[str, Any]
    fingerprint: str
    seconds: float
    committed: datetime


@dataclass(frozen=True)
class EventRow:
    """Something that an operator may want to know.

    Attributes:
        at: when it happened first.
        kind: a stable word, such as `clone` or `refused-update`.
        times: how often the very same was told within a minute of the time before.
        last: when it happened last.
    """

    id: int
    at: datetime
    level: Level
    kind: str
    platform: str | None
    run: str | None
    text: str
    times: int
    last: datetime


@dataclass(frozen=True)
class ReleaseRow:
    """A signed encoder on disk.

    Attributes:
        id: `RUN-rNNNNN`, also its folder's name.
        sha256: of `encoder.safetensors`, hexadecimal.
        path: of the folder, within the server's `releases/`.
        signature: over `release.json` by the server's Ed25519 key.
        withdrawn: when the operator took it back; it is no longer handed out.
        withdrawn_reason: why.
    """

    id: str
    run: str
    round: int
    sha256: str
    path: str
    signature: bytes
    created: datetime
    withdrawn: datetime | None
    withdrawn_reason: str
