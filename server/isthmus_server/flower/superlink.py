"""The SuperLink as a process of its own.

    python -m isthmus_server.flower.superlink SERVER_FOLDER

Public listener (`fleet` in `run/ports.json`): TLS 1.3, client certificates, the gate. Private
listener (`private`): loopback, the secret of `run/private.token`. Ends on SIGTERM and with its
parent. Killed at any moment it goes on where it was: all that counts is in two databases.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Final

from isthmus.errors import IsthmusError, StateError
from isthmus.files import write_bytes
from isthmus.identity.tls import server_context
from isthmus.logs import log_as_json
from isthmus.offline import stay_offline
from isthmus.supervision import stop_with_parent, turn
from isthmus_server.flower.serials import Serials
from isthmus_server.ports import announce, announced
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import Settings, load_settings
from isthmus_server.state import State, open_state

TOKEN: Final = "private.token"  # noqa: S105 - a file's name
"""In the server's `run/`: the secret of the private listener, made at each start."""

_log = logging.getLogger(__name__)


def main(folder: Path) -> int:
    """Serve until told to stop; the exit code.

    Args:
        folder: the server's.
    """
    stay_offline()  # before Flower is imported
    log_as_json("superlink")
    home = ServerHome(folder)
    try:
        settings = load_settings(home)
        stop = Event()
        stop_with_parent(stop)
        with (
            turn(home.runtime, "superlink", stop) as held,
            open_state(settings.database_url(home)) as state,
        ):
            if held:
                asyncio.run(_serve(home, settings, state))
    except IsthmusError as error:
        _log.error("%s %s", error, error.hint)
        return error.exit_code
    return 0


async def _serve(home: ServerHome, settings: Settings, state: State) -> None:
    from isthmus_server.flower.service import Place, Service  # noqa: PLC0415 - after `stay_offline`

    home.runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    token = secrets.token_urlsafe(32)
    write_bytes(home.runtime / TOKEN, token.encode(), mode=0o600)
    pair = (home.tls / "server.pem", home.tls / "server.key")
    place = Place(
        database=home.flower_database,
        listen=settings.listen,
        fleet_port=settings.fleet_port,
        private_port=settings.private_port,
        before=announced(home),
        context=server_context(*pair, home.authority / "ca.pem", require_client=True),
        pair=pair,
    )
    service = Service(
        place,
        keys=lambda: {row.name: row.node_key for row in state.platforms.approved()},
        alarm=lambda platform, text: _alarm(state, platform, text),
        good_serial=Serials(lambda name: _serials(state, name)).good,
        token=token,
        idle_s=settings.idle_s,
    )

    def started(ports: Mapping[str, int]) -> None:
        announce(home, ports)
        _log.info("listening", extra={"ports": dict(ports)})

    await service.run(_told_to_stop(), started)


def _serials(state: State, name: str) -> tuple[str | None, str | None] | None:
    row = state.platforms.get(name)
    return None if row is None else (row.serial, row.serial_before)


def _alarm(state: State, platform: str, text: str) -> None:
    """Tell the operator; what cannot be told is at least logged."""
    try:
        state.events.add("warning", "fleet-refused", text, platform=platform or None)
    except StateError as error:
        _log.warning("%r by %r could not be kept as an event: %s", text, platform, error)


def _told_to_stop() -> asyncio.Event:
    """Set at SIGTERM, SIGINT and the parent's end."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def orphaned() -> None:
        loop.call_soon_threadsafe(stop.set)

    stop_with_parent(Event(), orphaned)
    return stop


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
