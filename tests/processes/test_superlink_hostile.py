"""The SuperLink as a process against those who hold a good certificate and mean no good."""

import dataclasses
import socket

import pytest
from fleet_node import AnsweringNode, FleetNode
from fleet_server import SETTINGS, TestServer
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.serde import message_to_proto
from flwr.proto.fleet_pb2 import PushMessagesRequest
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest
from flwr.proto.message_pb2 import Message as WireMessage
from flwr.proto.node_pb2 import Node
from flwr.supercore.inflatable.inflatable_object import get_object_id
from waiting import until

from isthmus import frames
from isthmus_server.flower.listener import MAX_OF_ONE
from isthmus_server.flower.private_link import PrivateLink
from isthmus_server.flower.remote_grid import RemoteGrid

IDLE_S = 2.0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    quick = SETTINGS.model_copy(update={"idle_s": IDLE_S})
    running = TestServer(tmp_path_factory.mktemp("hostile"), settings=quick)
    try:
        running.superlink()
        yield running
    finally:
        running.close()


def connected(server, name):
    """A connection that says nothing; its handshake is done on both sides."""
    plain = socket.create_connection(("127.0.0.1", server.port()), 10)
    return server.platforms[name].context.wrap_socket(plain, server_hostname="127.0.0.1")


def is_closed(connection, seconds):
    connection.settimeout(seconds)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_nobody_takes_all_connections_by_keeping_still(server):
    server.state.platforms.set_status("c", "revoked", "it is hostile")
    held = []
    try:
        held += [connected(server, "c") for _ in range(MAX_OF_ONE + 4)]
        assert all(is_closed(each, IDLE_S / 4) for each in held[MAX_OF_ONE:])
        other = FleetNode(server.port, server.platforms["a"].context, server.platforms["a"].keys)
        assert other.activate().status_code == 200  # the others' places are their own
        other.close()
        assert all(is_closed(each, 2 * IDLE_S) for each in held)
    finally:
        for each in held:
            each.close()


def nested(depth):
    found = [b"RecordDict  0\0"]
    for _ in range(depth):
        found.append(f"RecordDict {get_object_id(found[-1])} 0".encode() + b"\0")
    return found


def hostile_reply(node, message):
    """A push whose objects nest a thousand deep, in the form of a reply."""
    given = nested(1000)
    reply = Message(RecordDict(), reply_to=message)
    wire = message_to_proto(remove_content_from_message(reply))
    wire.metadata.message_id = get_object_id(given[-1])
    wire.metadata.src_node_id = node.node_id
    request = PushMessagesRequest(node=Node(node_id=node.node_id), messages_list=[wire])
    return frames.join([request.SerializeToString(), *given])


def blank(message, node):
    """A reply with neither content nor error."""
    wire = WireMessage()
    wire.metadata.run_id = message.metadata.run_id
    wire.metadata.reply_to_message_id = message.metadata.message_id
    wire.metadata.src_node_id = node.node_id
    return wire


def test_a_hostile_reply_costs_the_others_nothing(server):
    """A thousand objects inside each other: the server's stack is not theirs to end."""
    link = PrivateLink(server.home)
    grid = RemoteGrid(link)
    platforms = server.platforms
    good = AnsweringNode(
        server.port,
        platforms["a"].context,
        platforms["a"].keys,
        lambda message: Message(message.content, reply_to=message),
    )
    bad = FleetNode(server.port, platforms["b"].context, platforms["b"].keys)
    try:
        bad.activate()
        until(lambda: len(list(grid.get_nodes())) == 2, 20, "two platforms being online")
        content = RecordDict({"plan": ConfigRecord({"number": 1.0})})
        sent = [
            Message(content, each.node_id, "train", ttl=20, group_id="1")
            for each in grid.get_nodes()
        ]
        grid.push_messages(sent)
        asked = until(bad.pull, 10, "the message")
        empty = PushMessagesRequest(messages_list=[blank(asked, bad)])
        odd = bad.call("/isthmus/fleet/push", frames.join([empty.SerializeToString()]))
        assert odd.status_code == 422, odd.text
        pushed = bad.call("/isthmus/fleet/push", hostile_reply(bad, asked))
        assert pushed.status_code == 422, pushed.text
        assert "nested too deeply" in pushed.json()["text"]
        names = [each.metadata.message_id for each in sent]
        (reply,) = until(lambda: list(grid.pull_messages(names)), 20, "the other's reply")
        assert reply.metadata.src_node_id == good.node_id
    finally:
        good.close()
        bad.close()
        link.close()


def test_a_platform_speaks_in_no_other_name_whatever_the_request_calls_the_host(server):
    """Flower chooses what to authenticate by the URL, of which a host's name is a part."""
    a, b = (
        FleetNode(server.port, server.platforms[name].context, server.platforms[name].keys)
        for name in "ab"
    )
    assert (a.activate().status_code, b.activate().status_code) == (200, 200)
    request = SendNodeHeartbeatRequest(node=Node(node_id=b.node_id), heartbeat_interval=30)
    for host in ("127.0.0.1", "x/y?", "x/v1/other#", "[::1]/?", "a@b"):
        a._client.headers["host"] = host
        found = a.call("/v1/fleet/send-node-heartbeat", request.SerializeToString())
        assert found.status_code in {400, 401}, (host, found.text)
    a.close()
    b.close()


def test_a_stock_path_keeps_its_certificate_and_key_together(server):
    """The node key of one platform with the certificate of another opens nothing."""
    mixed = dataclasses.replace(server.platforms["a"], keys=server.platforms["b"].keys)
    node = FleetNode(server.port, mixed.context, mixed.keys)
    for path in (
        "/v1/fleet/activate-node",
        "//v1/fleet/activate-node",
        "/v1/fleet/%61ctivate-node",
    ):
        assert node.call(path).status_code in {403, 404}
    node.close()
