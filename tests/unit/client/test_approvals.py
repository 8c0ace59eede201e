"""A platform does nothing of a run that it did not approve, to the byte."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from contract_cases import NAMES, key_of, member, plain_contract, pooled_contract

from isthmus.audit_log import verify_log
from isthmus.errors import IdentityError, MessageRefusedError, NotApprovedError
from isthmus.federation_contract_signing import LABEL, sign_contract, verify_answer
from isthmus.files import write_json
from isthmus.policy import parse_policy
from isthmus_client.approvals import (
    approved,
    decide,
    decide_by_policy,
    keep_offer,
    last_approved,
    pending,
    standing,
    standings,
)
from isthmus_client.approvals_files import decision_path, offer_path, read_pins
from isthmus_client.home import Home

OWN = NAMES[1]
SERVER = key_of("server")
LOOSE = parse_policy(
    {"max_epsilon": 7, "max_rounds": 9, "trust": ["none", "pooled"], "require_secure": False}
)


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "platform.toml")
    told = {"signing": SERVER.public_key().public_bytes_raw().hex(), "name": OWN}
    write_json(home.federation / "server.json", told)
    return home


def offered(home, contract=None, **more):
    contract = contract or plain_contract()
    values = {"signature": sign_contract(contract, SERVER), "status": "proposed"} | more
    keep_offer(home, contract=contract.to_bytes(), **values)
    return contract


def test_what_was_never_answered_is_not_approved_and_waits(home):
    contract = offered(home)
    assert [each.contract for each in pending(home)] == [contract]
    with pytest.raises(NotApprovedError, match="has not approved the run spring"):
        approved(home, "spring")
    with pytest.raises(NotApprovedError, match="offered no contract of a run 'summer'"):
        approved(home, "summer")


def test_an_approval_holds_and_is_signed_and_logged(home):
    contract = offered(home)
    decided = decide(home, "spring", approve=True, reason="as discussed", key=key_of(OWN))
    assert approved(home, "spring") == contract
    assert pending(home) == ()
    signing = key_of(OWN).public_key().public_bytes_raw()
    answer = (contract.sha256, OWN, "approved", "as discussed")
    verify_answer(*answer, bytes.fromhex(decided.signature), signing)
    with pytest.raises(IdentityError, match="not signed by it"):
        verify_answer(*answer[:3], "another reason", bytes.fromhex(decided.signature), signing)
    log = home.federation / "audit.jsonl"
    assert verify_log(log, signing).first_bad is None
    line = json.loads(log.read_text())
    assert (line["kind"], line["contract_sha256"]) == ("contract approved", contract.sha256)
    assert sorted(read_pins(home)) == sorted(NAMES)


def test_a_refusal_is_an_answer_too(home):
    offered(home)
    decide(home, "spring", approve=False, reason="too many rounds", key=key_of(OWN))
    assert pending(home) == ()
    assert read_pins(home) == {}
    with pytest.raises(NotApprovedError, match="refused the run spring: too many rounds"):
        approved(home, "spring")
    decide(home, "spring", approve=True, reason="", key=key_of(OWN))
    assert approved(home, "spring").run == "spring"


def test_an_approval_is_of_one_contract_to_the_byte(home):
    offered(home)
    decide(home, "spring", approve=True, reason="", key=key_of(OWN))
    altered = offered(home, plain_contract(rounds=6))
    with pytest.raises(NotApprovedError, match="has not approved"):
        approved(home, "spring")
    assert [each.contract for each in pending(home)] == [altered]


def test_only_what_the_joined_server_signed_is_kept(home):
    contract = plain_contract()
    for data, signature, error in (
        (contract.to_bytes(), sign_contract(contract, key_of("other")), IdentityError),
        (contract.to_bytes()[:-1] + b" ", sign_contract(contract, SERVER), IdentityError),
        (b"{}", SERVER.sign(LABEL + b"{}"), MessageRefusedError),
    ):
        with pytest.raises(error):
            keep_offer(home, contract=data, signature=signature, status="proposed")
    assert standings(home) == ()


def test_a_contract_exchanged_on_the_disk_is_not_approved(home):
    offered(home)
    path = offer_path(home, "spring")
    kept = json.loads(path.read_text())
    path.write_text(json.dumps(kept | {"contract": kept["contract"].replace("5", "6")}))
    with pytest.raises(IdentityError, match="not that of the server"):
        approved(home, "spring")
    path.write_text("{")
    with pytest.raises(NotApprovedError, match="damaged"):
        approved(home, "spring")
    offered(home)  # the server offers it again
    assert standing(home, "spring").pending


def test_an_approval_written_by_somebody_else_does_not_count(home):
    offered(home)
    decide(home, "spring", approve=False, reason="no", key=key_of(OWN))
    path = decision_path(home, "spring")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"answer": "approved"}))
    with pytest.raises(IdentityError, match="not signed by it"):
        approved(home, "spring")


def test_the_same_offer_again_writes_nothing_and_a_new_status_does(home):
    contract = offered(home)
    before = offer_path(home, "spring").stat()
    offered(home)
    assert offer_path(home, "spring").stat().st_mtime_ns == before.st_mtime_ns
    offered(home, contract, status="finished")
    assert standing(home, "spring").status == "finished"
    assert pending(home) == ()  # nobody needs an answer any more


def test_a_platform_that_is_no_member_approves_nothing(home):
    others = {name: member(name) for name in ("other", "another", "third")}
    offered(home, plain_contract(members=others))
    assert "is not among its members" in standing(home, "spring").problems[0]
    with pytest.raises(NotApprovedError, match="not among its members"):
        decide(home, "spring", approve=True, reason="", key=key_of(OWN))


def test_somebody_else_in_ones_own_place_is_refused(home):
    members = {name: member(name) for name in NAMES} | {OWN: member("impostor")}
    offered(home, plain_contract(members=members))
    with pytest.raises(IdentityError, match="another identity key for bellows"):
        decide(home, "spring", approve=True, reason="", key=key_of(OWN))


def test_a_changed_key_of_a_known_member_is_refused_until_it_is_accepted(home):
    offered(home)
    decide(home, "spring", approve=True, reason="", key=key_of(OWN))
    members = {name: member(name) for name in NAMES} | {NAMES[2]: member("swapped")}
    swapped = plain_contract(run="autumn", members=members)
    offered(home, swapped)
    assert "crucible has another identity key" in standing(home, "autumn").problems[0]
    with pytest.raises(IdentityError, match="crucible has another identity key") as refused:
        decide(home, "autumn", approve=True, reason="", key=key_of(OWN))
    assert "--new-key crucible" in refused.value.hint
    assert standing(home, "autumn").decided is None
    accepted = {"approve": True, "reason": "", "key": key_of(OWN)}
    decide(home, "autumn", **accepted, new_keys=["crucible"])
    assert approved(home, "autumn") == swapped
    with pytest.raises(NotApprovedError, match="another identity key"):
        approved(home, "spring")  # the old key is no longer crucible's


def test_a_false_promise_is_not_approved_by_anybody(home):
    plan = pooled_contract().plan
    thin = pooled_contract(plan=replace(plan, noise_multiplier=plan.noise_multiplier * 0.6))
    offered(home, thin)
    with pytest.raises(NotApprovedError, match="promises epsilon 6"):
        decide(home, "spring", approve=True, reason="", key=key_of(OWN))
    decided = decide_by_policy(home, "spring", LOOSE, key_of(OWN))
    assert decided.answer == "refused"
    assert "promises epsilon 6" in decided.reason


def test_a_policy_answers_with_its_reasons(home):
    offered(home)
    decided = decide_by_policy(home, "spring", LOOSE, key_of(OWN))
    assert (decided.answer, decided.by) == ("approved", "policy")
    assert "5 rounds of at most 9" in decided.reason
    assert approved(home, "spring").run == "spring"
    strict = parse_policy({"max_epsilon": 7, "max_rounds": 2})
    offered(home, plain_contract(run="autumn"))
    refused = decide_by_policy(home, "autumn", strict, key_of(OWN))
    assert refused.answer == "refused"
    assert "5 rounds, at most 2" in refused.reason


def test_a_policy_never_accepts_a_changed_key(home):
    offered(home)
    decide(home, "spring", approve=True, reason="", key=key_of(OWN))
    members = {name: member(name) for name in NAMES} | {NAMES[0]: member("swapped")}
    offered(home, plain_contract(run="autumn", members=members))
    decided = decide_by_policy(home, "autumn", LOOSE, key_of(OWN))
    assert decided.answer == "refused"
    assert "anvil has another identity key" in decided.reason


def test_the_last_approved_contract_is_what_a_new_one_is_compared_with(home):
    times = iter(datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=day) for day in range(9))
    assert last_approved(home, "winter") is None
    for run in ("summer", "autumn", "spring"):
        offered(home, plain_contract(run=run))
        said = {"approve": run != "spring", "reason": "", "key": key_of(OWN)}
        decide(home, run, **said, clock=lambda: next(times))
    assert last_approved(home, "winter").run == "autumn"
    assert last_approved(home, "autumn").run == "summer"


def test_a_platform_that_has_not_joined_is_told_so(tmp_path):
    with pytest.raises(IdentityError, match="has joined no federation"):
        offered(Home(tmp_path / "platform.toml"))


@pytest.mark.parametrize("run", ["../server", "", "a/b", "A"])
def test_no_name_leads_out_of_the_folder(home, run):
    with pytest.raises(NotApprovedError, match="no run's id"):
        approved(home, run)


def test_a_contract_exchanged_while_it_was_read_is_not_approved(home):
    read = offered(home).sha256
    offered(home, plain_contract(rounds=500))
    said = {"approve": True, "reason": "", "key": key_of(OWN)}
    with pytest.raises(NotApprovedError, match="offered another contract of run spring"):
        decide(home, "spring", **said, contract_sha256=read)
    assert standing(home, "spring").decided is None


def test_an_answer_is_no_longer_than_a_server_takes(home):
    offered(home)
    said = "x\x1b\n" * 4_000
    decided = decide(home, "spring", approve=False, reason=said, key=key_of(OWN))
    assert len(decided.reason) == 2_000
    assert decided.reason.isprintable()
    again = standing(home, "spring").decided
    assert again == decided


def test_a_server_cannot_fill_the_disk_with_contracts(home, monkeypatch):
    monkeypatch.setattr("isthmus_client.approvals_offers.MAX_KEPT", 2)
    offered(home)
    offered(home, plain_contract(run="summer"))
    with pytest.raises(MessageRefusedError, match="no more are taken"):
        offered(home, plain_contract(run="autumn"))
    offered(home, status="running")  # those that are kept go on
    assert {each.contract.run: each.status for each in standings(home)} == {
        "spring": "running",
        "summer": "proposed",
    }
