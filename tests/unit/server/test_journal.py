"""A round is written down once in the state and once in the log, wherever a coordinator died."""

import json

import pytest
from contract_cases import plain_contract

from isthmus.audit_log import AuditLog
from isthmus_server.coordinator.endings import Endings
from isthmus_server.coordinator.journal import Journal
from isthmus_server.history import PlatformRecord, Refusal, RoundRecord
from isthmus_server.server_home import ServerHome
from isthmus_server.state import open_state

CONTRACT = plain_contract()
TOLD = PlatformRecord(users=10, bytes_down=7, bytes_up=9, update_norm=0.5, metrics={})


def record(number):
    refused = (Refusal("bellows", "it holds NaN", 7, 9),) if number == 2 else ()
    return RoundRecord(number, {"anvil": TOLD}, refused, (), 1.5, f"{number:064x}")


@pytest.fixture
def journal(tmp_path):
    with open_state(tmp_path / "state.sqlite") as state:
        state.runs.propose(
            CONTRACT.run,
            contract=CONTRACT.to_bytes(),
            contract_sha256=CONTRACT.sha256,
            signature=b"s",
        )
        yield Journal(state, AuditLog(tmp_path / "audit.jsonl"), CONTRACT)


def logged(journal):
    lines = [json.loads(text) for text in journal.log.path.read_text().splitlines()]
    return [line["round"] for line in lines if line["kind"] == "round"]


def committed(journal):
    return [row.round for row in journal.state.rounds.list(CONTRACT.run)]


def dies_before_the_row(journal, number):
    """What a coordinator leaves that is killed between the log's line and the state's row."""
    journal._line(record(number), 1)


def test_a_round_is_written_down_once_however_often_it_is_told(journal):
    assert journal.round(record(1), 1)
    assert not journal.round(record(1), 2)
    journal.rounds([record(1)], 3)
    assert logged(journal) == committed(journal) == [1]


def test_a_round_that_only_the_log_has_is_not_logged_again(journal):
    journal.round(record(1), 1)
    dies_before_the_row(journal, 2)
    journal.rounds([record(1), record(2)], 2)
    assert logged(journal) == committed(journal) == [1, 2]
    events = journal.state.events.list(run=CONTRACT.run)
    assert [each.platform for each in events] == ["bellows"]


def test_rounds_that_nobody_wrote_down_are(journal):
    journal.rounds([record(1), record(2), record(3)], 4)
    assert logged(journal) == committed(journal) == [1, 2, 3]


def test_a_round_that_was_rolled_back_is_logged_anew(journal, tmp_path):
    for number in (1, 2):
        journal.round(record(number), 1)
    journal.state.runs.rollback(CONTRACT.run, 1)
    ends = Endings(ServerHome(tmp_path), journal.state, journal.log)
    ends.fulfil(journal.state.runs.get(CONTRACT.run))
    assert committed(journal) == [1]
    journal.rounds([record(1), record(2)], 2)
    assert logged(journal) == [1, 2, 2]
    assert committed(journal) == [1, 2]
