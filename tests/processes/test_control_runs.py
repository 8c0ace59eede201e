"""Contracts offered and answered, releases fetched: over real sockets."""

import threading

import pytest
from contract_cases import member, plain_contract
from control_cases import control_server, joined, log_lines, session
from control_keys import keys_of

from isthmus.control.limits import CHUNK
from isthmus.control.reasons import RefusedError
from isthmus.errors import MessageRefusedError, ServiceError
from isthmus.federation_contract_signing import sign_answer, sign_contract, verify_contract
from isthmus.identity import load_signing_key
from isthmus_client.link.enrolled import Enrolment
from isthmus_client.link.session_calls import MembershipCalls
from isthmus_client.link.session_release import receive_release


@pytest.fixture
def server(tmp_path):
    with control_server(tmp_path, idle_s=30.0) as found:
        yield found


@pytest.fixture
def home(server, tmp_path):
    return joined(server, tmp_path)


def propose(server, run="spring", names=("shop", "anvil", "bellows")):
    contract = plain_contract(run=run, members={name: member(name) for name in names})
    key = load_signing_key(server.home.identity / "signing.key")
    server.state.runs.propose(
        run,
        contract=contract.to_bytes(),
        contract_sha256=contract.sha256,
        signature=sign_contract(contract, key),
    )
    return contract


def test_runs_are_offered_to_their_members_alone(server, home):
    contract = propose(server)
    propose(server, "summer", ("anvil", "bellows", "crucible"))
    with session(home) as ours:
        (offer,) = ours.beat().offers
        found = verify_contract(offer.contract, offer.signature, Enrolment.load(home).server_key)
        assert found == contract
        assert (offer.run, offer.status, offer.contract_sha256) == (
            "spring",
            "proposed",
            contract.sha256,
        )
        (again,) = ours.beat(known=[contract.sha256]).offers
        assert again.contract == b""
        assert again.signature == offer.signature
        server.state.runs.set("spring", status="failed", reason="too few")
        assert ours.beat().offers[0].reason == "too few"


def test_an_answer_is_noted_where_the_platform_signed_it(server, home):
    contract, key = propose(server), keys_of(home).signing
    propose(server, "summer", ("anvil", "bellows", "crucible"))
    signature = sign_answer(contract.sha256, "shop", "refused", "too long", key)
    with session(home) as ours:
        for bad in (
            ("spring", contract.sha256, "approved", "too long", signature),
            ("spring", contract.sha256, "refused", "too short", signature),
            ("spring", contract.sha256, "maybe", "too long", signature),
            ("spring", contract.sha256, "refused", "x" * 2001, signature),
            ("spring", "0" * 64, "refused", "too long", signature),
            ("summer", contract.sha256, "refused", "too long", signature),
            ("autumn", contract.sha256, "refused", "too long", signature),
        ):
            with pytest.raises(RefusedError):
                ours.decide(*bad)
        assert server.state.runs.decisions("spring") == ()
        ours.decide("spring", contract.sha256, "refused", "too long", signature)
        ours.decide("spring", contract.sha256, "refused", "too long", signature)
    (decided,) = server.state.runs.decisions("spring")
    assert (decided.platform, decided.decision, decided.reason) == ("shop", "refused", "too long")
    assert decided.signature == signature
    assert {"kind": "decision", "decision": "refused", "run": "spring"}.items() <= (
        log_lines(server.home.audit)[-1].items()
    )


FILES = {"encoder.safetensors": bytes(range(256)) * 2500, "release.json": b"{}", "signature": b""}


def release(server, number=3, run="spring"):
    name = f"{run}-r{number:05d}"
    folder = server.home.releases / name
    folder.mkdir()
    for each, data in FILES.items():
        (folder / each).write_bytes(data)
    server.state.releases.add(
        name, run=run, round=number, sha256="0" * 64, path=name, signature=b"s"
    )
    return name


def test_a_release_is_fetched_whole(server, home, tmp_path):
    propose(server)
    release(server, 1)
    name = release(server, 3)
    assert len(FILES["encoder.safetensors"]) > 2 * CHUNK
    with session(home) as ours:
        got = ours.fetch_release(name, tmp_path / "got" / name)
        assert {each.name: each.read_bytes() for each in got.iterdir()} == FILES
        newest = ours.fetch_release("", tmp_path / "newest", run="spring")
        assert newest.is_dir()
        assert ours.fetch_release("gone-by-now", got) == got  # whole already
        ours.beat()
    fetched = [each for each in log_lines(server.home.audit) if each["kind"] == "release-fetched"]
    assert [each["release"] for each in fetched] == [name, name]


def test_what_is_no_members_is_as_if_it_were_not(server, home, tmp_path):
    propose(server)
    propose(server, "summer", ("anvil", "bellows", "crucible"))
    other, withdrawn, lost = release(server, 3, "summer"), release(server, 4), release(server, 5)
    server.state.releases.withdraw(withdrawn, "bad")
    (server.home.releases / lost).rename(tmp_path / "elsewhere")
    with session(home) as ours:
        reasons = []
        for wanted in (other, withdrawn, "nothing", lost):
            with pytest.raises(RefusedError) as caught:
                ours.fetch_release(wanted, tmp_path / "got")
            reasons.append(caught.value.reason)
            assert str(tmp_path) not in str(caught.value)
    assert reasons == ["absent", "absent", "absent", "failed"]
    assert list(tmp_path.glob(".got*")) == []
    assert not (tmp_path / "got").exists()


def test_certificates_rotate_while_a_release_is_on_its_way(server, home, tmp_path):
    propose(server)
    name = release(server)
    with session(home) as ours:
        ours.beat()
        calls = MembershipCalls(ours.enrolment, ours._credentials())
        chunks, cut = calls.fetch_release(ours._ticket, name, "")
        first = next(chunks)
        ours.renew()
        ours.renew()
        ours.beat()
        rest = [first, *chunks]
        calls.close()
        got = receive_release(rest, cut, tmp_path / "got", 30.0)
    assert (got / "encoder.safetensors").read_bytes() == FILES["encoder.safetensors"]


class Piece:
    def __init__(self, data, file="", size=0, sha256=""):
        self.data, self.file, self.size, self.sha256 = data, file, size, sha256


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [Piece(b"no name")],
        [Piece(b"", "../up", 0, "")],
        [Piece(b"", "/etc/passwd", 0, "")],
        [Piece(b"", ".hidden", 0, "")],
        [Piece(b"", "big", 2**31, "")],
        [Piece(b"longer", "a", 2, "")],
        [Piece(b"short", "a", 9, "")],
        [Piece(b"other", "a", 5, "0" * 64)],
    ],
)
def test_a_release_that_is_not_what_was_announced_leaves_nothing(tmp_path, pieces):
    with pytest.raises(MessageRefusedError):
        receive_release(pieces, lambda: None, tmp_path / "got", 30.0)
    assert list(tmp_path.iterdir()) == []


def test_a_transfer_ends_when_nothing_moves_and_only_then(tmp_path):
    stopped = threading.Event()

    def stalled():
        yield Piece(b"", "a", 5, "")
        stopped.wait(20)
        raise ServiceError("cancelled")

    with pytest.raises(ServiceError, match=r"no byte of the release came for 0\.05 s"):
        receive_release(stalled(), stopped.set, tmp_path / "got", 0.05)
    assert stopped.is_set()
    assert list(tmp_path.iterdir()) == []
