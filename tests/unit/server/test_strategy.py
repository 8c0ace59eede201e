"""The strategy alone, with a Grid that misbehaves on purpose."""

import logging
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity
from toy_platforms import INITIAL, SCORE, server_config

from isthmus.errors import FederationError
from isthmus.parameters import Shared
from isthmus.records import ARRAYS, METRICS, REPLY, ReplyHeader, pack, unpack
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.flower.exchange import Clock
from isthmus_server.flower.faults import InterruptedWaitError
from isthmus_server.flower.records import to_arrays
from isthmus_server.flower.strategy import FederationStrategy


@pytest.fixture(autouse=True)
def task():
    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1


@dataclass
class StubGrid(Grid):
    """Answers each message with `answer(name, message)`; nodes appear as time passes."""

    answer: object
    names: list = field(default_factory=lambda: ["a", "b"])
    online_after: int = 0  # looks before anybody is online
    looks: int = 0
    sent: list = field(default_factory=list)
    ready: dict = field(default_factory=dict)

    def get_nodes(self):
        self.looks += 1
        if self.looks <= self.online_after:
            return []
        return [NodeInfo(node_id=10 + k, name=name) for k, name in enumerate(self.names)]

    def push_messages(self, messages):
        names = {node.node_id: node.name for node in self.get_nodes()}
        ids = []
        for message in messages:
            self.sent.append(message)
            message.metadata.__dict__["_message_id"] = name = f"m{len(self.sent)}"
            ids.append(name)
            reply = self.answer(names[message.metadata.dst_node_id], message)
            if reply is not None:
                self.ready[name] = reply
        return ids

    def pull_messages(self, message_ids):
        return [self.ready.pop(name) for name in message_ids if name in self.ready]

    def send_and_receive(self, messages, *, timeout=None):  # noqa: ARG002 - Flower's signature
        raise AssertionError("replies are taken as they come")

    def get_node_ids(self):
        return [node.node_id for node in self.get_nodes()]

    def set_run(self, run): ...

    @property
    def run(self):
        return Run.create_empty(1)

    def create_message(self, *args, **kwargs):
        return Message(*args, **kwargs)


def good(name, message, **changes):
    """A right reply, or one with some fields of its header changed."""
    received = unpack(message.content[ARRAYS])
    plan = message.content["plan"]
    header = ReplyHeader(plan["run_id"], name, plan["round"], 5, received.fingerprint())
    records = {
        REPLY: ConfigRecord(dict(replace(header, **changes).to_record())),
        METRICS: MetricRecord({SCORE: 0.5}),
    }
    if message.metadata.message_type == "train":
        delta = Shared({n: np.full(t.shape, 0.5, np.float32) for n, t in received.tensors.items()})
        records[ARRAYS] = ArrayRecord({n: Array(*wire) for n, wire in pack(delta).items()})
    return Message(RecordDict(records), reply_to=message)


@pytest.fixture
def strategy(tmp_path):
    def make(clock=None, interrupt=lambda: "", tell=lambda _: None, **settings):
        config = server_config(**{"rounds": 1, **settings})
        store = CheckpointStore(tmp_path)
        return FederationStrategy(
            config, store, lambda _: None, clock, interrupt=interrupt, tell=tell
        )

    return make


def test_good_replies_move_the_parameters(strategy):
    result = strategy().start(StubGrid(good), to_arrays(INITIAL))
    moved = unpack(result.arrays)
    assert moved.tensors["encoder/w"].tolist() == np.full((3, 5), 0.5).tolist()


def without(record):
    def answer(name, message):
        reply = good(name, message)
        if name == "b":
            reply.content.pop(record, None)
        return reply

    return answer


def changed(**changes):
    return lambda name, message: good(name, message, **(changes if name == "b" else {}))


def extra(name, message):
    reply = good(name, message)
    if name == "b":
        reply.content["raw"] = ConfigRecord({"events": [1, 2]})
    return reply


def swapped(name, message):
    reply = good(name, message)
    if name == "b":
        reply.content[REPLY], reply.content[METRICS] = reply.content[METRICS], ConfigRecord()
    return reply


def no_arrays(name, message):
    reply = good(name, message)
    if name == "b" and ARRAYS in reply.content:
        reply.content[ARRAYS] = MetricRecord({"w": 1.0})
    return reply


def broken_bytes(name, message):
    reply = good(name, message)
    if name == "b" and ARRAYS in reply.content:
        reply.content[ARRAYS]["encoder/b"] = Array("float32", (4,), "numpy.ndarray", b"zip")
    return reply


def listed_metric(name, message):
    reply = good(name, message)
    if name == "b":
        reply.content[METRICS]["loss"] = [1.0, 2.0]
    return reply


def failed(name, message):
    if name == "b":
        return Message(Error(5, "node unavailable"), reply_to=message)
    return good(name, message)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (without(ARRAYS), "missing or unknown records: ['arrays']"),
        (without(METRICS), "missing or unknown records"),
        (extra, "missing or unknown records: ['raw']"),
        (swapped, "other kinds"),
        (no_arrays, "holds no arrays"),
        (broken_bytes, "encoder/b"),
        (listed_metric, "loss"),
        (changed(run_id="run-0"), "stale: run 'run-0'"),
        (changed(round=7), "stale: round 7"),
        (changed(base="f" * 64), "other parameters"),
        (changed(platform="a"), "in the name of 'a'"),
        (changed(users=-1), "users is -1"),
        (changed(protocol=99), "protocol 99"),
        (failed, "client error 5: node unavailable"),
    ],
)
def test_an_odd_reply_is_refused_with_its_reason_and_the_rest_goes_on(
    strategy, caplog, answer, words
):
    one = strategy()
    with caplog.at_level(logging.CRITICAL):
        one.start(StubGrid(answer), to_arrays(INITIAL))
    (record,) = one.state.history
    assert list(record.platforms) == ["a"]
    ((refusal),) = record.refused
    assert refusal.platform == "b"
    assert words in refusal.reason
    assert refusal.bytes_up > 0


def test_a_bad_evaluation_is_logged_and_left_out(strategy, caplog):
    def answer(name, message):
        late = name == "b" and message.metadata.message_type == "evaluate"
        return good(name, message, **({"base": "0" * 64} if late else {}))

    one = strategy()
    with caplog.at_level(logging.WARNING):
        one.start(StubGrid(answer), to_arrays(INITIAL))
    assert set(one.state.evaluation) == {"a"}
    assert "evaluation 1 by b is left out" in caplog.text


def test_silent_platforms_are_missing(strategy):
    one = strategy(FakeTime().clock())
    silent = StubGrid(lambda name, message: None if name == "b" else good(name, message))
    one.start(silent, to_arrays(INITIAL))
    assert one.state.history[0].missing == ("b",)


def test_messages_expire_with_the_round(strategy):
    grid = StubGrid(good)
    strategy(deadline_s=12.5).start(grid, to_arrays(INITIAL))
    assert {message.metadata.ttl for message in grid.sent} == {12.5}
    assert [message.metadata.group_id for message in grid.sent] == ["1", "1", "1", "1"]


@dataclass
class FakeTime:
    """Time that passes only when somebody waits."""

    seconds: float = 0.0

    def clock(self):
        return Clock(lambda: self.seconds, self.wait, poll_s=2.0, reply_poll_s=500.0)

    def wait(self, seconds):
        self.seconds += seconds


def test_it_waits_for_the_minimum_to_come_online(strategy):
    time = FakeTime()
    one = strategy(time.clock(), minimum_platforms=2)
    one.start(StubGrid(good, online_after=3), to_arrays(INITIAL))
    assert time.seconds == 6.0
    assert one.state.history[0].seconds == 6.0


def test_it_waits_no_longer_than_the_join_deadline(strategy):
    time = FakeTime()
    one = strategy(time.clock(), minimum_platforms=2, join_deadline_s=9.0)
    with pytest.raises(FederationError, match="0 platforms are online"):
        one.start(StubGrid(good, online_after=10**9), to_arrays(INITIAL))
    assert time.seconds == 10.0


def test_a_wait_tells_for_whom_and_ends_when_somebody_wants_something_else(strategy):
    told, looks = [], []

    def pause_soon():
        looks.append(1)
        return "pause by the operator" if len(looks) > 4 else ""

    one = strategy(FakeTime().clock(), interrupt=pause_soon, tell=told.append)
    silent = StubGrid(lambda name, message: None if name == "b" else good(name, message))
    with pytest.raises(InterruptedWaitError, match="pause by the operator"):
        one.start(silent, to_arrays(INITIAL))
    assert told == ["round 1: waits for a, b", "round 1: waits for b"]
    again = strategy(FakeTime().clock())
    again.start(StubGrid(good), to_arrays(INITIAL))
    assert again.state.round == 1


def test_a_second_reply_of_a_node_is_not_even_looked_at(strategy):
    class Twice(StubGrid):
        def pull_messages(self, message_ids):
            found = super().pull_messages(message_ids)
            return [*found, *found]

    one = strategy()
    one.start(Twice(good), to_arrays(INITIAL))
    assert sorted(one.state.history[0].platforms) == ["a", "b"]
    assert one.state.history[0].refused == ()


def test_settings_come_from_the_configuration_only(strategy):
    with pytest.raises(FederationError, match="configuration only"):
        strategy().start(StubGrid(good), to_arrays(INITIAL), num_rounds=3)


def test_a_run_that_was_not_started_has_no_state(strategy):
    with pytest.raises(FederationError, match="not started"):
        _ = strategy().state
