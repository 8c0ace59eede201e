import logging

import numpy as np
import pytest
from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Context,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.supercore.task_identity import TaskIdentity
from toy_platforms import INITIAL, SCORE, Diverges, Leaks, Raises, Toy, server_config

from isthmus.errors import DataInvalidError
from isthmus.records import ARRAYS, METRICS, PLAN, REPLY, pack, unpack
from isthmus_client.app import ERROR_BASE, build_client_app
from isthmus_client.outbox import Outbox

CONTEXT = Context(1, 2, {}, RecordDict(), {})
SECRET = "user-4711"  # noqa: S105 - the id that the toy's error quotes


@pytest.fixture(autouse=True)
def task():
    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1


def ask(trainer, tmp_path, kind="train", **changes):
    arrays = ArrayRecord({name: Array(*wire) for name, wire in pack(INITIAL).items()})
    plan = ConfigRecord(dict(server_config().plan_for(1).to_record()))
    content = RecordDict({ARRAYS: arrays, PLAN: plan, **changes})
    app = build_client_app(lambda _: trainer, lambda name: Outbox(name, tmp_path / f"{name}.jsonl"))
    return app(Message(content, 2, kind), CONTEXT)


def test_training_answers_with_a_delta(tmp_path):
    reply = ask(Toy("grocer", users=12), tmp_path)
    delta = unpack(reply.content[ARRAYS])
    trained = Toy("grocer", users=12).train(INITIAL, server_config().plan_for(1)).update
    assert delta.fingerprint() == trained.fingerprint()
    header = reply.content[REPLY]
    assert (header["platform"], header["users"], header["round"]) == ("grocer", 12, 1)
    assert header["base"] == INITIAL.fingerprint()
    assert set(reply.content[METRICS]) == {"loss", SCORE}
    assert (tmp_path / "grocer.jsonl").read_text().count("\n") == 1


def test_evaluation_answers_with_metrics_alone(tmp_path):
    reply = ask(Toy("grocer"), tmp_path, "evaluate")
    assert set(reply.content) == {REPLY, METRICS}
    assert reply.content[METRICS][SCORE] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("trainer", "kind", "code"),
    [
        (Raises("grocer"), "ValueError", 1),
        (Raises("grocer", error=DataInvalidError), "DataInvalidError", 12),
        (Raises("grocer", error=KeyError), "KeyError", 1),
        (Diverges("grocer"), "OutboxError", 30),
        (Leaks("grocer"), "OutboxError", 30),
    ],
)
def test_an_error_tells_the_server_its_class_and_code_alone(tmp_path, caplog, trainer, kind, code):
    with caplog.at_level(logging.ERROR):
        reply = ask(trainer, tmp_path)
    assert reply.has_error()
    assert (reply.error.code, reply.error.reason) == (ERROR_BASE + code, kind)
    assert SECRET not in repr(reply)
    assert not (tmp_path / "grocer.jsonl").exists()


def test_the_local_log_has_the_whole_error(tmp_path, caplog):
    with caplog.at_level(logging.ERROR):
        ask(Raises("grocer"), tmp_path)
    assert SECRET in caplog.text
    assert "Traceback" in caplog.text


def test_a_foreseen_error_is_logged_without_a_traceback(tmp_path, caplog):
    with caplog.at_level(logging.ERROR):
        ask(Raises("grocer", error=DataInvalidError), tmp_path)
    assert SECRET in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "changes",
    [
        {"code": ConfigRecord({"run": "rm -rf"})},
        {PLAN: MetricRecord({"round": 1})},
        {PLAN: ConfigRecord({"round": 1})},
        {PLAN: ConfigRecord({**server_config().plan_for(1).to_record(), "protocol": 99})},
        {ARRAYS: ArrayRecord([np.zeros(3)])},
    ],
)
def test_a_message_with_other_records_is_refused(tmp_path, changes):
    reply = ask(Toy("grocer"), tmp_path, **changes)
    assert reply.error.reason == "MessageRefusedError"
