"""What a node does with one message: check, hand to the worker, hand in the reply.

It looks at no content: whether the platform agreed to a run, and to what it asks for, is the
worker's to judge, where the data is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flwr.app import Error, Message
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import Message as WireMessage
from google.protobuf.message import DecodeError

from isthmus.bundle import require_known
from isthmus.errors import BundleError, IsthmusError, MessageRefusedError, ServiceError
from isthmus_client.link.fleet import FleetLink, Pulled, RunOverError
from isthmus_client.link.fleet_messages import is_stale
from isthmus_client.worker.channel import WorkerChannel, WorkerGoneError
from isthmus_client.worker.status import StatusFile

ERROR_BASE: Final = 1000
"""Added to an error's exit code; Flower's own codes are below. The worker's are the same."""

TRIES: Final = 2
"""Workers that a message may cost: it is tried again with the next one, once."""

_LAST: Final = frozenset({"train", "query.reveal"})
"""Messages with which this platform's part in a round ends."""

_REMEMBERED: Final = 64  # messages that are not asked for again
_log = logging.getLogger(__name__)

Note = Callable[[Mapping[str, Any]], object]


@dataclass(frozen=True)
class Parts:
    """What a node works with.

    Attributes:
        link: to the server.
        worker: to the warm worker.
        status: told what the node does.
        note: writes a line to the platform's audit log.
        allowed: bundles that are allowed besides our own.
        stop: set when the node is to end.
        round_done: told when this platform's part in a round has ended: the ends of both sides'
            logs are then written into the other's.
    """

    link: FleetLink
    worker: WorkerChannel
    status: StatusFile
    note: Note
    allowed: frozenset[str]
    stop: threading.Event
    round_done: Callable[[], None] = field(default=lambda: None)


class MessageRunner:
    """Answers messages, one after the other.

    Guarantees:
        A message whose deadline has passed by the server's clock is not executed. A message of a
        run whose bundle is not allowed reaches nobody: it is answered with an error, and nothing
        of the bundle is fetched, opened or run. An error reply holds a class name and a code.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._bundles: dict[int, str] = {}  # hash by run
        self._done: deque[str] = deque(maxlen=_REMEMBERED)

    @property
    def in_hand(self) -> tuple[str, ...]:
        """Messages that are not wanted again."""
        return tuple(self._done)

    def handle(self, pulled: Pulled) -> None:
        """Answer one message.

        Raises:
            IdentityError, ServiceError: the server cannot be asked; the message comes again.
        """
        metadata = pulled.message.metadata
        facts = {"kind": metadata.message_type, "round": metadata.group_id}
        self._parts.status.tell("working", **facts)
        began = time.monotonic()
        try:
            reply = self._reply(pulled)
            worked = time.monotonic() - began
            if reply is not None:
                self._parts.link.push(reply, seconds=worked)
            took = {"worked_s": round(worked, 4), "in_all_s": round(time.monotonic() - began, 4)}
            _log.info("answered", extra={**facts, **took})
            if metadata.message_type in _LAST:
                self._parts.round_done()
        except RunOverError:
            _log.info("the run of message %s has ended", pulled.name)
        except MessageRefusedError as error:
            _log.warning("reply to %s: %s", pulled.name, error)
        self._done.append(pulled.name)

    def _reply(self, pulled: Pulled) -> Message | None:
        """The reply; None = nobody waits for one."""
        message = pulled.message
        if self._is_stale(message):
            self._note_refused(message, "stale", "its deadline has passed; it was not executed")
            return None
        try:
            self._require_bundle(message.metadata.run_id)
            return self._asked(message)
        except (BundleError, WorkerGoneError) as error:
            _log.error("%s: %s %s", type(error).__name__, error, error.hint)
            self._note_refused(message, type(error).__name__, str(error))
            return _error_reply(error, message)
        except ServiceError as error:  # no worker there
            if self._parts.stop.is_set() or self._is_stale(message):
                return None
            return _error_reply(error, message)

    def _is_stale(self, message: Message) -> bool:
        return is_stale(message, ahead=self._parts.link.ahead())

    def _require_bundle(self, run_id: int) -> None:
        if run_id not in self._bundles:
            self._bundles[run_id] = self._parts.link.bundle_of(run_id)
        require_known(self._bundles[run_id], self._parts.allowed)

    def _asked(self, message: Message) -> Message:
        """The worker's reply; a worker that dies of it is given another try with the message."""
        body = message_to_proto(message).SerializeToString()

        def give_up() -> bool:
            return self._parts.stop.is_set() or self._is_stale(message)

        for left in reversed(range(TRIES)):
            try:
                answer = self._parts.worker.ask(body, give_up=give_up, patience=float("inf"))
                return message_from_proto(WireMessage.FromString(answer))
            except WorkerGoneError:
                if not left:
                    raise
                _log.warning("the worker ended while it worked; the next one is asked")
            except DecodeError as error:
                raise ServiceError("the worker answered in another language") from error
        raise ServiceError("no worker was asked")

    def _note_refused(self, message: Message, what: str, text: str) -> None:
        """Write a refusal down; that it cannot be is only logged."""
        metadata = message.metadata
        body = {
            "kind": "message refused",
            "message": metadata.message_type,
            "flower_run": str(metadata.run_id),
            "round": metadata.group_id[:20],
            "error": what,
            "text": text[:500],
        }
        try:
            self._parts.note(body)
        except (OSError, IsthmusError) as error:
            _log.error("a refusal could not be written down: %s", error)


def _error_reply(error: IsthmusError, message: Message) -> Message:
    return Message(Error(ERROR_BASE + error.exit_code, type(error).__name__), reply_to=message)
