"""kill -9 at random points, of every process that there is: nothing is lost, nothing counts twice.

One federation lives through all of it. Each run is first played undisturbed, then the same run
(same seed, another id) under kills; `KILLS_SEED` in the environment draws other moments.
"""

import os
from collections import Counter

import numpy as np
import pytest
from deployment import NAMES, federation
from kills import Disturbance, drawn
from nothing_lost import (
    charges,
    left_over,
    receipts,
    require_each_round_once,
    require_logs_hold,
    require_paid,
)
from waiting import until

from isthmus_client.ledger.rows import Reserved

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


def same(left, right):
    """The largest difference between two encoders."""
    assert left.tensors.keys() == right.tensors.keys()
    return max(
        float(np.abs(value - right.tensors[name]).max()) for name, value in left.tensors.items()
    )


def test_thirty_kills_leave_the_run_as_it_would_have_been(fed):
    calm = fed.propose("calm", *OPEN)
    Disturbance(fed, calm).ends()
    run = fed.propose("shaken", *OPEN)
    fed.wait_round(run, 1)
    disturbed = Disturbance(fed, run)
    kills = drawn(SEED, COUNTS, NAMES, longest_s=1.0)
    disturbed.carry_out(kills, together=4, patience_s=120)
    assert fed.committed(run) < ROUNDS, "the run was over before the last kill"
    disturbed.ends()
    assert sum(disturbed.done.values()) == len(kills) >= 30
    assert disturbed.done == COUNTS
    assert disturbed.silent == []
    assert fed.parameters(run, ROUNDS).fingerprint() == fed.parameters(calm, ROUNDS).fingerprint()
    assert same(fed.parameters(run, ROUNDS), fed.parameters(run, 0)) > 1e-4  # it did learn
    require_each_round_once(fed, run, ROUNDS)
    require_logs_hold(fed)
    listed = {row["name"]: row["status"] for row in fed.on_server("list")["platforms"]}
    assert listed == dict.fromkeys(NAMES, "approved")


def test_privacy_that_left_is_in_the_ledger_and_the_same_bytes_leave_again(fed):
    run = fed.propose("private", *PRIVATE)
    disturbed = Disturbance(fed, run)
    spent = Counter()
    kills = iter(drawn(SEED + 1, {"worker": 1, "node": 1, "coordinator": 3}, NAMES, 0.0))
    for number in range(1, PRIVATE_ROUNDS + 1):
        one_left(fed, run, number)
        disturbed.carry_out([next(kills)], together=1, patience_s=120)
        for name in NAMES:
            now = sum(isinstance(row, Reserved) for row in charges(fed, name))
            assert now >= spent[name]
            spent[name] = now
    disturbed.ends()
    assert disturbed.silent == []
    require_each_round_once(fed, run, PRIVATE_ROUNDS)
    repeated = sum(require_paid(fed, name, run, range(1, PRIVATE_ROUNDS + 1)) for name in NAMES)
    assert repeated > 0, "no kill came between an update and the end of its round"
    require_logs_hold(fed)


def one_left(fed, run, number):
    """Wait until an update of a round, or a later one, has left a platform."""

    def left():
        return any(r["round"] >= number for name in NAMES for r in receipts(fed, name, run))

    until(left, 120, f"an update of round {number} of {run}")
