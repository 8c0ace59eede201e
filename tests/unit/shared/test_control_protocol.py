"""The control protocol's code, invitations, anchors, refusals: what both sides agree on."""

import importlib.util
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.audit_log import Anchor, AuditLog
from isthmus.control import control_pb2 as wire
from isthmus.control.anchoring import told_anchor, write_anchor
from isthmus.control.collecting import collect_message
from isthmus.control.idle import watched
from isthmus.control.invitation import PREFIX, Invitation
from isthmus.control.limits import CHUNK, MAX_MESSAGE
from isthmus.control.reasons import WORDS, Reason, RefusedError, known_reason
from isthmus.control.services import add_service, stub
from isthmus.errors import IdentityError
from isthmus.identity import Authority

SHARED = Path(wire.__file__).parents[2]


@pytest.mark.skipif(
    importlib.util.find_spec("grpc_tools") is None, reason="grpcio-tools is not installed"
)
def test_the_generated_code_is_that_of_the_protocol(tmp_path):
    out = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi")]
    proto = "isthmus/control/control.proto"
    command = [sys.executable, "-W", "ignore", "-m", "grpc_tools.protoc", f"-I{SHARED}", *out]
    subprocess.run([*command, str(SHARED / proto)], check=True)
    names = {each.name for each in (tmp_path / "isthmus/control").iterdir()}
    assert names == {"control_pb2.py", "control_pb2.pyi"}
    for name in names:
        assert (tmp_path / "isthmus/control" / name).read_text() == (
            SHARED / "isthmus/control" / name
        ).read_text()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority.create(tmp_path_factory.mktemp("authority") / "ca", "tested")


@pytest.fixture(scope="module")
def invitation(authority):
    return Invitation("2001:db8::7", 4711, "shop", "token-71", authority.certificate_pem)


def test_an_invitation_comes_back_from_its_code_however_it_was_wrapped(invitation, authority):
    code = invitation.to_code()
    wrapped = "\n  ".join(code[at : at + 61] for at in range(0, len(code), 61))
    assert Invitation.from_code(f" {wrapped}\r\n") == invitation
    assert invitation.fingerprint == authority.fingerprint
    assert "token-71" not in repr(invitation)


@given(data=st.data())
def test_a_slip_in_an_invitation_is_seen(invitation, data):
    code = invitation.to_code()
    at = data.draw(st.integers(0, len(code) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    changed = code[:at] + other + code[at + 1 :]
    if changed == code:
        return
    same_bits = at == len(code) - 1  # the last digit has some that say nothing
    if same_bits and other.isalnum():
        return
    with pytest.raises(IdentityError) as caught:
        Invitation.from_code(changed)
    assert "token-71" not in str(caught.value)


@pytest.mark.parametrize(
    "code", ["", "isthmus1.", "isthmus2.abc", "x" * 9000, f"{PREFIX}e30", f"{PREFIX}é", PREFIX * 3]
)
def test_what_is_no_invitation_is_told(code):
    with pytest.raises(IdentityError, match="no invitation"):
        Invitation.from_code(code)


def test_half_an_invitation_is_told(invitation):
    code = invitation.to_code()
    with pytest.raises(IdentityError, match="only a part"):
        Invitation.from_code(code[: len(code) // 2])


def test_anchors_are_of_the_last_line_that_tells_something(tmp_path):
    log = AuditLog(tmp_path / "log.jsonl")
    assert told_anchor(log) == Anchor(0, "0" * 64)
    log.append({"kind": "first"})
    telling = log.head()
    assert write_anchor(log, "server", Anchor(7, "a" * 64), None)
    assert not write_anchor(log, "server", Anchor(7, "a" * 64), Anchor(7, "a" * 64))
    assert not write_anchor(log, "server", Anchor(0, "0" * 64), None)
    assert log.head() != telling
    assert told_anchor(log) == telling
    log.append({"kind": "long", "words": "x" * 200_000})
    assert told_anchor(log) == log.head()


def test_a_log_of_anchors_alone_tells_its_head(tmp_path):
    log = AuditLog(tmp_path / "log.jsonl")
    write_anchor(log, "server", Anchor(7, "a" * 64), None)
    assert told_anchor(log) == log.head()


def test_what_is_signed_to_collect_is_bound_to_name_key_and_authority():
    parts = (("shop", b"csr", b"ca"), ("shop2", b"csr", b"ca"), ("shop", b"csr2", b"ca"))
    messages = {collect_message(*each) for each in (*parts, ("shop", b"csr", b"ca2"))}
    assert len(messages) == 4
    assert collect_message("shop", b"csr", b"ca\n") in messages


def test_every_reason_has_words_and_an_unknown_one_is_a_failure():
    assert set(WORDS) == set(get_args(Reason))
    assert all(RefusedError(reason).exit_code == 24 for reason in WORDS)
    assert known_reason("revoked") == "revoked"
    assert known_reason("of a later release") == "failed"


def test_a_chunk_of_a_release_fits_a_message():
    longest = wire.ReleaseChunk(file="n" * 100, size=2**63, sha256="0" * 64, data=b"x" * CHUNK)
    assert longest.ByteSize() < MAX_MESSAGE


def test_a_watch_lets_go_of_what_moves():
    cut = []
    with watched(lambda: cut.append("cut"), 30.0) as watch:
        watch.moved()
    assert not cut
    assert not watch.stalled


def test_a_service_that_lacks_a_method_is_refused_before_it_is_called():
    server = grpc.server(ThreadPoolExecutor(1))
    with pytest.raises(AttributeError, match="Join"):
        add_service(server, "Enrolment", object())


def test_a_stub_has_every_method_of_its_service():
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        assert {*vars(stub(channel, "Enrolment"))} == {"Join", "Collect"}
        calls = {"OpenSession", "Heartbeat", "Renew", "Decide", "FetchRelease"}
        assert {*vars(stub(channel, "Membership"))} == calls
