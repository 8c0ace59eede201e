"""A platform's Flower app: messages in, local work, and replies through the outbox only."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Context,
    Error,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.clientapp import ClientApp

from isthmus.errors import IsthmusError, MessageRefusedError
from isthmus.messages import PROTOCOL_VERSION, RoundPlan, Update
from isthmus.parameters import Shared
from isthmus.records import ARRAYS, METRICS, PLAN, REPLY, ReplyHeader, pack, unpack
from isthmus_client.outbox import Outbox
from isthmus_client.trainer import LocalTrainer

TrainerFor = Callable[[Context], LocalTrainer]
OutboxFor = Callable[[str], Outbox]

ERROR_BASE = 1000  # added to an error's exit code; Flower's own codes are below
_log = logging.getLogger(__name__)


def build_client_app(trainer_for: TrainerFor, outbox_for: OutboxFor) -> ClientApp:
    """A Flower app that trains and evaluates with a platform's trainer.

    Args:
        trainer_for: the trainer of the node that a context belongs to.
        outbox_for: the outbox of the platform with this name.

    Guarantees:
        What leaves in a reply is what the outbox handed out, or the class name and code of an
        error: never the text of an exception, which may quote a user's data.
    """
    app = ClientApp()
    platform = _PlatformSide(trainer_for, outbox_for)
    app.train()(platform.train)
    app.evaluate()(platform.evaluate)
    return app


@dataclass(frozen=True)
class _PlatformSide:
    """The handlers; a value that another process can rebuild."""

    trainer_for: TrainerFor
    outbox_for: OutboxFor

    def train(self, message: Message, context: Context) -> Message:
        """Answer a training message."""
        return _redacted(self._train, message, context)

    def evaluate(self, message: Message, context: Context) -> Message:
        """Answer an evaluation message."""
        return _redacted(self._evaluate, message, context)

    def _train(self, message: Message, context: Context) -> RecordDict:
        received, plan = _opened(message)
        trainer = self.trainer_for(context)
        outbox = self.outbox_for(trainer.platform)
        update = outbox.send_again(received=received, plan=plan)
        if update is None:
            result = trainer.train(received, plan)
            update = outbox.send_update(
                result.update,
                received=received,
                users=result.users,
                metrics=result.metrics,
                plan=plan,
            )
        arrays = {name: Array(*wire) for name, wire in pack(update.delta).items()}
        return RecordDict({ARRAYS: ArrayRecord(arrays), **_reply(update, plan)})

    def _evaluate(self, message: Message, context: Context) -> RecordDict:
        received, plan = _opened(message)
        trainer = self.trainer_for(context)
        metrics = trainer.evaluate(received, plan)
        outbox = self.outbox_for(trainer.platform)
        sent = outbox.send_metrics(metrics, received=received, plan=plan)
        return RecordDict(_reply(sent, plan))


def _redacted(
    handler: Callable[[Message, Context], RecordDict], message: Message, context: Context
) -> Message:
    """The handler's reply, or an error that tells the server its class and code alone."""
    try:
        return Message(handler(message, context), reply_to=message)
    except IsthmusError as error:
        _log.error("%s: %s %s", type(error).__name__, error, error.hint)
        return _error_reply(error, error.exit_code, message)
    except Exception as error:  # noqa: BLE001 - whatever it is, its text stays at home
        _log.exception("a round failed at this platform")
        return _error_reply(error, IsthmusError.exit_code, message)


def _error_reply(error: Exception, code: int, message: Message) -> Message:
    return Message(Error(ERROR_BASE + code, type(error).__name__), reply_to=message)


def _opened(message: Message) -> tuple[Shared, RoundPlan]:
    """The parameters and the plan of a message from the server.

    Raises:
        MessageRefusedError: other records than agreed, damaged ones, or another protocol.
    """
    arrays, plans = message.content.array_records, message.content.config_records
    if set(message.content) != {ARRAYS, PLAN} or ARRAYS not in arrays or PLAN not in plans:
        raise MessageRefusedError(f"message has records {sorted(message.content)}")
    plan = RoundPlan.from_record(plans[PLAN])
    if plan.protocol != PROTOCOL_VERSION:
        raise MessageRefusedError(
            f"the server speaks protocol {plan.protocol}, this platform {PROTOCOL_VERSION}",
            hint="install the same release of isthmus on both sides",
        )
    return unpack(arrays[ARRAYS]), plan


def _reply(update: Update, plan: RoundPlan) -> dict[str, ArrayRecord | MetricRecord | ConfigRecord]:
    header = ReplyHeader(plan.run_id, update.platform, update.round, update.users, update.base)
    return {
        REPLY: ConfigRecord(dict(header.to_record())),
        METRICS: MetricRecord(dict(update.metrics)),
    }
