"""The node's control session with offers and answers that are odd, old or too many; no network."""

import threading

import pytest
from contract_cases import NAMES, key_of, plain_contract

from isthmus.control.limits import MAX_KNOWN
from isthmus.control.reasons import RefusedError
from isthmus.federation_contract_signing import sign_contract
from isthmus.files import write_json
from isthmus.policy import parse_policy
from isthmus_client.approvals import decide, keep_offer
from isthmus_client.approvals_files import (
    Offer,
    decision_path,
    offer_path,
    read_decision,
    write_kept,
)
from isthmus_client.home import Home
from isthmus_client.link.node import end_with_threads
from isthmus_client.link.node_session import Hooks, SessionLoop

OWN = NAMES[1]
POLICY = parse_policy({"max_epsilon": 7, "max_rounds": 9})
SERVER = key_of("server")


class Refusing:
    """A session whose server refuses every answer for the same reason."""

    is_open = True

    def __init__(self, home, reason):
        self.home, self.reason, self.asked = home, reason, 0

    def decide(self, *_answer):
        self.asked += 1
        raise RefusedError(self.reason)


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "platform.toml")
    told = {"signing": SERVER.public_key().public_bytes_raw().hex(), "name": OWN}
    write_json(home.federation / "server.json", told)
    return home


def loop(home, reason="absent"):
    hooks = Hooks(lambda: None, lambda: None, lambda _: None, dict)
    session = Refusing(home, reason)
    return session, SessionLoop(session, key_of(OWN), None, hooks, threading.Event())


@pytest.mark.parametrize("reason", ["absent", "invalid"])
def test_an_answer_that_is_never_taken_does_not_end_the_session(home, reason):
    contract = plain_contract()
    signature = sign_contract(contract, SERVER)
    keep_offer(home, contract=contract.to_bytes(), signature=signature, status="proposed")
    decide(home, "spring", approve=False, reason="no", key=key_of(OWN))
    session, ours = loop(home, reason)
    ours._send_decisions()
    ours._send_decisions()
    assert session.asked == 1


def test_an_answer_that_may_be_taken_later_is_sent_again(home):
    contract = plain_contract()
    signature = sign_contract(contract, SERVER)
    keep_offer(home, contract=contract.to_bytes(), signature=signature, status="proposed")
    decide(home, "spring", approve=False, reason="no", key=key_of(OWN))
    session, ours = loop(home, "busy")
    for _ in range(2):
        with pytest.raises(RefusedError):
            ours._send_decisions()
    assert session.asked == 2


def test_no_more_contracts_are_named_than_a_server_listens_to(home):
    for number in range(MAX_KNOWN + 5):
        offer = Offer(
            contract=str(number),
            signature="0" * 128,
            status="finished",
            received=f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}+00:00",
        )
        write_kept(offer_path(home, f"run-{number}"), offer)
    offer_path(home, "run-0").write_bytes(b"damaged")
    _, ours = loop(home)
    known = ours._known()
    assert len(known) == len(set(known)) == MAX_KNOWN


def test_one_damaged_contract_keeps_no_other_from_its_answer(home):
    contract = plain_contract()
    signature = sign_contract(contract, SERVER)
    keep_offer(home, contract=contract.to_bytes(), signature=signature, status="proposed")
    offer_path(home, "a-damaged-one").write_bytes(b"damaged")
    (home.federation / "contracts" / "Kopie von spring.json").write_bytes(b"somebody's")
    _, ours = loop(home)
    ours._decide(POLICY)
    assert read_decision(home, "spring").answer == "refused"
    ours._known()
    decision_path(home, "a-damaged-one").write_bytes(b"damaged")
    with pytest.raises(RefusedError):  # of the other answer, which is sent
        loop(home, "busy")[1]._send_decisions()


def test_a_thread_that_dies_ends_the_process_instead_of_leaving_it_deaf(monkeypatch, caplog):
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # put back afterwards
    stop = threading.Event()
    died = end_with_threads(stop)
    thread = threading.Thread(target=lambda: {}["fleet"], name="session")
    thread.start()
    thread.join()
    assert stop.is_set()
    assert died.is_set()
    assert "the thread session ended by KeyError" in caplog.text
