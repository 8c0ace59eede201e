"""`isthmus client approve-run`, `status` and `outbox`, on a platform that is not up."""

import json
import os

import pytest
from command_checks import refuse
from contract_cases import NAMES, key_of, member, plain_contract, pooled_contract

from isthmus.audit_log import AuditLog
from isthmus.cli import run
from isthmus.federation_contract_signing import sign_contract
from isthmus.files import write_json
from isthmus.identity import PlatformKeys
from isthmus_client.approvals import approved, keep_offer, standing
from isthmus_client.home import Home
from isthmus_client.ledger import Key, Ledger
from isthmus_client.link.enrolled import Enrolment, save_keys
from isthmus_client.vault import create_keys
from isthmus_client.worker.status import RUN, StatusFile

OWN, SERVER = NAMES[0], key_of("server")


@pytest.fixture(scope="module")
def identity():
    return PlatformKeys.fresh()


@pytest.fixture
def home(tmp_path, identity):
    home = Home(tmp_path / "platform.toml")
    save_keys(home, create_keys(home.keys), identity)
    signing = SERVER.public_key().public_bytes_raw().hex()
    ports = {"enrolment": 1, "control": 2, "fleet": 3}
    told = ("trial", "localhost", ports, OWN, identity.public.fingerprint, "PEM", signing)
    Enrolment(*told).save(home)
    return home


@pytest.fixture
def offer(home, identity):
    """Offers a contract in which the platform stands under its own key."""

    def offered(make=plain_contract, others=NAMES[1:], **more):
        own = {"signing": identity.public.signing.hex(), "node": identity.public.node.decode()}
        members = {OWN: own | {"users": 40_000}} | {name: member(name, 40_000) for name in others}
        contract = make(**{"members": members, **more})
        signature = sign_contract(contract, SERVER)
        keep_offer(home, contract=contract.to_bytes(), signature=signature, status="proposed")
        return contract

    return offered


@pytest.fixture
def say(home, capsys):
    """A command's words, on one line."""

    def said(*arguments):
        assert run(["client", *arguments, "--platform", str(home.contract)]) == 0
        return " ".join(capsys.readouterr().out.split())

    return said


@pytest.fixture
def ask(home, capsys):
    """A command's JSON."""

    def asked(*arguments):
        assert run(["client", *arguments, "--platform", str(home.contract), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return asked


def test_a_contract_is_shown_whole_and_nothing_is_answered(home, offer, say, identity):
    contract = offer(pooled_contract)
    words = say("approve-run", "spring", "--show")
    bare = words.replace(" ", "")  # a terminal breaks long hashes
    for said in (contract.sha256, contract.encoder_sha256, identity.public.fingerprint):
        assert said in bare
    for said in ("epsilon 6 at delta", "at most 4", "blocks.0.qkv.weight 12 x 4", "log_scale one"):
        assert said in words
    assert "approved no other run yet" in words
    assert words.endswith("spring: not answered yet")
    assert standing(home, "spring").decided is None


def test_an_approval_without_questions(home, offer, ask):
    contract = offer()
    found = ask("approve-run", "spring", "--yes", "--reason", "as discussed")
    assert (found["answer"], found["contract_sha256"]) == ("approved", contract.sha256)
    assert approved(home, "spring") == contract
    listed = ask("approve-run")
    assert [(each["run"], each["answer"], each["by"]) for each in listed] == [
        ("spring", "approved", "person")
    ]


def test_a_refusal_carries_its_reason(home, offer, say):
    offer()
    say("approve-run", "spring", "--refuse", "--reason", "no privacy")
    decided = standing(home, "spring").decided
    assert (decided.answer, decided.reason) == ("refused", "no privacy")
    assert "no privacy" in say("approve-run")


def test_what_changed_since_the_last_approval_is_told(offer, say):
    offer()
    say("approve-run", "spring", "--yes")
    offer(run="autumn", others=(NAMES[1], "drill", NAMES[2]), rounds=50)
    words = say("approve-run", "autumn", "--show")
    assert "other than in the run spring" in words
    assert "rounds: 5 -> 50" in words
    assert "members: drill is new" in words
    assert "bellows 40,000 as before" in words
    assert "drill 40,000 new" in words


def test_a_changed_key_is_shown_refused_and_accepted_by_name(home, offer, say, identity, capsys):
    offer()
    say("approve-run", "spring", "--yes")
    own = {"signing": identity.public.signing.hex(), "users": 40_000}
    members = {OWN: own, NAMES[1]: member("swapped"), NAMES[2]: member(NAMES[2])}
    offer(run="autumn", members=members)
    words = say("approve-run", "autumn", "--show")
    assert "bellows 1,200 ANOTHER KEY" in words
    assert "PROBLEM: bellows has another identity key" in words
    base = ["client", "approve-run", "autumn", "--yes", "--json", "--platform", str(home.contract)]
    refuse(base, 24, "bellows has another identity key", capsys)
    refuse([*base, "--new-key", "nobody"], 10, "no such member", capsys)
    say("approve-run", "autumn", "--yes", "--new-key", "bellows")
    assert approved(home, "autumn").run == "autumn"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["approve-run", "spring"], 36, "nobody has said yes to the run spring"),
        (["approve-run", "autumn", "--yes"], 36, "offered no contract of a run 'autumn'"),
        (["approve-run", "spring", "--yes", "--refuse"], 10, "goes with neither"),
        (["approve-run", "spring", "--contract", "abc"], 10, "16 digits at least"),
        (["approve-run", "spring", "--yes", "--contract", "0" * 20], 36, "does not begin with"),
        (["outbox", "show", "7"], 11, "no receipt is named by '7'"),
    ],
)
def test_mistakes_are_told_and_nothing_is_answered(home, offer, capsys, arguments, code, said):
    offer()
    command = ["client", *arguments, "--platform", str(home.contract), "--json"]
    refuse(command, code, said, capsys)
    assert standing(home, "spring").decided is None


def test_exactly_the_contract_that_was_meant(offer, ask):
    digest = offer().sha256
    assert ask("approve-run", "spring", "--yes", "--contract", digest[:20])["answer"] == "approved"


def test_a_platform_that_has_not_joined_is_told(tmp_path, capsys):
    contract = str(tmp_path / "platform.toml")
    refuse(["client", "status", "--platform", contract], 24, "has joined no federation", capsys)


def test_status_before_and_while_it_runs(home, offer, ask, say):
    offer()
    before = ask("status")
    assert before["certificate"]["state"] == "none"
    assert {each["state"] for each in before["processes"].values()} == {"stopped"}
    assert before["runs"][0]["answer"] == "waits"
    assert before["outbox"]["departures"] == 0
    node = StatusFile(home.federation / RUN / "node.json")
    node.tell("working", run="spring", round=2)
    write_json(home.federation / RUN / "worker.json", {"state": "ready", "reason": "", "pid": -7})
    after = ask("status")["processes"]
    assert (after["node"]["state"], after["node"]["pid"]) == ("working", os.getpid())
    assert after["worker"]["state"] == "stopped"
    words = say("status")
    for said in ("anvil in the federation trial", "run spring, round 2", "nothing has left"):
        assert said in words
    assert "isthmus client up" in words


def test_status_says_what_privacy_cost(home, offer, ask, say):
    from isthmus.privacy.events import Event  # noqa: PLC0415 - slow

    offer()
    with Ledger(home.federation / "ledger.sqlite", epsilon=6.0, delta=1e-6) as ledger:
        ledger.reserve(Key("platform"), "spring", 1, Event(2.0, 0.1, 1), base="f" * 64)
    privacy = ask("status")["privacy"]
    assert 0 < privacy["spent_at_most"] <= privacy["budget"]["epsilon"] == 6.0
    assert "of 6 spent" in say("status")


def test_everything_that_left_is_listed_and_shown(home, offer, ask, say, identity):
    offer()
    log = AuditLog(home.federation / "audit.jsonl", identity.signing)
    log.append({"kind": "anchor", "of": "server", "lines": 3, "head": "a" * 64})
    for number in (1, 2, 3):
        told = {"kind": "update", "run": "spring", "round": number, "bytes": 1000 + number}
        log.append(told | {"sha256": f"{number:064x}"[::-1], "users": 70, "time": 1.7e9})
    b = {"sha256": "b" * 64, "users": 0}
    log.append({"kind": "metrics", "run": "autumn", "round": 1, "bytes": 9} | b)
    assert [each["line"] for each in ask("outbox", "list")] == [2, 3, 4, 5]
    assert [each["round"] for each in ask("outbox", "list", "--run", "spring", "--last", "2")] == [
        2,
        3,
    ]
    assert ask("outbox", "show", "3")["bytes"] == 1002
    assert ask("outbox", "show", "BBBBBBBB")["run"] == "autumn"
    assert "1,003" in say("outbox", "list")
    assert "sha256" in say("outbox", "show", "2")
    found = ask("status")["outbox"]
    assert (found["departures"], found["bytes"], found["last_run"]) == (4, 3015, "autumn")


def test_an_altered_log_is_not_believed(home, offer, capsys, identity, ask):
    offer()
    path = home.federation / "audit.jsonl"
    log = AuditLog(path, identity.signing)
    for number in (1, 2):
        log.append(
            {"kind": "update", "run": "spring", "round": number, "bytes": 5, "sha256": "c" * 64}
        )
    path.write_bytes(path.read_bytes().replace(b'"bytes": 5', b'"bytes": 4', 1))
    command = ["client", "outbox", "list", "--platform", str(home.contract)]
    refuse(command, 35, "line 1 was altered", capsys)
    assert "line 1 was altered" in ask("status")["outbox"]["reason"]
