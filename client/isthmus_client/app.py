"""A platform's Flower app: messages in, local work, and replies through the outbox only."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Set as AbstractSet
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

from isthmus.errors import DiskFullError, IsthmusError, MessageRefusedError, NotApprovedError
from isthmus.files import is_full
from isthmus.messages import PROTOCOL_VERSION, RoundPlan, Update
from isthmus.parameters import Shared
from isthmus.records import (
    ARRAYS,
    ERROR_BASE,
    METRICS,
    PLAN,
    REPLY,
    SECURE,
    Opened,
    ReplyHeader,
    Spoken,
    pack,
    sealed_bytes,
    sealed_wire,
    unpack,
)
from isthmus_client.outbox import Outbox
from isthmus_client.secure_side import Measured, Opening, SeatFor, SecureSide, alarm_of
from isthmus_client.trainer import LocalTrainer

TrainerFor = Callable[[Context], LocalTrainer]
OutboxFor = Callable[[str], Outbox]

_log = logging.getLogger(__name__)


def build_client_app(
    trainer_for: TrainerFor, outbox_for: OutboxFor, seat_for: SeatFor | None = None
) -> ClientApp:
    """A Flower app that trains and evaluates with a platform's trainer.

    Args:
        trainer_for: the trainer of the node that a context belongs to.
        outbox_for: the outbox of the platform with this name.
        seat_for: what the platform with this name brings to secure aggregation; None = the run has
            none. Sessions are in memory, so all messages of a platform must reach this very app.

    Guarantees:
        A run with seats answers messages of secure aggregation alone, one without them none.
        What leaves in a reply is what the outbox handed out, or the class name and code of an
        error: never the text of an exception, which may quote a user's data.
    """
    app = ClientApp()
    if seat_for is not None:
        return _with_sessions(app, _SessionSide(trainer_for, outbox_for, SecureSide(seat_for)))
    platform = _PlatformSide(trainer_for, outbox_for)
    app.train()(platform.train)
    app.evaluate()(platform.evaluate)
    app.train("advertise")(_not_agreed)
    return app


def _with_sessions(app: ClientApp, platform: _SessionSide) -> ClientApp:
    """The app with a handler for each phase, and refusals of what would show a single update."""
    app.train("advertise")(platform.advertise)
    app.query("share")(platform.share)
    app.train("mask")(platform.mask_update)
    app.evaluate("mask")(platform.mask_metrics)
    app.query("agree")(platform.agree)
    app.query("reveal")(platform.reveal)
    app.train()(_in_the_clear)
    app.evaluate()(_in_the_clear)
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


@dataclass(frozen=True)
class _SessionSide:
    """The handlers of secure aggregation."""

    trainer_for: TrainerFor
    outbox_for: OutboxFor
    side: SecureSide

    def advertise(self, message: Message, context: Context) -> Message:
        """Phase 1: the round's parameters, and who takes part under which terms."""
        return _redacted(self._advertise, message, context)

    def share(self, message: Message, context: Context) -> Message:
        """Phase 2."""
        return _redacted(lambda m, c: self._phase(self.side.share, m, c), message, context)

    def mask_update(self, message: Message, context: Context) -> Message:
        """Phase 3 of a round."""
        return _redacted(lambda m, c: self._mask("train", m, c), message, context)

    def mask_metrics(self, message: Message, context: Context) -> Message:
        """Phase 3 of an evaluation."""
        return _redacted(lambda m, c: self._mask("evaluate", m, c), message, context)

    def agree(self, message: Message, context: Context) -> Message:
        """Phase 4."""
        return _redacted(lambda m, c: self._phase(self.side.agree, m, c), message, context)

    def reveal(self, message: Message, context: Context) -> Message:
        """Phase 5."""
        return _redacted(lambda m, c: self._phase(self.side.reveal, m, c), message, context)

    def _advertise(self, message: Message, context: Context) -> RecordDict:
        received, plan = _opened(message, {SECURE})
        told = Opened.from_record(_config(message, SECURE))
        kind: Measured = "evaluate" if told.evaluate else "train"
        opening = Opening(told.terms, received, plan, told.metrics, told.weights, kind)
        return _spoken(
            self.side.advertise(self.trainer_for(context).platform, opening), plan.run_id
        )

    def _phase(
        self, answer: Callable[[str, bytes], bytes], message: Message, context: Context
    ) -> RecordDict:
        run, notice = _notice(message)
        return _spoken(answer(self.trainer_for(context).platform, notice), run)

    def _mask(self, kind: Measured, message: Message, context: Context) -> RecordDict:
        run, notice = _notice(message)
        trainer = self.trainer_for(context)
        return _spoken(
            self.side.mask(trainer, self.outbox_for(trainer.platform), kind, notice), run
        )


def _in_the_clear(message: Message, context: Context) -> Message:
    """Refuse to show an update alone."""

    def refused(_message: Message, _context: Context) -> RecordDict:
        raise NotApprovedError(
            "the server asked for this platform's update in the clear; the run has secure "
            "aggregation, in which it sees sums only"
        )

    return _redacted(refused, message, context)


def _not_agreed(message: Message, context: Context) -> Message:
    """Refuse secure aggregation where the platform knows nobody to aggregate with."""

    def refused(_message: Message, _context: Context) -> RecordDict:
        raise NotApprovedError("the server asked for secure aggregation, which this run has not")

    return _redacted(refused, message, context)


def _redacted(
    handler: Callable[[Message, Context], RecordDict], message: Message, context: Context
) -> Message:
    """The handler's reply, or an error that tells the server its class and code alone."""
    try:
        return Message(handler(message, context), reply_to=message)
    except IsthmusError as error:
        _log.error("%s: %s %s", type(error).__name__, error, error.hint)
        return error_reply(error, message)
    except Exception as error:  # noqa: BLE001 - whatever it is, its text stays at home
        _log.exception("a round failed at this platform")
        return error_reply(error, message)


def error_reply(error: Exception, message: Message) -> Message:
    """What the server is told of an error: its class, its code, and nothing of its text."""
    if is_full(error):
        return Message(
            Error(ERROR_BASE + DiskFullError.exit_code, DiskFullError.__name__), reply_to=message
        )
    code = error.exit_code if isinstance(error, IsthmusError) else IsthmusError.exit_code
    name = type(error).__name__ + (alarm_of(error) if isinstance(error, IsthmusError) else "")
    return Message(Error(ERROR_BASE + code, name), reply_to=message)


def _config(message: Message, name: str) -> ConfigRecord:
    """A record of plain values.

    Raises:
        MessageRefusedError: there is none of this name.
    """
    if name not in message.content.config_records:
        raise MessageRefusedError(f"message has records {sorted(message.content)}")
    return message.content.config_records[name]


def _notice(message: Message) -> tuple[str, bytes]:
    """The run, and the server's bytes in a phase of secure aggregation.

    Raises:
        MessageRefusedError: other records than agreed, or damaged ones.
    """
    if set(message.content) != {ARRAYS, SECURE} or ARRAYS not in message.content.array_records:
        raise MessageRefusedError(f"message has records {sorted(message.content)}")
    told = Spoken.from_record(_config(message, SECURE))
    return told.run_id, sealed_bytes(message.content.array_records[ARRAYS])


def _spoken(data: bytes, run: str) -> RecordDict:
    """A platform's bytes in a phase of secure aggregation."""
    arrays = {name: Array(*wire) for name, wire in sealed_wire(data).items()}
    told = ConfigRecord(dict(Spoken(run).to_record()))
    return RecordDict({ARRAYS: ArrayRecord(arrays), SECURE: told})


def _opened(message: Message, others: AbstractSet[str] = frozenset()) -> tuple[Shared, RoundPlan]:
    """The parameters and the plan of a message from the server.

    Args:
        message: the server's.
        others: names of the records that it has besides.

    Raises:
        MessageRefusedError: other records than agreed, damaged ones, or another protocol.
    """
    arrays, plans = message.content.array_records, message.content.config_records
    if set(message.content) != {ARRAYS, PLAN, *others} or ARRAYS not in arrays or PLAN not in plans:
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
