"""The rolling ticket on the platform's side: `federation/session.json`.

    {"ticket": T0}               before the first session T0 is ""
    {"ticket": T0, "next": T1}   on the disk before the server hears of T1
    {"ticket": T1}               on the disk before the first call with T1

A process that is killed between any two of these shows, when it starts again, a ticket that the
server still takes: before the server heard of T1 that is T0; after it did, and as long as no
heartbeat came with T1, T0 as well; and no heartbeat is sent before T1 is on the disk. A copy of
this file on another machine, however, is out of date as soon as either of the two goes on.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from isthmus.errors import IdentityError
from isthmus.secret_files import write_owned

TICKET_BYTES: Final = 24


@dataclass(frozen=True)
class Tickets:
    """What the file says.

    Attributes:
        ticket: of the session that is open, or was last; "" = there was none.
        next: of a session that was asked for; "" = none is.
    """

    ticket: str = field(default="", repr=False)
    next: str = field(default="", repr=False)


def read_tickets(path: Path) -> Tickets:
    """The tickets; none where no session was opened yet.

    Raises:
        IdentityError: the file is damaged.
    """
    try:
        value: Any = json.loads(path.read_bytes())
        found = Tickets(value["ticket"], value.get("next", ""))
    except FileNotFoundError:
        return Tickets()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise IdentityError(
            f"{path} is damaged",
            hint="remove it and start again; the operator will have to approve this platform anew",
        ) from None
    return found


def write_tickets(path: Path, tickets: Tickets) -> None:
    """Put the tickets on the disk.

    Raises:
        OSError: they cannot be written.
    """
    value = {"ticket": tickets.ticket} | ({"next": tickets.next} if tickets.next else {})
    write_owned(path, json.dumps(value).encode())


def fresh_ticket() -> str:
    """A ticket that nobody can guess."""
    return secrets.token_urlsafe(TICKET_BYTES)
