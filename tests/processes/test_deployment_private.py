"""Private runs as real processes: what they come to, what they cost, and a platform that is killed.

The platforms' workers draw their noise from a test's source, so that a rehearsal can draw it again.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from deployment import NAMES, isthmus
from drawn_noise_worker import DIE, source_of
from own_parts import ENCODER, SUPPORT, CheapFederation, OwnParts
from private_rehearsal import rehearsed
from waiting import until

from isthmus.encoder_config import EncoderConfig
from isthmus.federation_contract import FederationContract
from isthmus.privacy.schedule import SPARE
from isthmus_client.home import Home
from isthmus_client.ledger import Ledger
from isthmus_client.text_encoder import HuggingFaceEncoder
from isthmus_client.vault import load_keys
from isthmus_client.worker.own_data import OwnData
from isthmus_server.state import open_state

pytestmark = pytest.mark.slow

PRIVATE = ("--epsilon", "8", "--accept-noise", "--encoder", ENCODER, "--private-batch", "200")
USERS = ",".join(f"{name}=190" for name in NAMES)  # agreed on, other than they told
ROUNDS = 3


@pytest.fixture(scope="module")
def fed(tmp_path_factory):
    made = CheapFederation(tmp_path_factory.mktemp("fed"))
    try:
        made.make()
        for name in NAMES:
            made.join(name)
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def parts(fed):
    made = {name: OwnParts(fed, name) for name in NAMES}
    try:
        for each in made.values():
            each.worker(str(SUPPORT / "drawn_noise_worker.py"))
            each.node()
        for each in made.values():
            each.wait_ready()
        yield made
    finally:
        for each in made.values():
            each.stop()


@pytest.fixture(scope="module")
def local(fed, parts):  # noqa: ARG001 - the platforms are up
    """A run in which each platform adds all of its noise, to its end.

    How many users the platforms have is what they publish; nobody is asked.
    """
    until(lambda: len(told_users(fed)) == len(NAMES), 90, "all tell their published users")
    run = fed.propose("--privacy", "local", "--rounds", str(ROUNDS), *PRIVATE)
    fed.wait_status(run, "finished")
    return run


def told_users(fed) -> dict[str, int]:
    platforms = fed.on_server("list")["platforms"]
    return {each["name"]: each["facts"]["users"] for each in platforms if "users" in each["facts"]}


def contract_of(fed, run: str) -> FederationContract:
    state = open_state(fed.home.database_path)
    try:
        return FederationContract.from_bytes(state.runs.get(run).contract)
    finally:
        state.close()


def federation_folder(fed, name: str) -> Path:
    return fed.folder / name / "federation"


def rows_of(fed, name: str, run: str, kind: str) -> list:
    """The ledger's rows of one kind; those of commits are of all runs."""
    ledger = Ledger(federation_folder(fed, name) / "ledger.sqlite", read_only=True)
    try:
        rows = ledger.entries()
    finally:
        ledger.close()
    return [row for row in rows if row.kind == kind and getattr(row, "run", run) == run]


def receipts_of(fed, name: str, run: str) -> list[dict]:
    lines = (federation_folder(fed, name) / "audit.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [each for each in found if each.get("run") == run and "masked_sha256" in each]


def largest_difference(one, other) -> float:
    pairs = zip(one.tensors.values(), other.tensors.values(), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def test_a_private_run_rests_on_the_published_users_and_never_on_the_live_count(fed, local):
    members = contract_of(fed, local).members
    live = {name: live_users(fed, name) for name in NAMES}
    assert {name: each.users for name, each in members.items()} == told_users(fed)
    for name, count in live.items():  # two digits of three
        assert members[name].users == count // 10 * 10


def live_users(fed, name: str) -> int:
    home = Home(fed.contract(name))
    data = OwnData(home, name, load_keys(home.keys), HuggingFaceEncoder())
    return int(data.workspace(EncoderConfig()).sequences.training_users.size)


def test_a_private_run_differs_from_its_rehearsal_by_its_noise_alone(fed, local, tmp_path):
    contract = contract_of(fed, local)
    homes = {name: Home(fed.contract(name)) for name in NAMES}
    found = fed.parameters(local, ROUNDS)
    same = rehearsed(contract, homes, tmp_path / "same", source_of)
    assert largest_difference(found, same) < 1e-5
    other = rehearsed(contract, homes, tmp_path / "other", lambda name: source_of(name, "other"))
    assert largest_difference(found, other) > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_the_ledger_is_charged_as_planned_and_receipts_name_its_rows(fed, local, name):
    contract = contract_of(fed, local)
    (schedule,) = rows_of(fed, name, local, "schedule")
    assert schedule.rounds == contract.paid_rounds == ROUNDS + SPARE
    reserved = rows_of(fed, name, local, "reserve")
    assert [row.round for row in reserved] == [1, 2, 3]
    for row in reserved:
        assert row.scheduled
        assert row.mechanism.noise_multiplier == contract.plan.noise_multiplier
        assert row.mechanism.sampling_rate == contract.plan.sampling_rate
    receipts = receipts_of(fed, name, local)
    assert [(each["kind"], each["round"]) for each in receipts] == [
        ("masked update", number) for number in (1, 2, 3)
    ]
    ledger = Ledger(federation_folder(fed, name) / "ledger.sqlite", read_only=True)
    try:
        ledger.require_contains(*(each["ledger"] for each in receipts))
        prints = {row.fingerprint for row in ledger.entries() if row.kind == "commit"}
    finally:
        ledger.close()
    assert {each["sha256"] for each in receipts} <= prints
    assert all(0 < each["epsilon"] <= contract.epsilon for each in receipts)
    users = contract.members[name].users
    assert all(each["users"] == users and not each["metrics"] for each in receipts)


def raise_budgets(fed):
    for name in NAMES:
        path = str(federation_folder(fed, name) / "ledger.sqlite")
        why = ("--epsilon", "100", "--delta", "1e-5", "--reason", "a second run")
        isthmus("client", "privacy", "budget", "--ledger", path, *why)


@pytest.fixture(scope="module")
def pooled(fed, local, parts):
    """A run in which each adds a share, from the local run's release; cedar is killed in round 1.

    It dies after its update was charged and masked, and before it left.
    """
    raise_budgets(fed)
    (fed.folder / "cedar" / DIE).touch()
    release = fed.on_server("release", "make", "--run", local)["id"]
    start = ("--privacy", "pooled", "--rounds", "2", "--release", release, "--users", USERS)
    run = fed.propose(*start, *PRIVATE)
    until(lambda: parts["cedar"].children["worker"].poll() is not None, 90, "cedar dies")
    parts["cedar"].end("worker")
    parts["cedar"].worker(str(SUPPORT / "drawn_noise_worker.py"))
    fed.wait_status(run, "finished")
    return run


def test_a_platform_killed_in_a_pooled_round_sends_the_same_noise_again_charged_once(
    fed, local, pooled
):
    assert fed.committed(pooled) == 2
    assert largest_difference(fed.parameters(pooled, 0), fed.parameters(local, ROUNDS)) == 0
    for name in NAMES:
        assert [row.round for row in rows_of(fed, name, pooled, "reserve")] == [1, 2]
        first, again, last = receipts_of(fed, name, pooled)
        assert (first["kind"], again["kind"]) == ("masked update", "masked update again")
        assert [each["round"] for each in (first, again, last)] == [1, 1, 2]
        assert first["sha256"] == again["sha256"]
        assert first["masked_sha256"] != again["masked_sha256"]
        assert again["epsilon"] >= first["epsilon"] > 0


def test_a_private_run_that_is_rolled_back_comes_to_the_same_and_is_not_charged_again(fed, pooled):
    before = fed.parameters(pooled, 2)
    had = len(receipts_of(fed, "alder", pooled))
    fed.on_server("run", "rollback", pooled, "--round", "0")
    until(lambda: len(receipts_of(fed, "alder", pooled)) == had + 2, 90, "both rounds once more")
    fed.wait_status(pooled, "finished")
    assert fed.parameters(pooled, 2).fingerprint() == before.fingerprint()
    for name in NAMES:
        assert [row.round for row in rows_of(fed, name, pooled, "reserve")] == [1, 2]
        repeated = receipts_of(fed, name, pooled)[-2:]
        assert [each["kind"] for each in repeated] == ["masked update again"] * 2
