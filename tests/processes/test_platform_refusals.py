"""What no server gets a platform to do: run its code, by our own node or by Flower's."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from flwr.app import Message
from platform_node import WITHOUT, approved_node, control_server, grid_of, online
from waiting import until

from isthmus_client.federated_trainer import initial_parameters
from isthmus_server.flower.records import to_arrays, to_content, update_of

pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).parents[1] / "support" / "hostile_superlink.py"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with control_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def platform(server, tmp_path_factory):
    with approved_node(tmp_path_factory.mktemp("anvil"), server) as made:
        made.start("worker")
        made.wait_for("worker")
        yield made


def hostile_superlink(server, marker):
    """Start the hostile one in the place of the server's own."""
    log = (server.home.logs / "flower.superlink.log").open("ab")
    with log:
        child = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(server.home.folder), str(marker)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=WITHOUT | {"PATH": ""},
        )
    server.children.append(child)
    until(lambda: server._up(child), 60, "the hostile SuperLink")
    return child


def answer(server, platform, seconds=60.0):
    """The platform's reply to a training message of a new run."""
    grid, link = grid_of(server)
    try:
        grid.renew()
        node = online(grid, ["anvil"])["anvil"]
        contract = platform.contract
        plan = replace(contract.plan, round=1)
        content = to_content(to_arrays(initial_parameters(contract.encoder, contract.seed)), plan)
        message = Message(content, node, "train", ttl=seconds, group_id="1")
        (reply,) = grid.send_and_receive([message], timeout=seconds)
        return reply
    finally:
        link.close()


def stop(platform, process):
    platform.children[process].terminate()
    platform.children[process].wait(20)


@pytest.mark.parametrize("process", ["node", "stock"])
def test_code_that_the_server_sends_is_neither_fetched_nor_run(server, platform, tmp_path, process):
    child = hostile_superlink(server, tmp_path / "marker")
    platform.start(process)
    try:
        reply = answer(server, platform)
        assert (reply.error.code, reply.error.reason) == (1037, "BundleError")
        noted = [each for each in platform.audit() if each["kind"] == "message refused"]
        assert noted[-1]["error"] == "BundleError"
        assert not any(each["kind"] == "update" for each in platform.audit())
        assert not (tmp_path / "marker").exists()
        assert not list((platform.home.federation / "flower").rglob("isthmus_client"))
        assert "get-fab" not in server.log("flower.superlink")
    finally:
        stop(platform, process)
        child.kill()
        child.wait(20)


def test_flowers_own_node_completes_a_round_through_the_warm_worker(server, platform):
    server.superlink()
    platform.start("stock")
    try:
        update = update_of(answer(server, platform), "spring")
        assert (update.platform, update.round) == ("anvil", 1)
        assert update.shared.is_finite()
        assert [each["round"] for each in platform.audit() if each["kind"] == "update"] == [1]
    finally:
        stop(platform, "stock")
