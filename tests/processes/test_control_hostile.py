"""The control service against those who hold a good certificate, or none, and mean no good."""

import socket
import ssl
import threading
import time
from contextlib import contextmanager

import grpc
import pytest
from contract_cases import member, plain_contract
from control_cases import control_server, joined, session
from grpc_health.v1 import health_pb2, health_pb2_grpc
from waiting import until

from isthmus.control import control_pb2 as wire
from isthmus.control.channel import client_options, open_channel
from isthmus.control.limits import CHUNK, MEMBER_CALLS, MEMBER_LINES, TOLD_AT_ONCE
from isthmus.control.reasons import METADATA_KEY, RefusedError
from isthmus.control.services import stub as stub_of
from isthmus.federation_contract_signing import sign_contract
from isthmus.identity import load_signing_key
from isthmus.identity.tls import client_context
from isthmus_client.link.enrolled import Enrolment, load_credentials
from isthmus_client.link.session_calls import EnrolmentCalls
from isthmus_server.control.service import _CALLS

NAMES = ("good", "evil", "third")
BEAT = "/isthmus.control.v1.Membership/Heartbeat"
FILE = bytes(range(256)) * (64 * CHUNK // 256)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with control_server(tmp_path_factory.mktemp("hostile"), idle_s=30.0) as found:
        yield found


@pytest.fixture(scope="module")
def homes(server, tmp_path_factory):
    return {name: joined(server, tmp_path_factory.mktemp(name), name) for name in NAMES}


@pytest.fixture
def evil(server, homes):
    """A platform's channel; it is approved again where another test revoked it."""
    server.state.platforms.set_status("evil", "approved", "test")
    enrolment = Enrolment.load(homes["evil"])
    shown = load_credentials(homes["evil"], enrolment)
    channel = open_channel(
        "localhost",
        server.ports["control"],
        enrolment.authority_pem,
        shown.key_pem,
        shown.certificate_pem,
    )
    yield channel
    channel.close()


@contextmanager
def messageless(channel, count):
    """Calls under way whose message never comes."""
    hang = threading.Event()

    def nothing():
        hang.wait()
        yield b""

    method = channel.stream_unary(BEAT, lambda each: each, lambda each: each)
    calls = [method.future(nothing()) for _ in range(count)]
    try:
        yield calls
    finally:
        for each in calls:
            each.cancel()
        hang.set()


def reason(call):
    found = call.exception(10).trailing_metadata()
    return next(each.value for each in found if each.key == METADATA_KEY)


def test_a_revoked_platform_cannot_take_the_threads(server, homes, evil):
    server.state.platforms.set_status("evil", "revoked", "test")
    with messageless(evil, 64) as calls, session(homes["good"]) as ours:
        began = time.monotonic()
        ours.beat()
        assert time.monotonic() - began < 5
        assert {reason(each) for each in calls} == {"revoked"}


def test_a_member_has_its_share_of_them(homes, evil):
    with messageless(evil, 64) as calls, session(homes["good"]) as ours:
        began = time.monotonic()
        ours.beat()
        assert time.monotonic() - began < 5
        refused = [each for each in calls if each.done()]
        assert len(refused) == 64 - MEMBER_CALLS
        assert {reason(each) for each in refused} == {"busy"}


def test_nobody_watches_the_health_for_ever(homes, evil):
    stub = health_pb2_grpc.HealthStub(evil)
    watches = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(_CALLS + 8)]
    for each in watches:
        with pytest.raises(grpc.RpcError) as caught:
            next(each)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    with session(homes["good"]) as ours:
        ours.beat()
    checked = stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert checked.status == health_pb2.HealthCheckResponse.SERVING


def test_a_release_ends_with_the_membership(server, evil):
    contract = plain_contract(run="spring", members={name: member(name) for name in NAMES})
    key = load_signing_key(server.home.identity / "signing.key")
    server.state.runs.propose(
        "spring",
        contract=contract.to_bytes(),
        contract_sha256=contract.sha256,
        signature=sign_contract(contract, key),
    )
    folder = server.home.releases / "spring-r00001"
    folder.mkdir()
    (folder / "encoder.safetensors").write_bytes(FILE)
    server.state.releases.add(
        folder.name, run="spring", round=1, sha256="0" * 64, path=folder.name, signature=b"s"
    )
    stub = stub_of(evil, "Membership")
    stub.OpenSession(wire.OpenSessionRequest(previous="", ticket="t1"))
    chunks = stub.FetchRelease(wire.FetchReleaseRequest(ticket="t1", release=folder.name))
    next(chunks)
    server.state.platforms.set_status("evil", "revoked", "test")
    late = time.monotonic() + 3 * server.settings.heartbeat_s  # a slow reader
    until(lambda: time.monotonic() > late)
    with pytest.raises(grpc.RpcError) as caught:
        list(chunks)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_platform_called_localhost_is_no_server(server, tmp_path):
    """Its name stands in its certificate, as the server's does: it must not serve the others."""
    home = joined(server, tmp_path, "localhost")
    enrolment = Enrolment.load(home)
    shown = load_credentials(home, enrolment)
    (tmp_path / "pem").write_bytes(shown.certificate_pem)
    (tmp_path / "key").write_bytes(shown.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pem", tmp_path / "key")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def serve():
            for _ in range(2):
                taken, _ = listening.accept()
                with taken:
                    try:
                        context.wrap_socket(taken, server_side=True).recv(1)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        ours = client_context(enrolment.authority_pem)
        with (
            socket.create_connection(("127.0.0.1", port), 10) as plain,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            ours.wrap_socket(plain, server_hostname="localhost")
        credentials = grpc.ssl_channel_credentials(enrolment.authority_pem)
        target = f"localhost:{port}"
        with grpc.secure_channel(target, credentials, options=client_options()) as channel:
            ready = grpc.channel_ready_future(channel)
            with pytest.raises(grpc.FutureTimeoutError):
                ready.result(1.5)


def test_a_chatty_member_leaves_a_bounded_trace(server, evil):
    """Each heartbeat tells of another log, and each of another clock."""
    server.state.platforms.set_status("evil", "suspended", "test")
    server.state.platforms.set_status("evil", "approved", "test")  # forgets its session
    stub = stub_of(evil, "Membership")
    stub.OpenSession(wire.OpenSessionRequest(previous="", ticket="t1"))
    before = len(server.home.audit.read_bytes().splitlines())
    for number in range(3 * MEMBER_LINES):
        request = wire.HeartbeatRequest(ticket="t1", time=time.time() + 6 + number % 200)
        request.audit.lines, request.audit.hash = 1000 + number, f"{number:064x}"
        stub.Heartbeat(request)
    written = len(server.home.audit.read_bytes().splitlines()) - before
    assert MEMBER_LINES <= written < 2 * MEMBER_LINES
    clocks = [each for each in server.state.events.list(limit=500) if each.kind == "clock"]
    assert 0 < len(clocks) <= TOLD_AT_ONCE + 1


def test_strangers_fill_neither_log_nor_table(server, homes):
    calls = EnrolmentCalls(
        "localhost", server.ports["enrolment"], Enrolment.load(homes["good"]).authority_pem
    )
    for _ in range(4 * TOLD_AT_ONCE):
        with pytest.raises(RefusedError):
            calls.join(b"nothing")
    calls.close()
    refused = [each for each in server.state.events.list(limit=500) if each.kind == "join-refused"]
    assert sum(each.times for each in refused) <= TOLD_AT_ONCE + 1
