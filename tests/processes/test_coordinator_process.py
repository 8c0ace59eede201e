"""The coordinator as a process: whole runs over the SuperLink, kills, pauses and quarrels."""

import signal
import threading

import pytest
from fleet_platforms import contract_for, initial_of, nodes_of, toy
from fleet_server import TestServer
from flwr.app import Error, Message
from waiting import until

from isthmus.audit_log import verify_log
from isthmus.federation_contract_signing import sign_contract
from isthmus.identity import load_signing_key, public_raw
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.from_contract import server_config
from isthmus_simulations.engines.platforms import FolderOutboxes
from isthmus_simulations.engines.runner import run_federation

ROUNDS = 4


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    running = TestServer(tmp_path_factory.mktemp("coordinator"))
    try:
        running.superlink()
        running.coordinator = running.start("coordinator")
        yield running
    finally:
        running.close()


@pytest.fixture
def server(processes):
    processes.nodes = []
    yield processes
    for node in processes.nodes:
        node.close()


def propose(server, contract, approve="abc"):
    key = load_signing_key(server.home.identity / "signing.key")
    server.state.runs.propose(
        contract.run,
        contract=contract.to_bytes(),
        contract_sha256=contract.sha256,
        signature=sign_contract(contract, key),
    )
    for name in approve:
        server.state.runs.decide(contract.run, name, "approved", "", b"signed")


def run_of(server, contract):
    return server.state.runs.get(contract.run)


def reaches(server, contract, status, seconds=40):
    until(
        lambda: run_of(server, contract).status == status,
        seconds,
        f"status {status}; it is {run_of(server, contract)}; {server.log('coordinator')[-3000:]}",
    )


def waits_for(server, contract, words, seconds=20):
    until(
        lambda: words in run_of(server, contract).reason,
        seconds,
        f"reason {words!r}; it is {run_of(server, contract).reason!r}",
    )


def simulated(tmp_path, contract):
    """The same run in memory."""
    result = run_federation(
        "memory",
        server_config=server_config(contract),
        initial=initial_of(contract),
        store=CheckpointStore(tmp_path / "simulated"),
        outboxes=FolderOutboxes(tmp_path / "simulated-receipts"),
        workers=1,
        resume=False,
        on_round=lambda _: None,
        trainers=[toy(name, place) for place, name in enumerate(contract.members)],
    )
    return result.final.fingerprint()


def final(server, contract):
    rows = server.state.rounds.list(contract.run)
    assert [row.round for row in rows] == list(range(1, len(rows) + 1))
    return rows[-1].fingerprint


def test_a_run_is_that_of_the_simulation_through_kills_of_both(server, tmp_path):
    contract = contract_for(server, run="kills", rounds=ROUNDS)
    third, goes_on = threading.Event(), threading.Event()

    def slow_third_round(name, answer):
        def answering(message):
            if message.metadata.group_id == "3" and name == "b":
                third.set()
                assert goes_on.wait(30)
            return answer(message)

        return answering

    server.nodes = nodes_of(server, contract, slow_third_round)
    propose(server, contract)
    assert third.wait(40), (run_of(server, contract), server.log("coordinator")[-3000:])
    server.coordinator.send_signal(signal.SIGKILL)
    server.coordinator.wait(10)
    goes_on.set()
    assert run_of(server, contract).round == 2
    server.coordinator = server.start("coordinator")
    reaches(server, contract, "finished")
    assert final(server, contract) == simulated(tmp_path, contract)
    key = load_signing_key(server.home.identity / "signing.key")
    assert verify_log(server.home.audit, public_raw(key)).first_bad is None
    kinds = [event.kind for event in server.state.events.list(run=contract.run)]
    assert kinds[0] == "run-finished"


def test_it_waits_for_approval_and_platforms_with_names(server):
    contract = contract_for(server, run="quorum", rounds=1)
    propose(server, contract, approve="a")
    waits_for(server, contract, "waits for approval by: b, c")
    server.state.runs.decide(contract.run, "c", "refused", "too many rounds", b"")
    waits_for(server, contract, "refused by c: too many rounds")
    for name in "bc":
        server.state.runs.decide(contract.run, name, "approved", "", b"")
    waits_for(server, contract, "waits for platforms: have 0 of 3, missing a, b, c")
    server.nodes = nodes_of(server, contract)
    other = contract_for(server, rounds=1, run="other")
    propose(server, other)
    reaches(server, contract, "finished")
    reaches(server, other, "finished")


def test_pause_resume_rollback_and_stop(server):
    contract = contract_for(server, run="wishes", rounds=200)
    server.nodes = nodes_of(server, contract)
    propose(server, contract)
    until(lambda: run_of(server, contract).round >= 2, 40, "two rounds")
    server.state.runs.want(contract.run, "pause")
    reaches(server, contract, "paused")
    paused = run_of(server, contract)
    assert f"paused by the operator after round {paused.round}" == paused.reason
    before = {row.round: row.fingerprint for row in server.state.rounds.list(contract.run)}
    server.state.runs.rollback(contract.run, 1)
    waits_for(server, contract, "rolled back to round 1")
    assert [row.round for row in server.state.rounds.list(contract.run)] == [1]
    server.state.runs.want(contract.run, "run")
    until(lambda: run_of(server, contract).round >= 2, 40, "round 2 again")
    again = {row.round: row.fingerprint for row in server.state.rounds.list(contract.run)}
    assert again[2] == before[2]
    server.state.runs.want(contract.run, "stop")
    reaches(server, contract, "stopped")
    assert run_of(server, contract).reason == "stopped by the operator"


def test_platforms_that_start_from_other_parameters_are_named(server):
    contract = contract_for(server, run="quarrel", rounds=1)
    server.nodes = nodes_of(server, contract, b=initial_of(contract, seed=1))
    propose(server, contract)
    reaches(server, contract, "failed")
    assert "the initial parameters of b differ" in run_of(server, contract).reason


def test_a_failed_round_is_tried_again_and_says_why(server):
    contract = contract_for(server, run="again", rounds=2)
    broken = threading.Event()
    broken.set()

    def sometimes(name, answer):
        def answering(message):
            if name == "c" and broken.is_set() and message.metadata.message_type == "train":
                raise RuntimeError("row 5 of user-4711")
            return answer(message)

        return lambda message: _guarded(answering, message)

    server.nodes = nodes_of(server, contract, sometimes)
    propose(server, contract)
    waits_for(server, contract, "2 platforms sent a good update, the minimum is 3")
    broken.clear()
    reaches(server, contract, "finished")
    row = run_of(server, contract)
    assert row.attempt >= 1
    assert "user-4711" not in str(server.state.events.list(run=contract.run))


def _guarded(answer, message):
    try:
        return answer(message)
    except RuntimeError as error:
        return Message(Error(1001, type(error).__name__), reply_to=message)


def test_a_contract_that_was_altered_is_not_run(server):
    contract = contract_for(server, run="altered", rounds=1)
    server.state.runs.propose(
        contract.run,
        contract=contract.to_bytes(),
        contract_sha256=contract.sha256,
        signature=bytes(64),
    )
    reaches(server, contract, "failed")
    assert "signature" in run_of(server, contract).reason
