"""Who comes in at all: TLS 1.3, certificates of this federation, bounded messages."""

import socket
import ssl
import threading
from dataclasses import replace

import grpc
import pytest
from control_cases import control_server, joined, session
from control_keys import keys_of
from cryptography import x509

from isthmus.control import control_pb2 as wire
from isthmus.control.channel import client_options
from isthmus.control.reasons import METADATA_KEY, RefusedError
from isthmus.control.services import stub
from isthmus.errors import IdentityError, ServiceError
from isthmus.identity import Authority, certificate_request, new_tls_key, private_pem
from isthmus.identity.tls import client_context
from isthmus_client.link.enrolled import Enrolment, load_credentials
from isthmus_client.link.session_calls import EnrolmentCalls, MembershipCalls
from isthmus_server.control.transport import CertificateSource, prove_tls13
from isthmus_server.server_certificate import CERTIFICATE, KEY, renew_certificate


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with control_server(tmp_path_factory.mktemp("tls")) as found:
        yield found


@pytest.fixture(scope="module")
def home(server, tmp_path_factory):
    return joined(server, tmp_path_factory.mktemp("platform"))


@pytest.fixture
def enrolment(home):
    return Enrolment.load(home)


def connect(server, name, context):
    with (
        socket.create_connection(("127.0.0.1", server.ports[name]), 10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        return secured.version(), secured.getpeercert(binary_form=True)


def weak_context(version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    context.maximum_version = version
    return context


@pytest.mark.parametrize("name", ["enrolment", "control"])
def test_tls_below_1_3_is_refused(server, name):
    with pytest.raises(OSError, match=r"SSL|reset"):
        connect(server, name, weak_context(ssl.TLSVersion.TLSv1_2))
    assert connect(server, name, weak_context(ssl.TLSVersion.TLSv1_3))[0] == "TLSv1.3"


def test_a_listener_that_takes_tls_1_2_would_not_be_used(server, enrolment):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.home.tls / CERTIFICATE, server.home.tls / KEY)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept():
            with context.wrap_socket(listener.accept()[0], server_side=True) as peer:
                peer.recv(1)

        thread = threading.Thread(target=accept)
        thread.start()
        with pytest.raises(ServiceError, match=r"takes TLS 1\.2"):
            prove_tls13("127.0.0.1", listener.getsockname()[1])
        thread.join()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ServiceError, match="does not answer"):
        prove_tls13("127.0.0.1", port)
    assert enrolment.ports


def test_a_platform_speaks_to_no_server_below_tls_1_3(server, enrolment):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.home.tls / CERTIFICATE, server.home.tls / KEY)
    context.set_alpn_protocols(["h2"])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_server(("127.0.0.1", 0)) as listener:
        refused = []

        def accept():
            try:
                context.wrap_socket(listener.accept()[0], server_side=True).close()
            except ssl.SSLError as error:
                refused.append(error.reason)

        thread = threading.Thread(target=accept)
        thread.start()
        port = listener.getsockname()[1]
        calls = EnrolmentCalls("localhost", port, enrolment.authority_pem)
        try:
            with pytest.raises(ServiceError):
                calls.join(b"")
        finally:
            calls.close()
            thread.join()
    assert refused in (["UNSUPPORTED_PROTOCOL"], ["NO_SHARED_CIPHER"])


def test_a_client_without_a_certificate_is_refused(server, enrolment):
    credentials = grpc.ssl_channel_credentials(enrolment.authority_pem)
    assert_no_member(server, credentials)


def test_a_certificate_of_another_authority_is_refused(server, enrolment, tmp_path):
    stranger = Authority.create(tmp_path / "ca", "isthmus")
    key = new_tls_key()
    pem = stranger.issue_platform(certificate_request("shop", key), "shop", 1.0)
    credentials = grpc.ssl_channel_credentials(enrolment.authority_pem, private_pem(key), pem)
    assert_no_member(server, credentials)


def test_a_certificate_without_its_key_is_of_no_use(server, home, enrolment):
    shown = load_credentials(home, enrolment)
    other = private_pem(new_tls_key())
    credentials = grpc.ssl_channel_credentials(
        enrolment.authority_pem, other, shown.certificate_pem
    )
    assert_no_member(server, credentials)


def assert_no_member(server, credentials):
    with grpc.secure_channel(f"localhost:{server.ports['control']}", credentials) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            stub(channel, "Membership").Heartbeat(wire.HeartbeatRequest(), timeout=5)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert METADATA_KEY not in dict(caught.value.trailing_metadata() or ())


def test_the_servers_own_certificate_makes_nobody_a_member(server, enrolment):
    key, pem = (server.home.tls / KEY).read_bytes(), (server.home.tls / CERTIFICATE).read_bytes()
    calls = MembershipCalls(enrolment, replace_credentials(key, pem))
    try:
        with pytest.raises((RefusedError, ServiceError)):
            calls.open_session("", "ticket")
    finally:
        calls.close()


def replace_credentials(key, pem):
    return type("Shown", (), {"key_pem": key, "certificate_pem": pem})()


@pytest.mark.parametrize("name", ["stranger", "shop"])
def test_a_certificate_that_the_roster_does_not_name_is_refused(server, home, enrolment, name):
    authority = Authority.open(server.home.authority)
    key = new_tls_key()
    pem = authority.issue_platform(certificate_request(name, key), name, 1.0)  # noted nowhere
    calls = MembershipCalls(enrolment, replace_credentials(private_pem(key), pem))
    try:
        with pytest.raises(RefusedError) as caught:
            calls.open_session("", "ticket")
        assert caught.value.reason == "unknown"
    finally:
        calls.close()
    with session(home) as ours:
        ours.beat()


def test_a_name_that_is_not_the_servers_is_refused(server, enrolment):
    calls = EnrolmentCalls("127.0.0.2", server.ports["enrolment"], enrolment.authority_pem)
    try:
        with pytest.raises(ServiceError):
            calls.join(b"")
    finally:
        calls.close()


def test_messages_over_their_bound_are_refused_on_arrival(server, home, enrolment):
    shown = load_credentials(home, enrolment)
    free = [(n, v) for n, v in client_options() if "message_length" not in n]
    anybody = grpc.ssl_channel_credentials(enrolment.authority_pem)
    member = grpc.ssl_channel_credentials(
        enrolment.authority_pem, shown.key_pem, shown.certificate_pem
    )
    calls = (
        (anybody, "enrolment", lambda c: stub(c, "Enrolment").Join, wire.JoinRequest(request=BIG)),
        (
            member,
            "control",
            lambda c: stub(c, "Membership").Heartbeat,
            wire.HeartbeatRequest(facts_json=BIG.decode()),
        ),
    )
    for credentials, name, method, request in calls:
        address = f"localhost:{server.ports[name]}"
        with grpc.secure_channel(address, credentials, options=free) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                method(channel)(request, timeout=20)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    with session(home) as ours:
        ours.beat()


BIG = b"7" * (2**20 + 1)


def test_the_servers_certificate_rotates_without_a_restart(server, home, enrolment):
    def serial(name):
        context = client_context(
            enrolment.authority_pem,
            home.federation / "certificate.pem",
            home.federation / "tls.key",
        )
        context.set_alpn_protocols(["h2"])
        return x509.load_der_x509_certificate(connect(server, name, context)[1]).serial_number

    with session(home) as ours:
        ours.beat()
        before = serial("enrolment")
        assert serial("control") == before
        renew_certificate(server.home, server.settings, Authority.open(server.home.authority))
        after = serial("enrolment")
        assert after != before
        assert serial("control") == after
        ours.beat()
    with session(home) as ours:
        ours.beat()


def test_half_a_rotation_keeps_the_certificate_before(server):
    source = CertificateSource(server.home, Authority.open(server.home.authority).certificate_pem)
    assert source.newer() is None
    key = server.home.tls / KEY
    kept = key.read_bytes()
    try:
        key.write_bytes(private_pem(new_tls_key()))
        assert source.newer() is None
        with pytest.raises(IdentityError, match="belong"):
            CertificateSource(server.home, b"")
        key.write_bytes(b"no key")
        assert source.newer() is None
    finally:
        key.write_bytes(kept)
    assert source.newer() is not None
    assert source.newer() is None


def test_a_port_belongs_to_one_server(server, tmp_path):
    taken = {f"{name}_port": server.ports[name] for name in ("enrolment", "control")}
    with (
        pytest.raises(ServiceError, match="not free"),
        control_server(tmp_path, **taken),
    ):
        pass


def test_the_keys_of_a_platform_never_show(home):
    assert "PRIVATE" not in repr(load_credentials(home, Enrolment.load(home)))
    assert replace(Enrolment.load(home), name="x").name == "x"
    assert keys_of(home).public.fingerprint in repr(keys_of(home))
