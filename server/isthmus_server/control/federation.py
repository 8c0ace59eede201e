"""What the services work with, and what they tell of the server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from isthmus.audit_log import AuditLog
from isthmus.control import control_pb2 as wire
from isthmus.identity import MAX_PLATFORM_HOURS, Authority, platform_of, public_raw
from isthmus_server.ports import announced
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import Settings
from isthmus_server.state import PlatformRow, State

LISTENERS: Final = ("enrolment", "control", "fleet")
"""Whose ports platforms are told."""


@dataclass(frozen=True)
class Federation:
    """One server's folder, state and keys, opened.

    Attributes:
        log: the server's audit log; its key signs contracts too.
        wall: the machine's clock, seconds since 1970.
    """

    home: ServerHome
    state: State
    authority: Authority = field(repr=False)
    settings: Settings
    log: AuditLog
    wall: Callable[[], float] = time.time

    @property
    def now(self) -> datetime:
        """The time, UTC."""
        return datetime.fromtimestamp(self.wall(), UTC)

    def server(self) -> wire.Server:
        """What platforms are told of the server."""
        if self.log.key is None:
            raise ValueError("the server's audit log has no key")
        ports = announced(self.home)
        return wire.Server(
            federation=self.settings.name,
            signing_key=public_raw(self.log.key),
            ports={name: ports[name] for name in LISTENERS if name in ports},
        )

    def issue(self, name: str, csr_pem: bytes) -> PlatformRow:
        """A new certificate, which is the platform's current one from now on.

        Raises:
            IdentityError: the request is not this platform's.
            StateError: it cannot be noted; it is then worth nothing.
        """
        hours = min(self.settings.certificate_hours, MAX_PLATFORM_HOURS)
        pem = self.authority.issue_platform(csr_pem, name, hours, now=self.now)
        says = platform_of(pem)
        row = self.state.platforms.set_certificate(name, pem, f"{says.serial:x}", says.not_after)
        body = {"serial": f"{says.serial:x}", "expires": says.not_after.isoformat()}
        self.write("certificate", platform=name, **body)
        return row

    def due(self, row: PlatformRow) -> bool:
        """Whether half of the life of a platform's certificate is over."""
        hours = min(self.settings.certificate_hours, MAX_PLATFORM_HOURS)
        return row.expires is None or row.expires - self.now < timedelta(hours=hours) / 2

    def write(self, kind: str, **body: object) -> None:
        """Add a line to the server's audit log.

        Raises:
            AuditError, OSError: as of `AuditLog.append`.
        """
        self.log.append({"kind": kind, "at": self.now.isoformat(timespec="seconds"), **body})
