"""The SuperLink as a process: who is let in, what is refused, what a kill costs."""

import contextlib
import signal
import socket
import ssl
import sys
import threading
import time

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fleet_node import AnsweringNode, FleetNode
from fleet_server import SETTINGS, TestServer, issued
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.proto.fleet_pb2 import PullMessagesRequest, PullMessagesResponse
from flwr.proto.node_pb2 import Node
from waiting import until

from isthmus.identity import Authority
from isthmus.identity.tls import client_context
from isthmus_server.flower.gate import LIMITS, MIB
from isthmus_server.flower.private_link import PrivateLink
from isthmus_server.flower.remote_grid import RemoteGrid
from isthmus_server.ports import announced
from isthmus_server.server_certificate import renew_certificate

CLOSED = (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = TestServer(tmp_path_factory.mktemp("superlink"))
    try:
        running.superlink()
        yield running
    finally:
        running.close()


@pytest.fixture
def node(server):
    found = FleetNode(server.port, server.platforms["a"].context, server.platforms["a"].keys)
    yield found
    found.close()


@pytest.fixture
def grid(server):
    link = PrivateLink(server.home)
    yield RemoteGrid(link)
    link.close()


def content(number=1.0, tensors=3):
    arrays = {f"t{each}": Array("float32", (2,), "raw", bytes(8)) for each in range(tensors)}
    return RecordDict({"arrays": ArrayRecord(arrays), "plan": ConfigRecord({"number": number})})


def echo(message):
    return Message(message.content, reply_to=message)


def to_all(grid, number=1.0, ttl=30.0, tensors=3):
    return [
        Message(content(number, tensors), node.node_id, "train", ttl=ttl, group_id="1")
        for node in grid.get_nodes()
    ]


def answering(server, names="abc", answer=echo):
    return [
        AnsweringNode(
            server.port, server.platforms[name].context, server.platforms[name].keys, answer
        )
        for name in names
    ]


def all_there(grid, count=3):
    until(lambda: len(list(grid.get_nodes())) >= count, 30, "platforms being online")


def test_three_platforms_answer(server, grid, capsys):
    nodes = answering(server)
    try:
        all_there(grid)
        names = {each.name for each in grid.get_nodes()}
        assert names == {"a", "b", "c"}
        took = []
        for number in range(6):
            began = time.perf_counter()
            replies = grid.send_and_receive(to_all(grid, float(number)), timeout=20)
            took.append(time.perf_counter() - began)
            assert len(replies) == 3
            assert {each.content["plan"]["number"] for each in replies} == {float(number)}
        with capsys.disabled():
            told = ", ".join(f"{1000 * each:.0f}" for each in took)
            sys.stdout.write(f"\nphases of 3 nodes took {told} ms\n")
    finally:
        for each in nodes:
            each.close()


def test_a_reply_is_the_nodes_own(grid, node):
    assert node.activate().status_code == 200
    all_there(grid, 1)
    (sent,) = [m for m in to_all(grid) if m.metadata.dst_node_id == node.node_id]
    grid.push_messages([sent])
    message = node.pull()
    assert node.push(echo(message), src=node.node_id + 1).status_code == 422
    assert node.push(echo(message)).status_code == 204
    assert node.push(echo(message)).status_code == 204  # once more: an answer was lost
    assert len(list(grid.pull_messages([sent.metadata.message_id]))) == 1


def test_a_message_comes_again_until_it_is_answered(grid, node):
    node.activate()
    all_there(grid, 1)
    (sent,) = [m for m in to_all(grid) if m.metadata.dst_node_id == node.node_id]
    grid.push_messages([sent])
    first = node.pull()
    assert node.pull() is None  # it has it in hand
    node.in_hand = []  # killed and started again
    again = node.pull()
    assert again.metadata.message_id == first.metadata.message_id
    node.push(echo(again))
    node.in_hand = []
    assert node.pull() is None


def test_flowers_own_paths_serve_a_stock_node(grid, node):
    node.activate()
    all_there(grid, 1)
    (sent,) = [m for m in to_all(grid) if m.metadata.dst_node_id == node.node_id]
    grid.push_messages([sent])
    request = PullMessagesRequest(node=Node(node_id=node.node_id)).SerializeToString()
    response = node.call("/v1/fleet/pull-messages", request)
    pulled = PullMessagesResponse.FromString(response.content)
    assert [each.metadata.message_id for each in pulled.messages_list] == [sent.metadata.message_id]


def test_a_node_comes_back_at_once(node):
    assert [node.activate().status_code for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize(
    "path", ["/v1/control/list-runs", "/v1/runtime/acquire-task", "/docs", "/openapi.json",
             "/health", "/isthmus/runs", "/isthmus/fleet/", "/v1/fleet/register-node",
             "/v1/fleet/unregister-node", "/v1/fleet/../control/list-runs"]
)  # fmt: skip
def test_nothing_else_is_public(node, path):
    assert node.call(path).status_code == 404
    assert node._client.get(f"https://127.0.0.1:{node._port()}{path}").status_code == 404


@pytest.mark.parametrize(("path", "limit"), [("/v1/fleet/get-run", 64 * 1024),
                                             ("/isthmus/fleet/pull", MIB)])  # fmt: skip
def test_a_body_above_the_bound_is_refused(server, node, path, limit):
    assert LIMITS[path] == limit

    def in_pieces():  # without a length that says so beforehand
        for _ in range(limit // 1024 + 2):
            yield bytes(1024)

    for body in (bytes(limit + 1), in_pieces()):
        with contextlib.suppress(*CLOSED):  # while more was under way
            assert node.call(path, body).status_code == 413
    texts = {each.text for each in server.state.events.list(limit=500)}
    assert f"it announced a body of more than {limit} bytes" in texts
    assert f"it sent a body of more than {limit} bytes" in texts


def refused(server, platform, keys=None):
    found = FleetNode(server.port, platform.context, keys or platform.keys)
    try:
        response = found.activate()
        return response.status_code, response.json().get("refused", "")
    finally:
        found.close()


def test_no_certificate_no_connection(server):
    platform = server.platforms["a"]
    bare = FleetNode(server.port, client_context(platform.ca), platform.keys)
    with pytest.raises(httpx.TransportError):
        bare.activate()
    bare.close()


def test_a_foreign_authority_is_refused(server, tmp_path):
    foreign = issued(Authority.create(tmp_path / "ca", "foreign"), tmp_path / "a", "a")
    context = client_context(server.authority.certificate_pem)
    context.load_cert_chain(foreign.folder / "tls.pem", foreign.folder / "tls.key")
    node = FleetNode(server.port, context, server.platforms["a"].keys)
    with pytest.raises(httpx.TransportError):
        node.activate()
    node.close()


def test_tls_1_2_is_refused(server):
    platform = server.platforms["a"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=platform.ca.decode())
    context.load_cert_chain(platform.folder / "tls.pem", platform.folder / "tls.key")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", server.port())) as raw,
        pytest.raises(ssl.SSLError, match=r"version|alert|EOF"),
    ):
        context.wrap_socket(raw, server_hostname="localhost")


def test_a_platform_with_the_node_key_of_another_is_refused(server):
    mixed = refused(server, server.platforms["a"], server.platforms["b"].keys)
    assert mixed == (403, "other-key")
    kinds = {(each.platform, each.kind) for each in server.state.events.list()}
    assert ("a", "fleet-refused") in kinds


def test_a_platform_that_nobody_approved_is_refused(server, tmp_path):
    stranger = issued(server.authority, tmp_path / "x", "x")
    assert refused(server, stranger) == (403, "not-approved")


def test_a_signature_is_asked_for(node):
    node.activate()
    node._key = ec.generate_private_key(ec.SECP384R1())
    assert node.call("/isthmus/fleet/pull").json() == {"refused": "signature"}


def test_a_revocation_holds_within_a_second(server, tmp_path):
    late = server.join(tmp_path / "late", "late")
    node = FleetNode(server.port, late.context, late.keys)
    until(lambda: node.activate().status_code == 200, 5, "the approval")
    server.state.platforms.set_status("late", "revoked", "test")
    began = time.monotonic()
    until(lambda: node.call("/isthmus/fleet/pull").status_code == 403, 5, "the revocation")
    assert time.monotonic() - began < 1.0
    node.close()


def test_a_new_certificate_is_shown_without_a_restart(server):
    before = shown(server)
    renew_certificate(server.home, SETTINGS, server.authority)
    after = until(lambda: (found := shown(server)) != before and found, 10, "the new certificate")
    assert after == ssl.PEM_cert_to_DER_cert(
        (server.home.tls / "server.pem").read_text().partition("-----END")[0]
        + "-----END CERTIFICATE-----\n"
    )


def shown(server):
    with (
        socket.create_connection(("127.0.0.1", server.port())) as raw,
        server.platforms["a"].context.wrap_socket(raw, server_hostname="localhost") as spoken,
    ):
        return spoken.getpeercert(binary_form=True)


def test_the_private_listener_wants_its_secret(server):
    url = f"http://127.0.0.1:{server.port('private')}"
    token = (server.home.runtime / "private.token").read_text()
    for path in ("/isthmus/health", "/isthmus/nodes", "/docs", "/v1/control/list-runs"):
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": token}):
            assert httpx.get(url + path, headers=headers).status_code == 401
    good = {"authorization": f"Bearer {token}"}
    assert httpx.get(url + "/isthmus/health", headers=good).json() == {"ready": True}
    assert (server.home.runtime / "private.token").stat().st_mode & 0o777 == 0o600
    assert token not in server.log("flower.superlink")


def test_killed_in_the_middle_of_a_phase_all_replies_come(server, grid):
    killed = threading.Event()

    def after_the_kill(message):
        assert killed.wait(30)
        return echo(message)

    nodes = answering(server, "ab", after_the_kill) + answering(server, "c")
    try:
        all_there(grid)
        ports = announced(server.home)
        caught: list[Message] = []
        phase = threading.Thread(
            target=lambda: caught.extend(grid.send_and_receive(to_all(grid, 7.0), timeout=60))
        )
        phase.start()
        until(lambda: all(each.in_hand for each in nodes), 20, "the messages being pulled")
        server.link.send_signal(signal.SIGKILL)
        server.link.wait(10)
        killed.set()
        server.superlink()
        phase.join(60)
        assert {each.content["plan"]["number"] for each in caught} == {7.0}
        assert len({each.metadata.src_node_id for each in caught}) == 3
        assert announced(server.home) == ports
    finally:
        killed.set()
        for each in nodes:
            each.close()


def test_it_stops_cleanly_when_told_and_with_its_parent(server):
    began = time.monotonic()
    server.link.send_signal(signal.SIGTERM)
    assert server.link.wait(20) == 0
    assert time.monotonic() - began < 15
    server.superlink()
    server.link.stdin.close()
    assert server.link.wait(20) == 0
