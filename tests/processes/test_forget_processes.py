"""Forgetting that is killed at any point, and while others write, in real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from forgetting_cases import full_contract, hashed
from ingest_cases import rows_of, take_in

SUPPORT = Path(__file__).parents[1] / "support"


def program(*arguments):
    found = subprocess.run(
        [sys.executable, SUPPORT / "forget_program.py", *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    return json.loads(found.stdout)


@pytest.mark.slow
def test_killed_it_leaves_the_old_generation_or_the_new_one(tmp_path):
    story = program("kill", tmp_path, 1, 7)["story"]
    assert sum(one["killed"] for one in story) >= len(story) - 2  # the last points are near the end
    for one in story:
        before, left, after = one["before"], one["left"], one["after"]
        assert left["missing"] == []
        assert left["counted"] == left["events"]
        assert left["generation"] - before["generation"] in {0, 1}
        if left["generation"] == before["generation"]:
            same = ("events", "users", "sequences", "forgotten")
            assert [left[name] for name in same] == [before[name] for name in same]
            assert all(left["pair"])
        else:
            assert left["pair"] == [0, 0]
            assert left["users"] == before["users"] - 2
            assert len(left["forgotten"]) == len(before["forgotten"]) + 2
            assert left["events"] < before["events"]
        same = left.keys() - {"orphans", "receipts"}
        assert {name: after[name] for name in same} == {name: left[name] for name in same}
        assert after["orphans"] == []
        assert one["receipted"] == after["forgotten"]
        assert all(name.endswith(".json") for name in after["receipts"])
    generations = [one["left"]["generation"] - one["before"]["generation"] for one in story]
    assert {0, 1} == set(generations)  # killed on both sides of the change


def test_forgetting_and_taking_in_wait_for_one_another(tmp_path):
    found = program("race", tmp_path)
    assert found["codes"] == [0, 0, 0]
    last = found["pairs"][1]
    assert last["after"]["forgotten"] == last["receipted"]
    assert len(last["receipted"]) == 4
    assert [each["after"]["pair"] for each in found["pairs"]] == [[0, 0], [0, 0]]
    take_in(tmp_path, full_contract(tmp_path), accept_rejected=True, rebuild=True)
    gone = {each.hex() for each in hashed(*(f"shopper-{n}" for n in range(4)))}
    assert not gone & {row[0] for row in rows_of(tmp_path)}
