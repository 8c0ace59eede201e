"""The node's two loops with the fleet listener: messages, and the lease."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from isthmus.errors import IdentityError, MessageRefusedError, ServiceError
from isthmus.files import write_text
from isthmus_client.link.fleet import HEARTBEAT_S, LeaseHeldError
from isthmus_client.link.node_messages import MessageRunner, Parts

_BEAT_S: Final = HEARTBEAT_S / 2
_REFUSED_S: Final = 2.0  # between two tries of a platform that the server does not take
_LEASE_S: Final = 1.0  # between two tries to enter while an old lease lasts
_FIRST_S: Final = 0.1  # between two tries to reach the server; doubled each time
_LAST_S: Final = 2.0
_LOST: Final = 4  # failures in a row after which the server is asked for its address anew
_log = logging.getLogger(__name__)


class FleetLoop:
    """Enters the fleet and answers messages until told to stop; it never gives up.

    Args:
        parts: what it works with.
        number: file that remembers which node of Flower's this platform is.
        joined: set once the control session was opened: a cloned identity is found out there,
            before it could take anybody's messages.
        lost: called when the server was not reached several times: its address may be another.
    """

    def __init__(
        self, parts: Parts, number: Path, joined: threading.Event, lost: Callable[[], None]
    ) -> None:
        self._parts, self._number, self._joined, self._lost = parts, number, joined, lost
        self._failures = 0
        self._runner = MessageRunner(parts)
        self._active = threading.Event()
        self._pause = _FIRST_S

    def start(self) -> None:
        """Run both loops in threads of their own."""
        for target, name in ((self._messages, "messages"), (self._lease, "lease")):
            threading.Thread(target=target, name=name, daemon=True).start()

    def _messages(self) -> None:
        while not self._parts.stop.is_set():
            if self._joined.wait(_LAST_S):
                self.step()

    def step(self) -> None:
        """Enter the fleet if need be, wait for a message and answer it."""
        try:
            self._stepped()
            self._pause, self._failures = _FIRST_S, 0
        except LeaseHeldError as error:
            self._rest(
                "waiting", f"{error}; it ends by itself within {2 * HEARTBEAT_S:g} s", _LEASE_S
            )
        except IdentityError as error:
            self._rest("refused", f"{error} {error.hint}".strip(), _REFUSED_S)
        except (ServiceError, MessageRefusedError, OSError) as error:
            self._rest("waiting", str(error), self._pause)
            self._pause = min(2 * self._pause, _LAST_S)
            self._failures += 1
            if self._failures % _LOST == 0:
                self._lost()

    def leave(self) -> None:
        """Tell the server that this node is gone, if it can be told."""
        if self._active.is_set():
            try:
                self._parts.link.deactivate()
            except (IdentityError, ServiceError) as error:
                _log.info("the server was not told that this node ends: %s", error)

    def _stepped(self) -> None:
        if not self._active.is_set():
            self._enter()
            self._active.set()
            _log.info("this node is active", extra={"node": self._parts.link.node_id})
        self._parts.status.tell("ready")
        pulled = self._parts.link.pull(self._runner.in_hand)
        if pulled is not None and not self._parts.stop.is_set():
            self._runner.handle(pulled)

    def _enter(self) -> None:
        """Go on as the node of before; where there was none, or it is no more, enter anew."""
        try:
            self._parts.link.resume(int(self._number.read_text()))
        except (OSError, ValueError, LeaseHeldError, IdentityError):
            number = self._parts.link.activate()
            write_text(self._number, f"{number}\n")

    def _rest(self, state: str, reason: str, seconds: float) -> None:
        _log.warning("%s", reason)
        self._parts.status.tell("refused" if state == "refused" else "waiting", reason)
        self._parts.stop.wait(seconds)

    def _lease(self) -> None:
        """Renew the lease while the other loop works, however long a message takes."""
        while not self._parts.stop.wait(_BEAT_S):
            if not self._active.is_set():
                continue
            try:
                self._parts.link.beat()
            except LeaseHeldError:
                self._active.clear()
            except (IdentityError, ServiceError) as error:
                _log.warning("no heartbeat: %s", error)
