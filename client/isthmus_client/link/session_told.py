"""What a server tells, held against what can be true before anything is done with it.

A platform trusts its server to bring it messages, and no further: a time that is none would stop
the node's clock, a log's head of a mebibyte would fill the platform's disk with every heartbeat.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

from isthmus.audit_log import Anchor
from isthmus.control.limits import SKEW_REFUSED_S
from isthmus.errors import MessageRefusedError

_LISTENERS: Final = ("enrolment", "control", "fleet")
_PORTS: Final = 2**16
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_MAX_LINES: Final = 2**63
_KEY: Final = 32  # bytes
_LONGEST_BEAT_S: Final = 86_400.0


def told_ports(ports: Mapping[str, int]) -> dict[str, int]:
    """The ports of the listeners that a platform knows of.

    Raises:
        MessageRefusedError: one is no port.
    """
    found = {name: ports[name] for name in _LISTENERS if name in ports}
    for name, port in found.items():
        _require(0 < port < _PORTS, f"the port {port} for {name}")
    return found


def told_key(key: bytes) -> bytes:
    """The server's signing key.

    Raises:
        MessageRefusedError: it is none.
    """
    _require(len(key) == _KEY, f"a signing key of {len(key)} bytes")
    return key


def told_time(seconds: float, here: float) -> float:
    """The server's clock.

    Args:
        seconds: since 1970, as the server tells it.
        here: the same by this machine's clock.

    Raises:
        MessageRefusedError: it is none, or so far away that no session can go on.
    """
    close = math.isfinite(seconds) and abs(seconds - here) <= 2 * SKEW_REFUSED_S
    _require(close, f"the time {seconds:g}, with {here:.0f} here")
    return seconds


def told_pause(seconds: float) -> float:
    """Seconds until the next heartbeat.

    Raises:
        MessageRefusedError: it is none.
    """
    _require(math.isfinite(seconds) and 0 < seconds <= _LONGEST_BEAT_S, f"a pause of {seconds:g} s")
    return seconds


def told_head(lines: int, head: str) -> Anchor:
    """How far the server's log has come.

    Raises:
        MessageRefusedError: it is none.
    """
    _require(lines < _MAX_LINES and bool(_HASH.fullmatch(head)), f"a log of {lines} lines")
    return Anchor(lines, head)


def _require(good: bool, what: str) -> None:
    if not good:
        raise MessageRefusedError(
            f"the server tells {what}; it was not used", hint="ask its operator to look into it"
        )
