"""Whatever a run waits for has words with names in it."""

from datetime import UTC, datetime, timedelta

import pytest

from isthmus_server.coordinator.obstacles import next_run, outlook
from isthmus_server.state import DecisionRow, RunRow

NOW = datetime(2026, 3, 5, 7, 9, tzinfo=UTC)
MEMBERS = ("anvil", "bellows", "crucible")


def said(**answers):
    return [
        DecisionRow("spring", name, *answer, b"", NOW)
        for name, answer in answers.items()
    ]  # fmt: skip


YES = ("approved", "")


@pytest.mark.parametrize(
    ("answers", "approved", "online", "reason", "complete"),
    [
        ({}, MEMBERS, MEMBERS,
         "waits for approval by: anvil, bellows, crucible (have 0 of 2)", False),
        ({"anvil": YES}, MEMBERS, MEMBERS,
         "waits for approval by: bellows, crucible (have 1 of 2)", False),
        ({"anvil": YES, "bellows": ("refused", "too long")}, MEMBERS, MEMBERS,
         "waits for approval by: crucible, and refused by bellows: too long (have 1 of 2)", False),
        ({"anvil": YES, "bellows": YES}, ("anvil",), MEMBERS,
         ("waits for approval by: crucible, "
          "and not approved by the operator any more: bellows (have 1 of 2)"), False),
        ({"anvil": YES, "bellows": YES}, MEMBERS, ("bellows", "stranger"),
         "waits for platforms: have 1 of 2, missing anvil", False),
        ({"anvil": YES, "bellows": YES}, MEMBERS, MEMBERS, "", False),
        (dict.fromkeys(MEMBERS, YES), MEMBERS, ("anvil", "bellows"), "", False),
        (dict.fromkeys(MEMBERS, YES), MEMBERS, MEMBERS, "", True),
        ({"anvil": YES, "bellows": YES, "crucible": ("refused", "")}, MEMBERS, MEMBERS, "", True),
        ({**dict.fromkeys(MEMBERS, YES), "stranger": YES}, (*MEMBERS, "stranger"), ("stranger",),
         "waits for platforms: have 0 of 2, missing anvil, bellows, crucible", False),
    ],
)  # fmt: skip
def test_the_reason_names_who_is_missing(answers, approved, online, reason, complete):
    found = outlook(MEMBERS, 2, said(**answers), approved, online)
    assert (found.reason, found.complete) == (reason, complete)


def test_who_is_ready_agreed_is_approved_and_there():
    found = outlook(MEMBERS, 1, said(anvil=YES, bellows=YES), ("bellows", "crucible"), MEMBERS)
    assert found.ready == ("bellows",)


def row(name, minutes, **changes):
    values = {"status": "proposed", "wanted": "run", "created": NOW + timedelta(minutes=minutes)}
    return RunRow(
        name, b"", "", b"", reason="r", round=0, attempt=0, rollback_to=None, updated=NOW,
        **{**values, **changes},
    )  # fmt: skip


def test_the_oldest_run_that_is_wanted_comes_first():
    rows = [
        row("done", 0, status="finished"),
        row("paused", 1, wanted="pause"),
        row("second", 3),
        row("first", 2, status="failed"),
    ]
    assert next_run(rows).id == "first"
    assert next_run(rows[:2]) is None
