"""Where the server's processes listen now: `run/ports.json`, written by all of them."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping

from isthmus.files import write_bytes
from isthmus_server.server_home import ServerHome

_FILE = "ports.json"


def announce(home: ServerHome, ports: Mapping[str, int]) -> None:
    """Add or replace ports; those of other processes stay.

    Args:
        home: the server's.
        ports: by name of the listener, such as `fleet`.

    Raises:
        OSError: the folder cannot be written.
    """
    home.runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home.runtime / f"{_FILE}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        merged = {**announced(home), **ports}
        text = json.dumps(merged, indent=2, sort_keys=True) + "\n"
        write_bytes(home.runtime / _FILE, text.encode(), mode=0o600)


def announced(home: ServerHome) -> dict[str, int]:
    """The ports by name; empty before any process told one."""
    try:
        told = json.loads((home.runtime / _FILE).read_bytes())
    except FileNotFoundError:
        return {}
    return {str(name): int(port) for name, port in told.items()}
