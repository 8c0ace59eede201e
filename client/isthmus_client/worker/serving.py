"""What the worker answers: each message by the side of its run, and errors by their class alone."""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Final

from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Context,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import Message as WireMessage

from isthmus.audit_log import AuditLog
from isthmus.errors import IsthmusError, MessageRefusedError
from isthmus.federation_contract import FederationContract
from isthmus.messages import RoundPlan
from isthmus.records import ARRAYS, METRICS, PLAN, REPLY, ReplyHeader, pack
from isthmus_client.app import error_reply
from isthmus_client.worker.initial import initial_of
from isthmus_client.worker.sides import AUDIT, Owner, Sides
from isthmus_client.worker.status import StatusFile

INITIAL: Final = "query.initial"
"""Type of the message that asks for a run's initial parameters, which its contract fixes."""

RUN_FIELDS: Final = ("run_id", "run")
_KEPT_REPLIES: Final = 4  # the server hands out one message at a time; a few may come again
_log = logging.getLogger(__name__)


class Serving:
    """Answers frames of the channel.

    Args:
        owner: whose worker it is.
        sides: by run.
        status: told what is worked on.

    Guarantees:
        A message is answered only for a run whose contract the platform approved, and only if its
        plan is the contract's. What leaves in a reply is what the outbox handed out, the initial
        parameters, or the class name and code of an error: never the text of an exception.
        A message that comes again is answered by the very same bytes.
    """

    def __init__(self, owner: Owner, sides: Sides, status: StatusFile) -> None:
        self._owner, self._sides, self._status = owner, sides, status
        self._audit = AuditLog(owner.home.federation / AUDIT, owner.signing)
        self._replies: OrderedDict[str, bytes] = OrderedDict()

    def __call__(self, asked: bytes) -> bytes:
        """The reply to a message, both as Flower's protobuf."""
        message = message_from_proto(WireMessage.FromString(asked))
        name = message.metadata.message_id
        if name and name in self._replies:
            return self._replies[name]
        reply = message_to_proto(self.reply(message)).SerializeToString()
        if name:
            self._replies[name] = reply
            while len(self._replies) > _KEPT_REPLIES:
                self._replies.popitem(last=False)
        return reply

    def reply(self, message: Message) -> Message:
        """The reply to a message; it raises nothing."""
        kind, run = message.metadata.message_type, _run_of(message)
        self._status.tell("working", kind=kind, run=run, round=message.metadata.group_id)
        try:
            contract = self._sides.agreed(run)
            plan = _plan_of(message)
            if plan is not None:
                contract.require_plan(plan)
            if kind == INITIAL:
                return self._initial(message, contract)
            app = self._sides.of(contract).app
            return app(message, Context(message.metadata.run_id, 0, {}, RecordDict(), {}))
        except IsthmusError as error:
            _log.error("%s: %s %s", type(error).__name__, error, error.hint)
            self._note(kind, run, message, error)
            return error_reply(error, message)
        except Exception as error:  # noqa: BLE001 - whatever it is, its text stays at home
            _log.exception("a message failed at this platform")
            return error_reply(error, message)
        finally:
            self._status.tell("ready")

    def _initial(self, message: Message, contract: FederationContract) -> Message:
        """The parameters of round 0: public, a function of the contract alone.

        The data are read first: encoding a catalogue's texts may take long, and a round's first
        phase, unlike this message, has a short deadline.
        """
        parameters = initial_of(contract)
        self._sides.of(contract)
        base = parameters.fingerprint()
        size = {"tensors": len(parameters.tensors), "bytes": parameters.bytes, "users": 0}
        self._audit.append(
            {"kind": "initial parameters", "run": contract.run, "sha256": base, **size}
        )
        header = ReplyHeader(contract.run, self._owner.name, 0, 0, base)
        arrays = {name: Array(*wire) for name, wire in pack(parameters).items()}
        content: dict[str, ArrayRecord | MetricRecord | ConfigRecord] = {
            ARRAYS: ArrayRecord(arrays),
            REPLY: ConfigRecord(dict(header.to_record())),
            METRICS: MetricRecord({}),
        }
        return Message(RecordDict(content), reply_to=message)

    def _note(self, kind: str, run: str, message: Message, error: IsthmusError) -> None:
        """Write down that a message was refused, and why; that it cannot be is only logged."""
        body = {"kind": "refused", "message": kind, "run": run[:64]}
        body |= {"round": message.metadata.group_id[:20], "error": type(error).__name__}
        try:
            self._audit.append({**body, "text": str(error)[:500]})
        except (OSError, IsthmusError) as failed:
            _log.error("a refusal could not be written down: %s", failed)


def _run_of(message: Message) -> str:
    """The run that a message names; "" = none."""
    for record in message.content.config_records.values() if message.has_content() else ():
        for field in RUN_FIELDS:
            if isinstance(value := record.get(field), str):
                return value
    return ""


def _plan_of(message: Message) -> RoundPlan | None:
    """The round's plan, where the message has one.

    Raises:
        MessageRefusedError: it has no content, or its plan is none.
    """
    if not message.has_content():
        raise MessageRefusedError("the server sent a message without content")
    record = message.content.config_records.get(PLAN)
    if record is None or message.metadata.message_type == INITIAL:
        return None
    return RoundPlan.from_record(record)
