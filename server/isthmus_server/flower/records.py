"""Between the values of `isthmus.messages` and Flower's records, on the server's side."""

from __future__ import annotations

from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, RecordDict
from flwr.app.message.message import make_message
from flwr.common.serde import message_to_proto

from isthmus.errors import MessageRefusedError, meaning
from isthmus.messages import RoundPlan, Update
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
    finite_metrics,
    pack,
    sealed_bytes,
    sealed_wire,
    unpack,
    unpack_update,
)


def to_arrays(parameters: Shared) -> ArrayRecord:
    """The parameters as Flower's record."""
    return ArrayRecord({name: Array(*wire) for name, wire in pack(parameters).items()})


def from_arrays(arrays: ArrayRecord) -> Shared:
    """The parameters of a record.

    Raises:
        MessageRefusedError: a tensor is not float32 or its bytes are damaged.
    """
    return unpack(arrays)


def to_content(arrays: ArrayRecord, plan: RoundPlan) -> RecordDict:
    """What the server sends to every platform of a round."""
    return RecordDict({ARRAYS: arrays, PLAN: ConfigRecord(dict(plan.to_record()))})


def to_opening(arrays: ArrayRecord, plan: RoundPlan, opened: Opened) -> RecordDict:
    """What the server opens a session of secure aggregation with; the same for all."""
    content = to_content(arrays, plan)
    content[SECURE] = ConfigRecord(dict(opened.to_record()))
    return content


def to_notice(data: bytes, run_id: str) -> RecordDict:
    """What the server tells a platform in a later phase."""
    arrays = {name: Array(*wire) for name, wire in sealed_wire(data).items()}
    told = ConfigRecord(dict(Spoken(run_id).to_record()))
    return RecordDict({ARRAYS: ArrayRecord(arrays), SECURE: told})


def spoken_of(reply: Message, run_id: str) -> bytes:
    """A platform's bytes in a phase of secure aggregation.

    Raises:
        MessageRefusedError: an error, other records than agreed, or another run.
    """
    if reply.has_error():
        raise MessageRefusedError(told_error(reply.error))
    arrays, told = reply.content.array_records, reply.content.config_records
    if set(reply.content) != {ARRAYS, SECURE} or ARRAYS not in arrays or SECURE not in told:
        raise MessageRefusedError(f"reply has records {sorted(reply.content)}")
    run = Spoken.from_record(told[SECURE]).run_id
    if run != run_id:
        raise MessageRefusedError(f"stale: run {run!r}, expected {run_id!r}")
    return sealed_bytes(arrays[ARRAYS])


def told_error(error: Error) -> str:
    """A platform's error in words; it tells a class and a code alone."""
    means = meaning(error.code - ERROR_BASE)
    return f"client error {error.code}: {error.reason}" + (f" ({means})" if means else "")


def update_of(reply: Message, run_id: str) -> Update:
    """The update in a platform's reply to a training message.

    Raises:
        MessageRefusedError: an error, other records than agreed, another run, or damaged tensors.
    """
    header, metrics = _header_and_metrics(reply, run_id, {ARRAYS, REPLY, METRICS})
    arrays = reply.content[ARRAYS]
    if not isinstance(arrays, ArrayRecord):
        raise MessageRefusedError(f"record {ARRAYS!r} holds no arrays")
    return Update(
        platform=header.platform,
        round=header.round,
        delta=unpack_update(arrays),
        users=header.users,
        base=header.base,
        metrics=metrics,
    )


def metrics_of(reply: Message, run_id: str, platform: str, base: str) -> dict[str, float]:
    """The metrics in a platform's reply to an evaluation message.

    Raises:
        MessageRefusedError: an error, other records than agreed, another run, a bad metric, or a
            reply in another's name or about other parameters than those with fingerprint `base`.
    """
    header, metrics = _header_and_metrics(reply, run_id, {REPLY, METRICS})
    if (header.platform, header.base) != (platform, base):
        raise MessageRefusedError(f"{header.platform!r} evaluated other parameters than those sent")
    return metrics


def wire_bytes(message: Message) -> int:
    """Bytes of the serialised message: its tensors, and everything around them.

    Left out are the length prefixes that protobuf puts before each tensor, a few bytes each.
    """
    if message.has_error():
        return int(message_to_proto(message).ByteSize())
    bare = make_message(message.metadata, content=without_tensors(message.content))
    return int(message_to_proto(bare).ByteSize()) + sum(map(len, tensors_of(message.content)))


def tensors_of(content: RecordDict) -> list[bytes]:
    """The bytes of every tensor, in the order of records and names; not copied."""
    records = content.array_records.values()
    return [array.data for record in records for array in record.values()]


def without_tensors(content: RecordDict) -> RecordDict:
    """The same records with every tensor's bytes left out."""
    bare = RecordDict(dict(content))
    for name, record in content.array_records.items():
        bare[name] = empty = ArrayRecord()
        for key, array in record.items():
            empty[key] = Array(array.dtype, array.shape, array.stype, b"")
    return bare


def _header_and_metrics(
    reply: Message, run_id: str, records: set[str]
) -> tuple[ReplyHeader, dict[str, float]]:
    if reply.has_error():
        raise MessageRefusedError(told_error(reply.error))
    if odd := sorted(set(reply.content) ^ records):
        raise MessageRefusedError(f"reply has missing or unknown records: {odd}")
    config, metrics = reply.content.config_records, reply.content.metric_records
    if REPLY not in config or METRICS not in metrics:
        raise MessageRefusedError("reply has records of other kinds than agreed")
    header = ReplyHeader.from_record(config[REPLY])
    if header.run_id != run_id:
        raise MessageRefusedError(f"stale: run {header.run_id!r}, expected {run_id!r}")
    return header, finite_metrics(metrics[METRICS])
