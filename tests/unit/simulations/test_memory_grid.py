import threading

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from isthmus_simulations.engines.memory import MemoryGrid


@pytest.fixture(autouse=True)
def task():
    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1


@pytest.fixture
def grids():
    made = []

    def make(handler, platforms=("a", "b", "c"), workers=2):
        app = ClientApp()
        app.train()(handler)
        made.append(MemoryGrid(app, platforms, workers=workers))
        return made[-1]

    yield make
    for grid in made:
        grid.close()


def echo(message, context):  # noqa: ARG001 - Flower's signature
    return Message(message.content, reply_to=message)


def messages_to(grid, content=None):
    content = content or RecordDict({"c": ConfigRecord({"x": 1})})
    return [Message(content, node, "train", ttl=60) for node in grid.get_node_ids()]


def test_nodes_carry_their_platforms_names(grids):
    grid = grids(echo)
    assert [node.name for node in grid.get_nodes()] == ["a", "b", "c"]
    assert len(set(grid.get_node_ids())) == 3


def test_every_message_gets_its_reply(grids):
    grid = grids(echo)
    sent = messages_to(grid)
    replies = list(grid.send_and_receive(sent))
    assert {r.metadata.src_node_id for r in replies} == set(grid.get_node_ids())
    assert {r.metadata.reply_to_message_id for r in replies} == {
        m.metadata.message_id for m in sent
    }
    assert len({m.metadata.message_id for m in sent}) == 3


def test_contexts_tell_the_partition(grids):
    seen = {}

    def look(message, context):
        seen[context.node_id] = dict(context.node_config)
        return echo(message, context)

    grid = grids(look)
    list(grid.send_and_receive(messages_to(grid)))
    assert [seen[node]["partition-id"] for node in grid.get_node_ids()] == [0, 1, 2]
    assert {config["num-partitions"] for config in seen.values()} == {3}


def test_nothing_is_shared_between_server_and_platforms(grids):
    received = []

    def spoil(message, context):
        received.append(message.content)
        message.content["c"]["x"] = context.node_id
        message.content["new"] = ConfigRecord({})
        message.content["a"].clear()
        return echo(message, context)

    grid = grids(spoil)
    content = RecordDict({"c": ConfigRecord({"x": 1}), "a": ArrayRecord([np.ones(3)])})
    replies = list(grid.send_and_receive(messages_to(grid, content)))
    assert set(content) == {"c", "a"}
    assert content["c"]["x"] == 1
    assert len(content["a"]) == 1
    assert {reply.content["c"]["x"] for reply in replies} == set(grid.get_node_ids())
    replies[0].content["c"]["x"] = 99
    assert all(theirs["c"]["x"] != 99 for theirs in received)


def test_an_exception_becomes_an_error_reply_without_its_text(grids):
    def fail(message, context):
        if context.node_config["partition-id"] == 1:
            raise ValueError("user-4711")
        return echo(message, context)

    grid = grids(fail)
    replies = list(grid.send_and_receive(messages_to(grid)))
    (bad,) = [reply for reply in replies if reply.has_error()]
    assert len(replies) == 3
    assert bad.error.reason == "ValueError"
    assert "4711" not in repr(bad)


def test_late_platforms_are_left_out_and_never_disturb_the_next_round(grids):
    gate = threading.Event()

    def slow(message, context):
        if context.node_config["partition-id"] == 0 and message.content["c"]["x"] == 1:
            assert gate.wait(30)
        return echo(message, context)

    grid = grids(slow, workers=2)
    first = list(grid.send_and_receive(messages_to(grid), timeout=0.5))
    assert {grid_name(grid, reply) for reply in first} == {"b", "c"}
    gate.set()
    second = list(
        grid.send_and_receive(messages_to(grid, RecordDict({"c": ConfigRecord({"x": 2})})))
    )
    assert {grid_name(grid, reply) for reply in second} == {"a", "b", "c"}
    assert {reply.content["c"]["x"] for reply in second} == {2}


def grid_name(grid, reply):
    return {node.node_id: node.name for node in grid.get_nodes()}[reply.metadata.src_node_id]


def test_who_has_not_begun_by_the_deadline_never_does(grids):
    gate, begun = threading.Event(), []

    def slow(message, context):
        begun.append(context.node_config["partition-id"])
        assert gate.wait(30)
        return echo(message, context)

    grid = grids(slow, workers=1)
    assert list(grid.send_and_receive(messages_to(grid), timeout=0.2)) == []
    gate.set()
    grid.close()
    assert begun == [0]


def test_a_reply_is_handed_out_once(grids):
    grid = grids(echo)
    ids = list(grid.push_messages(messages_to(grid)))
    grid.close()
    assert len(list(grid.pull_messages(ids))) == 3
    assert list(grid.pull_messages(ids)) == []


def test_a_grid_knows_its_run(grids):
    grid = grids(echo)
    assert grid.run.run_id == 1
    grid.set_run(Run.create_empty(8))
    assert grid.run.run_id == 8


def test_flowers_own_way_to_make_a_message(grids):
    grid = grids(echo)
    node = grid.get_node_ids()[0]
    message = grid.create_message(RecordDict(), "train", node, "3", ttl=9.0)
    assert (message.metadata.dst_node_id, message.metadata.group_id) == (node, "3")
