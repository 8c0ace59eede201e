"""A federation as real processes: from an empty folder to a released encoder."""

import json
from pathlib import Path

import numpy as np
import pytest
from deployment import NAMES, federation, isthmus

from isthmus.federation_contract import FederationContract
from isthmus.parameters import Shared
from isthmus_client.home import Home
from isthmus_server.state import open_state
from isthmus_simulations.rehearsal import rehearse

pytestmark = pytest.mark.slow

OPEN = ("--privacy", "none", "--no-secure-aggregation", "--patience", "0", "--minimum", "3")
SECURE = ("--privacy", "none", "--secure-aggregation", "--patience", "0", "--minimum", "3")


@pytest.fixture(scope="module")
def fed(tmp_path_factory):
    with federation(tmp_path_factory.mktemp("fed")) as made:
        yield made


def contract_of(fed, run: str) -> FederationContract:
    state = open_state(fed.home.database_path)
    try:
        return FederationContract.from_bytes(state.runs.get(run).contract)
    finally:
        state.close()


def rehearsed(fed, run: str, out: Path) -> Shared:
    homes = {name: Home(fed.contract(name)) for name in NAMES}
    return rehearse(contract_of(fed, run), homes, out).final


def largest_difference(one: Shared, other: Shared) -> float:
    assert one.shapes() == other.shapes()
    pairs = zip(one.tensors.values(), other.tensors.values(), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


@pytest.mark.parametrize("kind", [OPEN, SECURE], ids=["open", "secure"])
def test_a_deployed_run_comes_to_what_the_simulation_comes_to(fed, kind, tmp_path):
    run = fed.propose("--rounds", "3", *kind)
    status = fed.wait_status(run, "finished")
    assert status["round"] == 3
    found = fed.parameters(run, 3)
    moved = largest_difference(found, fed.parameters(run, 0))
    assert moved > 1e-3  # otherwise the comparison says nothing
    assert largest_difference(found, rehearsed(fed, run, tmp_path)) < 1e-5


def test_after_every_round_each_side_knows_how_far_the_others_log_had_come(fed):
    run = fed.propose("--rounds", "4", *SECURE)
    fed.wait_status(run, "finished")
    told = [json.loads(line) for line in fed.home.audit.read_text().splitlines()]
    for name in NAMES:
        log = fed.folder / name / "federation" / "audit.jsonl"
        own = [json.loads(line) for line in log.read_text().splitlines()]
        sent = [x["line"] for x in own if x["kind"] == "masked update" and x["run"] == run]
        assert len(sent) == 4
        anchors = [x["lines"] for x in told if x["kind"] == "anchor" and x["of"] == name]
        for line, after in zip(sent, [*sent[1:], float("inf")], strict=True):
            assert any(line <= lines < after for lines in anchors), (name, line)
        against = ("--against", str(fed.home.audit), "--name", name)
        assert isthmus("audit", "verify", str(log), *against)["first_bad"] is None


def test_another_seed_comes_to_something_else(fed, tmp_path):
    run = fed.propose("--rounds", "1", "--seed", "8", *OPEN)
    fed.wait_status(run, "finished")
    rehearsal = contract_of(fed, run).model_copy(update={"seed": 9})
    homes = {name: Home(fed.contract(name)) for name in NAMES}
    other = rehearse(rehearsal, homes, tmp_path).final
    assert largest_difference(fed.parameters(run, 1), other) > 1e-3
