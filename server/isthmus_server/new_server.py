"""A new server's folder: certificate authority, certificate, signing key, database, settings."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from isthmus.errors import ScenarioError, StateError
from isthmus.files import sync_folder, write_bytes
from isthmus.identity import Authority, create_signing_key
from isthmus_server.server_certificate import renew_certificate
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import Settings, settings_text
from isthmus_server.state import open_state

SIGNING_KEY = "signing.key"
PORTS = ("enrolment_port", "control_port", "fleet_port", "private_port", "health_port")


@dataclass(frozen=True)
class NewServer:
    """What was made.

    Attributes:
        fingerprint: of the authority's certificate; platforms compare it when they join.
    """

    home: ServerHome
    settings: Settings
    fingerprint: str


def create_server(home: ServerHome, settings: Settings) -> NewServer:
    """Make the folder, its keys, certificates and database; `server.toml` last.

    Guarantees:
        Nothing that is there is replaced. Where `server.toml` is, all is. Keys are readable by
        their owner alone.

    Raises:
        ScenarioError: something is there already; nothing was done.
        StateError: the folder or the database cannot be written.
    """
    _refuse_existing(home)
    try:
        home.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _close(home)
        for folder in (home.identity, home.tls, home.runs, home.releases, home.logs, home.runtime):
            folder.mkdir(mode=0o700)
        authority = Authority.create(home.authority, settings.name)
        create_signing_key(home.identity / SIGNING_KEY)
        renew_certificate(home, settings, authority)
        open_state(settings.database_url(home)).close()
        text = settings_text(settings)
        write_bytes(home.config, text.encode(), mode=0o600)  # a database's URL may hold a password
        sync_folder(home.folder)
    except OSError as error:
        raise StateError(f"{home.folder} cannot be written: {error.strerror}") from error
    return NewServer(home, settings, authority.fingerprint)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def with_free_ports(settings: Settings) -> Settings:
    """The settings with five ports that are free now."""
    return settings.model_copy(update=dict(zip(PORTS, free_ports(len(PORTS)), strict=True)))


def _close(home: ServerHome) -> None:
    """Let nobody else in a folder that was there before; one of another owner is his to close."""
    if home.folder.stat().st_uid == os.getuid():
        home.folder.chmod(0o700)


def _refuse_existing(home: ServerHome) -> None:
    if home.folder.exists() and any(home.folder.iterdir()):
        raise ScenarioError(
            f"{home.folder} is not empty; nothing was changed",
            hint="name another folder; a server's keys and state are never replaced",
        )
