"""Joining a federation over real sockets: what leaves, who is refused, and what is told."""

import json
import stat

import pytest
from control_cases import control_server, joined, log_lines, platform_home
from control_keys import KEYRING, keys_of

from isthmus.audit_log import verify_log
from isthmus.control.collecting import collect_message
from isthmus.control.invitation import Invitation
from isthmus.control.reasons import RefusedError
from isthmus.errors import IdentityError, KeysError, ServiceError
from isthmus.identity import (
    Authority,
    JoinRequest,
    PlatformKeys,
    certificate_request,
    new_tls_key,
    platform_of,
    private_pem,
)
from isthmus_client.link.enrolled import Enrolment, certificate_path, load_keys
from isthmus_client.link.enrolment import collect, join
from isthmus_client.link.session_calls import EnrolmentCalls
from isthmus_client.vault import Keyring


@pytest.fixture
def server(tmp_path):
    with control_server(tmp_path) as found:
        yield found


def test_a_platform_joins_is_approved_and_holds_a_certificate(server, tmp_path):
    home = platform_home(tmp_path)
    made = join(home, KEYRING, server.invitation().to_code())
    assert made.status == "pending"
    assert collect(home, keys_of(home)).credentials is None
    assert not certificate_path(home).exists()
    assert (
        server.row().fingerprint == made.enrolment.fingerprint == keys_of(home).public.fingerprint
    )

    server.roster.approve("shop", made.enrolment.fingerprint)
    got = collect(home, keys_of(home))
    assert got.credentials.says.platform == "shop"
    assert f"{got.credentials.says.serial:x}" == server.row().serial
    assert Enrolment.load(home).ports == {**made.enrolment.ports, **server.ports}
    assert platform_of(certificate_path(home).read_bytes()) == got.credentials.says


def test_only_public_halves_and_the_token_leave(server, tmp_path, monkeypatch):
    sent, call = [], EnrolmentCalls.join

    def listening(self, request):
        sent.append(request)
        return call(self, request)

    monkeypatch.setattr(EnrolmentCalls, "join", listening)
    home = joined(server, tmp_path)
    keys = keys_of(home)
    assert set(json.loads(sent[0])) == {"name", "signing", "node", "csr", "token", "signature"}
    for secret in (keys.signing.private_bytes_raw(), private_pem(keys.node)):
        for form in (
            secret,
            secret.hex().encode(),
            secret.splitlines()[-2] if b"\n" in secret else secret,
        ):
            assert form not in sent[0]
    assert (home.federation / "tls.key").read_bytes() not in sent[0]


def test_secret_files_are_the_owners_alone_and_the_identity_is_sealed(server, tmp_path):
    home = joined(server, tmp_path)
    for name in ("identity.sealed", "tls.key", "server.json"):
        assert stat.S_IMODE((home.federation / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(home.federation.stat().st_mode) == 0o700
    sealed = (home.federation / "identity.sealed").read_bytes()
    assert keys_of(home).signing.private_bytes_raw() not in sealed
    with pytest.raises(KeysError):
        load_keys(home, Keyring.fresh())


def test_asking_again_after_a_lost_answer_changes_nothing(server, tmp_path):
    home, code = platform_home(tmp_path), server.invitation().to_code()
    first = join(home, KEYRING, code)
    assert join(home, KEYRING, code) == first
    assert [each.name for each in server.state.platforms.list()] == ["shop"]


def test_every_bad_token_gets_the_same_words(server, tmp_path):
    good = server.invitation("used")
    join(platform_home(tmp_path, "first"), KEYRING, good.to_code())
    old = server.invitation("old", hours=1e-9)
    taken_back = server.invitation("taken")
    server.invitation("taken")
    other = server.invitation("other")
    bad = {
        "used": good,
        "too old": old,
        "withdrawn": taken_back,
        "for another name": renamed(other, "somebody"),
        "foreign": with_token(other, "x" * 43),
        "approved name": with_token(approved(server, tmp_path), "x" * 43),
    }
    told = set()
    for number, invitation in enumerate(bad.values()):
        with pytest.raises(RefusedError) as caught:
            join(platform_home(tmp_path, f"bad{number}"), KEYRING, invitation.to_code())
        assert caught.value.reason == "invitation"
        told.add((str(caught.value), caught.value.hint))
    assert len(told) == 1
    (text, _), *_ = told
    assert all(name not in text for name in ("used", "old", "taken", "other", "shop"))
    assert server.kinds("warning") == ["join-refused"]


def test_a_damaged_request_gets_those_words_too(server):
    there = server.invitation()
    calls = EnrolmentCalls(there.server, there.port, there.authority_pem)
    keys = PlatformKeys.fresh()
    csr = certificate_request("shop", new_tls_key())
    whole = JoinRequest.make("shop", keys, csr, there.token).to_bytes()
    forged = json.dumps(json.loads(whole) | {"signature": "00" * 64}).encode()
    try:
        for body in (b"", b"\xff" * 900, whole[:-1], forged):
            with pytest.raises(RefusedError) as caught:
                calls.join(body)
            assert str(caught.value) == "the server refuses this invitation"
    finally:
        calls.close()
    assert server.state.platforms.list() == ()


def test_neither_token_nor_invitation_is_told_to_anybody(server, tmp_path, caplog, capfd):
    there = server.invitation("other")
    with pytest.raises(RefusedError) as caught:
        join(platform_home(tmp_path), KEYRING, renamed(there, "shop").to_code())
    events = " ".join(each.text for each in server.state.events.list())
    said = caplog.text + str(caught.value) + events + "".join(capfd.readouterr()) + repr(there)
    assert there.token not in said
    assert there.token not in server.home.audit.read_text()
    assert there.token.encode() not in server.home.database_path.read_bytes()


def test_a_wrong_authority_is_refused_before_anything_is_sent(server, tmp_path):
    home, invitation = platform_home(tmp_path), server.invitation()
    stranger = Authority.create(tmp_path / "stranger", "stranger")
    with pytest.raises(IdentityError, match="not for"):
        join(home, KEYRING, invitation.to_code(), fingerprint=stranger.fingerprint)
    assert not home.federation.exists()
    join(home, KEYRING, invitation.to_code(), fingerprint=invitation.fingerprint.lower())


def test_a_server_of_another_authority_hears_no_token(server, tmp_path):
    stranger = Authority.create(tmp_path / "stranger", "stranger")
    there = server.invitation()
    tricked = Invitation(
        there.server, there.port, there.name, there.token, stranger.certificate_pem
    )
    with pytest.raises(ServiceError):
        join(platform_home(tmp_path), KEYRING, tricked.to_code())
    assert server.state.invitations.list()[0].used is None


def test_a_wrong_fingerprint_is_not_approved(server, tmp_path):
    home = platform_home(tmp_path)
    made = join(home, KEYRING, server.invitation().to_code())
    with pytest.raises(IdentityError, match="not SHA256:00"):
        server.roster.approve("shop", "SHA256:00")
    assert server.row().status == "pending"
    assert server.kinds("alarm") == ["fingerprint"]
    assert server.roster.approve("shop", made.enrolment.fingerprint.replace("-", " ")).status


def test_only_the_enrolled_keys_collect(server, tmp_path):
    home = joined(server, tmp_path)
    serial = server.row().serial
    enrolment = Enrolment.load(home)
    calls = EnrolmentCalls(enrolment.server, enrolment.ports["enrolment"], enrolment.authority_pem)
    csr = certificate_request("shop", new_tls_key())
    message = collect_message("shop", csr, enrolment.authority_pem)
    thief, other = PlatformKeys.fresh().signing, csr.replace(b"A", b"B", 1)
    try:
        told = []
        for name, asked, key in (
            ("shop", csr, thief),
            ("shop", other, keys_of(home).signing),
            ("nobody", csr, keys_of(home).signing),
        ):
            with pytest.raises(RefusedError) as caught:
                calls.collect(name, asked, key.sign(message))
            told.append((caught.value.reason, str(caught.value)))
    finally:
        calls.close()
    assert len(set(told)) == 1
    assert server.row().serial == serial


def test_a_revoked_platform_is_told_why_and_joins_again_with_new_keys(server, tmp_path):
    home = joined(server, tmp_path)
    old = Enrolment.load(home).fingerprint
    server.roster.revoke("shop", "keys were lost")
    found = collect(home, keys_of(home))
    assert (found.status, found.note, found.credentials) == ("revoked", "keys were lost", None)

    made = join(home, KEYRING, server.invitation().to_code(), new_keys=True)
    assert made.status == "pending"
    assert made.enrolment.fingerprint != old
    server.roster.approve("shop", made.enrolment.fingerprint)
    assert collect(home, keys_of(home)).status == "approved"
    log, key = home.federation / "audit.jsonl", keys_of(home).public.signing
    assert verify_log(log, key).first_bad is None
    (aside,) = (home.federation / "before").iterdir()
    assert (aside / "identity.sealed").exists()


def test_a_member_does_not_slip_into_another_federation(server, tmp_path):
    home = joined(server, tmp_path)
    with control_server(tmp_path / "two") as other:
        with pytest.raises(IdentityError, match="already"):
            join(home, KEYRING, other.invitation().to_code())
        (home.federation / "contracts").mkdir()
        (home.federation / "contracts" / "spring.json").write_text("of the federation before")
        join(home, KEYRING, other.invitation().to_code(), new_keys=True)
        assert not (home.federation / "contracts").exists()  # else nothing here could be read
        (aside,) = (home.federation / "before").iterdir()
        assert (aside / "contracts" / "spring.json").exists()


def test_a_server_that_signs_with_another_key_is_refused(server, tmp_path):
    home = joined(server, tmp_path)
    (server.home.identity / "signing.key").write_bytes(private_pem(PlatformKeys.fresh().signing))
    server.running.stop()
    server.start()
    with pytest.raises(IdentityError, match="another key"):
        collect(home, keys_of(home))


def test_joining_is_in_both_logs(server, tmp_path):
    home = joined(server, tmp_path)
    ours, theirs = log_lines(home.federation / "audit.jsonl"), log_lines(server.home.audit)
    assert [each["kind"] for each in ours] == ["joined", "certificate"]
    assert [each["kind"] for each in theirs] == ["invited", "joined", "approved", "certificate"]
    assert ours[1]["serial"] == theirs[3]["serial"]
    public = Enrolment.load(home).server_key
    assert verify_log(server.home.audit, public).first_bad is None


@pytest.mark.parametrize("size", [70_000, 2**20 + 1])
def test_a_strangers_message_over_its_bound_is_refused(server, size):
    there = server.invitation()
    calls = EnrolmentCalls(there.server, there.port, there.authority_pem)
    try:
        with pytest.raises(ServiceError, match="bound"):
            calls.join(b"x" * size)
    finally:
        calls.close()


def approved(server, folder):
    joined(server, folder / "approved")
    return server.invitation("shop")


def renamed(invitation, name):
    return Invitation(
        invitation.server, invitation.port, name, invitation.token, invitation.authority_pem
    )


def with_token(invitation, token):
    return Invitation(
        invitation.server, invitation.port, invitation.name, token, invitation.authority_pem
    )
