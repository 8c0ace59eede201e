"""kill -9 at random points, of every process that there is: nothing is lost, nothing counts twice.

One federation lives through all of it. Each run is first played undisturbed, then the same run
(same seed, another id) under kills; `KILLS_SEED` in the environment draws other moments.
"""

import json
import os
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from deployment import NAMES, federation, isthmus
from kills import Disturbance, drawn
from waiting import until

from isthmus_client.ledger import Ledger
from isthmus_client.ledger.rows import Committed, Reserved
from isthmus_server.run_status import opened_state

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("KILLS_SEED", "6"))
COUNTS = {
    "coordinator": 8,
    "superlink": 6,
    "control": 5,
    "node": 7,
    "worker": 3,
    "platform": 2,
    "server": 1,
}
ROUNDS = 12
SHORT = ("--max-steps", "2", "--patience", "0", "--minimum", "3", "--deadline", "200")
OPEN = ("--privacy", "none", "--rounds", str(ROUNDS), "--seed", "5", *SHORT)
PRIVATE_ROUNDS = 5
PRIVATE = (
    *("--privacy", "pooled", "--epsilon", "8", "--rounds", str(PRIVATE_ROUNDS)),
    *("--users", ",".join(f"{name}=250" for name in NAMES), "--accept-noise", *SHORT),
)


@pytest.fixture(scope="module")
def fed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fed")
    with federation(folder) as made:
        yield made
    assert not left_over(folder), "processes are left"


def left_over(folder):
    """Command lines of processes that still work in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(folder) in command:
            found.append(command)
    return found


def lines(path):
    return [json.loads(text) for text in path.read_text().splitlines()]


def platform_log(fed, name):
    return fed.folder / name / "federation" / "audit.jsonl"


def receipts(fed, name, run):
    """What left a platform in a run's rounds, in the order in which it left."""
    kinds = {"update", "update again", "masked update", "masked update again"}
    found = lines(platform_log(fed, name))
    return [line for line in found if line["kind"] in kinds and line["run"] == run]


def require_each_round_once(fed, run, rounds):
    """State, files and audit log tell of the same rounds, each one time."""
    with opened_state(fed.home) as state:
        rows = {row.round: row.fingerprint for row in state.rounds.list(run)}
        assert state.runs.get(run).round == rounds
    told = [
        line for line in lines(fed.home.audit) if line["kind"] == "round" and line["run"] == run
    ]
    on_disk = {number: fed.parameters(run, number).fingerprint() for number in range(1, rounds + 1)}
    assert [line["round"] for line in told] == [*range(1, rounds + 1)]
    assert {line["round"]: line["parameters"] for line in told} == rows
    saved = {
        number: json.loads((fed.home.rounds(run) / f"round-{number:05d}.json").read_text())
        for number in rows
    }
    assert {n: s["checkpoint"]["fingerprint"] for n, s in saved.items()} == rows
    assert len(on_disk) == len(rows) == rounds


def require_logs_hold(fed):
    """Every log is whole and signed, and is what the other sides saw of it."""
    ours = str(fed.home.audit)
    for name in NAMES:
        home = fed.folder / name / "federation"
        theirs = str(home / "audit.jsonl")
        mine = ("--key", str(home / "signing.pub"), "--against", ours, "--name", name)
        found = isthmus("audit", "verify", theirs, *mine)
        assert found["first_bad"] is None
        assert found["anchors"] > 0
        other = ("--key", str(home / "server.pub"), "--against", theirs, "--name", "server")
        assert isthmus("audit", "verify", ours, *other)["first_bad"] is None


def same(left, right):
    """The largest difference between two encoders."""
    assert left.tensors.keys() == right.tensors.keys()
    return max(
        float(np.abs(value - right.tensors[name]).max()) for name, value in left.tensors.items()
    )


def test_thirty_kills_leave_the_run_as_it_would_have_been(fed):
    calm = fed.propose("calm", *OPEN)
    fed.wait_status(calm, "finished")
    run = fed.propose("shaken", *OPEN)
    fed.wait_round(run, 1)
    disturbed = Disturbance(fed, run)
    kills = drawn(SEED, COUNTS, NAMES, longest_s=1.0)
    disturbed.carry_out(kills, together=4, patience_s=120)
    assert disturbed.look() < ROUNDS, "the run was over before the last kill"
    fed.wait_status(run, "finished")
    assert sum(disturbed.done.values()) == len(kills) >= 30
    assert disturbed.done == COUNTS
    assert disturbed.silent == []
    assert fed.parameters(run, ROUNDS).fingerprint() == fed.parameters(calm, ROUNDS).fingerprint()
    assert same(fed.parameters(run, ROUNDS), fed.parameters(run, 0)) > 1e-4  # it did learn
    require_each_round_once(fed, run, ROUNDS)
    require_logs_hold(fed)
    listed = {row["name"]: row["status"] for row in fed.on_server("list")["platforms"]}
    assert listed == dict.fromkeys(NAMES, "approved")


def charged(fed, name):
    """Reservations of a platform's ledger, by round; it was checked from its first row."""
    path = fed.folder / name / "federation" / "ledger.sqlite"
    with Ledger(path, read_only=True) as ledger:
        ledger.verify()
        return [row for row in ledger.entries() if isinstance(row, (Reserved, Committed))]


def test_privacy_that_left_is_in_the_ledger_and_the_same_bytes_leave_again(fed):
    run = fed.propose("private", *PRIVATE)
    disturbed = Disturbance(fed, run)
    spent = Counter()
    kills = iter(drawn(SEED + 1, {"worker": 1, "node": 2, "coordinator": 2}, NAMES, 0.3))
    for number in range(1, PRIVATE_ROUNDS + 1):
        one_left(fed, disturbed, run, number)
        disturbed.carry_out([next(kills)], together=1, patience_s=120)
        for name in NAMES:
            now = sum(isinstance(row, Reserved) for row in charged(fed, name))
            assert now >= spent[name]
            spent[name] = now
    fed.wait_status(run, "finished")
    assert disturbed.silent == []
    require_each_round_once(fed, run, PRIVATE_ROUNDS)
    repeated = sum(require_paid(fed, name, run) for name in NAMES)
    assert repeated > 0, "no kill came between an update and the end of its round"
    require_logs_hold(fed)


def one_left(fed, disturbed, run, number):
    """Wait until an update of a round has left a platform."""

    def left():
        disturbed.look()
        return any(r["round"] == number for name in NAMES for r in receipts(fed, name, run))

    until(left, 120, f"an update of round {number} of {run}")


def require_paid(fed, name, run):
    """Hold a platform's receipts against its ledger; how often the same bytes left again."""
    rows = charged(fed, name)
    reserved = {row.number: row for row in rows if isinstance(row, Reserved)}
    committed = [row for row in rows if isinstance(row, Committed)]
    paid = {
        (reserved[row.reservation].round, row.fingerprint)
        for row in committed
        if reserved[row.reservation].run == run
    }
    bytes_of = defaultdict(set)
    again = 0
    sent = receipts(fed, name, run)
    for receipt in sent:
        assert (receipt["round"], receipt["sha256"]) in paid, f"unpaid: {receipt}"
        assert receipt["ledger"] is not None
        bytes_of[receipt["round"]].add(receipt["sha256"])
        again += receipt["kind"].endswith("again")
    assert {*bytes_of} == {*range(1, PRIVATE_ROUNDS + 1)}
    assert all(len(found) == 1 for found in bytes_of.values()), "other noise left for a round"
    fresh = len(sent) - again
    assert fresh <= sum(row.run == run for row in reserved.values())
    return again
