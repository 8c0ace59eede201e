"""`isthmus server invite`, `approve`, `revoke` and `list`, on a server that is not up."""

import json
import stat
from datetime import UTC, datetime, timedelta

import pytest
from control_cases import settings

from isthmus.audit_log import verify_log
from isthmus.cli import run
from isthmus.control.invitation import Invitation
from isthmus.identity import PlatformKeys, load_signing_key, public_raw
from isthmus_server.new_server import create_server
from isthmus_server.roster import open_roster
from isthmus_server.server_home import ServerHome


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    home = ServerHome(tmp_path_factory.mktemp("roster") / "server")
    create_server(home, settings(enrolment_port=4711, hosts=("localhost", "shop.example")))
    return home


@pytest.fixture
def call(made, capsys):
    """A `server` command's JSON, and what it says on standard error where it fails."""

    def called(*arguments, code=0):
        words = ["server", *arguments, "--home", str(made.folder), "--json"]
        assert run(words) == code
        out, err = capsys.readouterr()
        return json.loads(out if code == 0 else err)

    return called


def enrol(home, name, token):
    keys = PlatformKeys.fresh().public
    with open_roster(home) as roster:
        roster.state.platforms.enrol(
            token,
            name,
            signing=keys.signing,
            node_key=keys.node,
            fingerprint=keys.fingerprint,
            csr=b"csr",
        )
    return keys.fingerprint


def test_a_platform_is_invited_approved_and_revoked(made, call):
    told = call("invite", "shop")
    invitation = Invitation.from_code(told["code"])
    assert (invitation.server, invitation.port, invitation.name) == ("localhost", 4711, "shop")
    assert invitation.fingerprint == told["fingerprint"]
    assert [each["name"] for each in call("list")["invitations"]] == ["shop"]

    fingerprint = enrol(made, "shop", invitation.token)
    (shown,) = call("list")["platforms"]
    assert (shown["status"], shown["fingerprint"], shown["online"]) == (
        "pending",
        fingerprint,
        False,
    )
    assert call("list")["invitations"] == []
    assert call("approve", "shop", "--fingerprint", "SHA256:1", code=24)["error"] == "IdentityError"
    assert call("approve", "shop", code=10)["message"].startswith("--fingerprint is missing")
    assert call("approve", "shop", "--fingerprint", fingerprint)["status"] == "approved"
    assert call("approve", "shop", "--fingerprint", fingerprint)["status"] == "approved"
    assert call("revoke", "shop", "--reason", "left")["status"] == "revoked"
    assert call("list")["platforms"][0]["note"] == "left"

    public = public_raw(load_signing_key(made.identity / "signing.key"))
    assert verify_log(made.audit, public).first_bad is None
    kinds = [json.loads(each)["kind"] for each in made.audit.read_bytes().splitlines()]
    assert kinds == ["invited", "approved", "revoked"]


def test_an_invitation_that_was_not_used_is_withdrawn(call):
    call("invite", "late")
    assert call("revoke", "late", "--reason", "changed our mind")["status"] == "withdrawn"
    assert call("revoke", "late", "--reason", "again", code=25)["error"] == "StateError"


def test_an_invitation_in_a_file_is_its_owners_alone_and_not_printed(call, tmp_path):
    out = tmp_path / "invitation"
    told = call("invite", "quiet", "--host", "shop.example", "--hours", "0.5", "--out", str(out))
    assert told["code"] is None
    assert Invitation.from_code(out.read_text()).server == "shop.example"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("invite", "no name"), 24, "is no platform's name"),
        (("invite", "shop2", "--host", "elsewhere"), 10, "not in the server's certificate"),
        (("invite", "shop2", "--hours", "0"), 25, "cannot be valid"),
        (("invite", "shop2", "--hours", "nan"), 25, "cannot be valid"),
        (("approve", "nobody", "--fingerprint", "x"), 25, "no platform 'nobody' has joined"),
        (("revoke", "nobody", "--reason", "x"), 25, "there is no platform 'nobody'"),
        (("revoke", "nobody", "--reason", " "), 10, "needs a reason"),
    ],
)
def test_mistakes_are_told(call, words, code, says):
    assert says in call(*words, code=code)["message"]


def test_people_are_shown_a_table_and_an_invitation_on_one_line(made, capsys):
    assert run(["server", "invite", "reader", "--home", str(made.folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (code,) = [each for each in lines if each.startswith("isthmus1.")]
    fingerprint = enrol(made, "reader", Invitation.from_code(code).token)
    assert run(["server", "list", "--home", str(made.folder)]) == 0
    shown = capsys.readouterr().out
    assert "reader" in shown
    assert fingerprint[:12] in shown


def test_online_is_who_was_seen_within_three_heartbeats(made):
    with open_roster(made) as roster:
        token = roster.invite("beats", 1.0).token
        fingerprint = enrol(made, "beats", token)
        roster.approve("beats", fingerprint)
        roster.state.platforms.open_session("beats", "", "ticket")
        now = datetime(2031, 3, 7, tzinfo=UTC)
        told = {"skew_s": 0.0, "facts": {}, "audit_lines": 0, "audit_head": ""}
        roster.state.platforms.heartbeat("beats", "ticket", at=now, **told)

        def online(after_s):
            (row,) = [
                each
                for each in roster.look(now + timedelta(seconds=after_s))["platforms"]
                if each["name"] == "beats"
            ]
            return row["online"]

        beat = roster.settings.heartbeat_s
        assert online(2.9 * beat)
        assert not online(3.1 * beat)


def test_a_server_that_takes_any_port_says_that_it_must_be_up_first(tmp_path, capsys):
    home = ServerHome(tmp_path / "server")
    create_server(home, settings())
    assert run(["server", "invite", "shop", "--home", str(home.folder)]) == 26
    assert "has not been up yet" in capsys.readouterr().err
