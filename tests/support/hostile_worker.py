"""A platform's worker that does its work and then lies: `hostile_worker.py PLATFORM_TOML`.

How it lies stands in the file `lie` beside `platform.toml`: the name of a function here; nothing
there, or "honest", and it does not.
"""

import sys
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from flwr.app.message.message import make_message
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import Message as WireMessage

from isthmus.records import ARRAYS, METRICS, REPLY
from isthmus_client.worker import __main__ as program
from isthmus_client.worker import composing

SHOUTED = "\x1b[2Jall is well\r\n"


class Reply:
    """A reply, to be spoilt in place."""

    def __init__(self, message: Message) -> None:
        self.metadata = message.metadata
        self.content = message.content
        self.error: Error | None = None

    @property
    def arrays(self):
        return {name: array.numpy() for name, array in self.content.array_records[ARRAYS].items()}

    def put(self, arrays):
        self.content[ARRAYS] = ArrayRecord({name: Array(each) for name, each in arrays.items()})

    def say(self, **changes):
        self.content[REPLY] = ConfigRecord({**self.content.config_records[REPLY], **changes})

    def message(self) -> Message:
        if self.error is not None:
            return make_message(self.metadata, error=self.error)
        return make_message(self.metadata, content=self.content)


def _first(reply, change):
    arrays = reply.arrays
    name = min(arrays)
    reply.put({**arrays, name: change(arrays[name])})


def not_a_number(reply, _before):
    _first(reply, lambda each: np.full_like(each, np.nan))


def infinite(reply, _before):
    _first(reply, lambda each: np.full_like(each, np.inf))


def other_shape(reply, _before):
    _first(reply, lambda _: np.ones(1, np.float32))  # NumPy would broadcast it


def one_less(reply, _before):
    reply.put(dict(sorted(reply.arrays.items())[1:]))


def one_more(reply, _before):
    reply.put({**reply.arrays, "backdoor": np.ones(3, np.float32)})


def wide(reply, _before):
    _first(reply, lambda each: each.astype(np.float64))


def huge(reply, _before):
    reply.put({name: np.full_like(each, 1e30) for name, each in reply.arrays.items()})


def stale(reply, _before):
    reply.say(round=int(reply.content.config_records[REPLY]["round"]) - 1)


def other_run(reply, _before):
    reply.say(run_id="another")


def other_name(reply, _before):
    reply.say(platform="alder")


def negative_users(reply, _before):
    reply.say(users=-5)


def other_base(reply, _before):
    reply.say(base="0" * 64)


def odd_metric(reply, _before):
    reply.content[METRICS] = MetricRecord({"loss": float("nan")})


def other_records(reply, _before):
    reply.content = RecordDict({"anything": ConfigRecord({"at": "all"})})


def talkative(reply, _before):
    reply.error = Error(1099, SHOUTED)


def replayed(reply, before):
    """What was said in the first round, as the answer to this one."""
    reply.content = before.content


class Liar:
    """Answers the channel's frames."""

    def __init__(self, serving, note: Path) -> None:
        self._serving, self._note = serving, note
        self._before: Message | None = None

    def __call__(self, asked: bytes) -> bytes:
        said = self._serving(asked)
        lie = self._note.read_text().strip() if self._note.exists() else "honest"
        message = message_from_proto(WireMessage.FromString(said))
        if lie == "garbage":
            return b"\xff" * 100
        if lie == "late":
            return message_to_proto(self._before or message).SerializeToString()
        if message.has_error() or not message.content.array_records:
            return said
        self._before = self._before or message
        if lie == "honest":
            return said
        spoilt = Reply(message_from_proto(WireMessage.FromString(said)))
        globals()[lie](spoilt, self._before)
        return message_to_proto(spoilt.message()).SerializeToString()


def _composed(home, status):
    made = _compose(home, status)
    object.__setattr__(made, "serving", Liar(made.serving, home.folder / "lie"))
    return made


_compose = composing.compose

if __name__ == "__main__":
    composing.compose = _composed
    sys.exit(program.main(sys.argv[1:]))
