"""A platform's node and warm worker as processes, with a real SuperLink and control service."""

import sys
import time
from dataclasses import replace

import pytest
from fleet_server import SETTINGS
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.app.message.message import make_message
from flwr.app.metadata import Metadata
from flwr.common.serde import message_to_proto
from platform_node import (
    CONTENT,
    TINY,
    approved_node,
    control_server,
    grid_of,
    online,
    plain_run,
)
from waiting import until

from isthmus.encoder_config import EncoderConfig
from isthmus.errors import NotApprovedError
from isthmus.records import PLAN
from isthmus_client.federated_trainer import initial_parameters
from isthmus_client.worker.channel import WorkerChannel
from isthmus_server.flower.initial import ask_platforms
from isthmus_server.flower.records import to_arrays, to_content, update_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = SETTINGS.model_copy(update={"certificate_hours": 15 / 3600, "heartbeat_s": 1.0})
    with control_server(tmp_path_factory.mktemp("server"), settings, superlink=True) as running:
        yield running


@pytest.fixture(scope="module")
def platform(server, tmp_path_factory):
    with approved_node(tmp_path_factory.mktemp("anvil"), server) as made:
        made.up()
        yield made


@pytest.fixture
def grid(server, platform):
    found, link = grid_of(server)
    found.renew()
    platform.wait_for("worker")
    platform.node_id = online(found, ["anvil"])["anvil"]
    yield found
    link.close()


def ask(grid, platform, number=1, *, contract=None, timeout=40.0, ttl=None, **changes):
    """The reply to a training message."""
    contract = contract or platform.contract
    plan = replace(contract.plan, round=number, **changes)
    content = to_content(to_arrays(initial_parameters(contract.encoder, contract.seed)), plan)
    message = Message(content, platform.node_id, "train", ttl=ttl or timeout, group_id=str(number))
    (reply,) = grid.send_and_receive([message], timeout=timeout)
    return reply


def refused(reply, error):
    """Whether a reply says no more than an error's class and code."""
    return (reply.error.code, reply.error.reason) == (1000 + error.exit_code, error.__name__)


def lines(platform, kind):
    return [line for line in platform.audit() if line["kind"] == kind]


def test_a_round_comes_back_in_milliseconds_and_is_written_down(grid, platform, capsys):
    initial_parameters(TINY, 0)  # imports what it needs
    before, took = len(lines(platform, "update")), []
    for number in (1, 2, 3, 3):
        began = time.perf_counter()
        reply = ask(grid, platform, number)
        took.append(time.perf_counter() - began)
        update = update_of(reply, "spring")
        assert (update.platform, update.round) == ("anvil", number)
        assert update.shared.is_finite()
    with capsys.disabled():
        sys.stdout.write(f"\ntiny rounds: first {took[0]:.3f} s, then {min(took[1:]):.3f} s\n")
    assert len(lines(platform, "update")) == before + 4
    assert all(line["signature"] for line in lines(platform, "update"))
    assert min(took) < 1.0


def test_a_million_parameters_come_back_in_a_fraction_of_a_second(server, grid, platform, capsys):
    large = EncoderConfig(content=CONTENT, dim=256, layers=2, heads=4, max_events=20)
    contract = plain_run([platform], run="large", encoder=large)
    small = replace(contract.plan, batch_size=4, max_steps=1, validate=False)
    contract = contract.model_copy(update={"plan": small})
    platform.approve(server, contract)
    assert contract.size > 1_000_000
    took = {"round": [], "channel": []}
    for number in (1, 2, 3):
        began = time.perf_counter()
        assert update_of(ask(grid, platform, number, contract=contract), "large").users > 0
        took["round"].append(time.perf_counter() - began)
    channel = WorkerChannel(platform.home.federation / "run")
    for number in (1, 2, 3, 4):
        plan = replace(contract.plan, round=0)
        asked = wire(
            to_content(to_arrays(initial_parameters(large, number)), plan),
            "query.initial",
            platform.node_id,
        )
        began = time.perf_counter()
        assert len(channel.ask(asked)) > 4 * contract.size
        took["channel"].append(time.perf_counter() - began)
    channel.close()
    with capsys.disabled():
        for what, seconds in took.items():
            rest = min(seconds[1:])
            sys.stdout.write(
                f"\n1 M parameters, {what}: first {seconds[0]:.3f} s, then {rest:.3f} s"
            )
    assert min(took["channel"]) < 1.0


def wire(content, kind, node):
    """A message as the node hands it to the worker."""
    metadata = Metadata(1, "", 1, node, "", "0", time.time(), 60.0, kind)
    return message_to_proto(make_message(metadata, content=content)).SerializeToString()


def test_the_initial_parameters_are_the_contracts(grid, platform):
    found = ask_platforms(platform.contract, grid)
    assert found.fingerprint() == initial_parameters(TINY, platform.contract.seed).fingerprint()


def test_a_run_that_was_not_approved_is_refused(grid, platform):
    other = plain_run([platform], run="unknown")
    assert refused(ask(grid, platform, contract=other), NotApprovedError)
    assert lines(platform, "refused")[-1]["run"] == "unknown"


def test_a_plan_that_differs_from_the_contract_is_refused(grid, platform):
    before = len(lines(platform, "update"))
    for changes in ({"max_steps": 3}, {"learning_rate": 0.5}, {"seed": 6}):
        assert refused(ask(grid, platform, **changes), NotApprovedError)
    assert refused(ask(grid, platform, 6), NotApprovedError)  # beyond the agreed rounds
    assert len(lines(platform, "update")) == before


def test_a_refusal_counts_from_the_next_message_on(server, grid, platform):
    contract = plain_run([platform], run="brief")
    platform.approve(server, contract)
    assert update_of(ask(grid, platform, contract=contract), "brief").users > 0
    platform.approve(server, contract, answer=False)
    assert refused(ask(grid, platform, contract=contract), NotApprovedError)


def test_a_message_without_content_of_ours_is_refused(grid, platform):
    for content in (RecordDict(), RecordDict({PLAN: ConfigRecord({"run_id": "spring"})})):
        message = Message(content, platform.node_id, "train", ttl=20.0)
        (reply,) = grid.send_and_receive([message], timeout=20.0)
        assert reply.error.code >= 1000
        assert reply.error.reason in {"MessageRefusedError", "NotApprovedError"}


def post_slow(server, grid, platform, run):
    """Post a message that takes the worker a few seconds; its name."""
    contract = plain_run([platform], run=run)
    contract = contract.model_copy(
        update={"plan": replace(contract.plan, max_steps=0, local_epochs=100.0)}
    )
    platform.approve(server, contract)
    plan = replace(contract.plan, round=1)
    content = to_content(to_arrays(initial_parameters(TINY, contract.seed)), plan)
    message = Message(content, platform.node_id, "train", ttl=60.0, group_id="1")
    (name,) = grid.push_messages([message])
    return name


def kill_at_work(platform):
    """Kill the worker in the middle of a message, and start another one, as a supervisor does."""
    until(lambda: platform.is_at("worker", "working"), 60, "the worker at work")
    platform.kill("worker")
    platform.start("worker")


def answer_to(grid, name):
    return until(lambda: list(grid.pull_messages([name])), 60, "a reply")[0]


def test_a_worker_killed_within_a_message_costs_nothing_but_time(server, grid, platform):
    name = post_slow(server, grid, platform, "slow-once")
    kill_at_work(platform)
    assert update_of(answer_to(grid, name), "slow-once").round == 1
    assert update_of(ask(grid, platform, 2), "spring").round == 2


def test_a_message_that_kills_each_worker_is_answered_with_a_class_name(server, grid, platform):
    name = post_slow(server, grid, platform, "slow-twice")
    kill_at_work(platform)
    kill_at_work(platform)
    reply = answer_to(grid, name)
    assert (reply.error.code, reply.error.reason) == (1026, "WorkerGoneError")
    assert lines(platform, "message refused")[-1]["error"] == "WorkerGoneError"
    assert update_of(ask(grid, platform, 3), "spring").round == 3


def test_a_node_killed_within_a_message_answers_it_when_it_is_back(server, grid, platform):
    name = post_slow(server, grid, platform, "slow-node")
    until(lambda: platform.is_at("worker", "working"), 30, "the worker at work")
    platform.kill("node")
    platform.start("node")
    began = time.perf_counter()
    assert update_of(answer_to(grid, name), "slow-node").round == 1
    assert time.perf_counter() - began < 30  # no lease of 60 s was waited for
    assert len([each for each in lines(platform, "update") if each["run"] == "slow-node"]) == 1


def test_a_message_whose_deadline_has_passed_is_not_executed(server, grid, platform):
    busy = post_slow(server, grid, platform, "slow-late")
    until(lambda: platform.is_at("worker", "working"), 30, "the worker at work")
    before = len(lines(platform, "update"))
    plan = replace(platform.contract.plan, round=4)
    content = to_content(to_arrays(initial_parameters(TINY, platform.contract.seed)), plan)
    late = Message(content, platform.node_id, "train", ttl=0.3, group_id="4")
    grid.push_messages([late])
    answer_to(grid, busy)
    assert update_of(ask(grid, platform, 5), "spring").round == 5
    rounds = [(each["run"], each["round"]) for each in lines(platform, "update")[before:]]
    assert rounds == [("slow-late", 1), ("spring", 5)]


def test_certificates_are_renewed_while_rounds_go_on(grid, platform):
    certificate = platform.home.federation / "certificate.pem"
    before, number = certificate.read_bytes(), 0
    began = time.monotonic()
    while certificate.read_bytes() == before:
        number = number % 5 + 1
        assert update_of(ask(grid, platform, number), "spring").round == number
        assert time.monotonic() - began < 40
    for number in (1, 2, 3):
        assert update_of(ask(grid, platform, number), "spring").round == number
    assert len({line["serial"] for line in lines(platform, "certificate")}) > 1


def test_the_superlink_killed_between_rounds_is_found_again(server, grid, platform):
    update_of(ask(grid, platform, 1), "spring")
    child = next(each for each in server.children if "superlink" in str(each.args))
    child.kill()
    child.wait(20)
    server.superlink()
    assert update_of(ask(grid, platform, 2), "spring").round == 2


def test_processes_end_at_sigterm_and_with_their_parent(grid, platform):
    for process in ("node", "worker"):
        child = platform.children[process]
        child.terminate()
        assert child.wait(20) == 0
        assert platform.status(process)["state"] == "stopped"
        platform.start(process)
        platform.wait_for(process)
        platform.children[process].stdin.close()
        assert platform.children[process].wait(20) == 0
        platform.start(process)
        platform.wait_for(process)
    assert update_of(ask(grid, platform, 1), "spring").round == 1


def test_no_secret_or_text_of_an_error_is_told(platform):
    said = platform.log("node") + platform.log("worker")
    key = (platform.home.federation / "run" / "worker.key").read_bytes()
    assert key.hex() not in said
    assert "PRIVATE KEY" not in said
