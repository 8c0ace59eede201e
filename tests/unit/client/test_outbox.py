import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from toy_platforms import INITIAL, PLAN

from isthmus.audit_log import verify_log
from isthmus.errors import AggregationError, OutboxError
from isthmus.files import digest
from isthmus.parameters import Private, Shared
from isthmus.postprocessors import NoPrivacy
from isthmus_client.outbox import Outbox

DELTA = Shared({n: np.full(t.shape, 0.5, np.float32) for n, t in INITIAL.tensors.items()})
ROUND = replace(PLAN, run_id="run-1", round=4)


@pytest.fixture
def outbox(tmp_path):
    return Outbox("grocer", tmp_path / "grocer.jsonl", clock=lambda: 1700.5)


def send(outbox, delta=DELTA, users=12, metrics=None, received=INITIAL):
    return outbox.send_update(
        delta, received=received, users=users, metrics=metrics or {"loss": 0.5}, plan=ROUND
    )


def test_a_good_update_leaves_with_a_receipt(outbox):
    update = send(outbox)
    assert (update.platform, update.round, update.users) == ("grocer", 4, 12)
    assert update.base == INITIAL.fingerprint()
    assert update.delta.fingerprint() == DELTA.fingerprint()
    (receipt,) = [json.loads(line) for line in outbox.receipts.read_text().splitlines()]
    told = {name: receipt[name] for name in ("kind", "platform", "run", "round", "time", "users")}
    assert told == {
        "kind": "update",
        "platform": "grocer",
        "run": "run-1",
        "round": 4,
        "time": 1700.5,
        "users": 12,
    }
    assert receipt["sha256"] == DELTA.fingerprint()
    assert (receipt["tensors"], receipt["bytes"]) == (2, 19 * 4)
    assert receipt["metrics"] == {"loss": 0.5}
    assert receipt["epsilon"] is None
    assert "NOT PRIVATE" in receipt["postprocessors"][0]["statement"]


@dataclass(frozen=True)
class Child(Shared):
    """Not exactly Shared."""


@pytest.mark.parametrize(
    ("delta", "words"),
    [
        (Private(dict(DELTA.tensors)), "Private tried to leave"),
        (Child(dict(DELTA.tensors)), "Child tried to leave"),
        (dict(DELTA.tensors), "dict tried to leave"),
        (None, "NoneType tried to leave"),
        (Shared({**DELTA.tensors, "item_bias": np.ones(3, np.float32)}), "item_bias"),
        (Shared({"encoder/w": DELTA.tensors["encoder/w"]}), "encoder/b"),
        (Shared({n: t.reshape(-1, 1) for n, t in DELTA.tensors.items()}), "shape"),
        (Shared({n: t * np.float32("nan") for n, t in DELTA.tensors.items()}), "NaN"),
        (Shared({n: t * np.float32("inf") for n, t in DELTA.tensors.items()}), "infinite"),
    ],
)
def test_what_may_not_leave_is_refused_without_a_receipt(outbox, delta, words):
    with pytest.raises(OutboxError, match=words):
        send(outbox, delta)
    assert not outbox.receipts.exists()


@pytest.mark.parametrize("users", [-1, 1.5, True, "9"])
def test_users_must_be_a_count(outbox, users):
    with pytest.raises(OutboxError, match="users is"):
        send(outbox, users=users)
    assert not outbox.receipts.exists()


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"user-4711": 1.0}, "not declared"),
        ({"loss": float("nan")}, "loss"),
        ({"loss": "high"}, "loss"),
    ],
)
def test_metrics_are_declared_finite_numbers(outbox, metrics, words):
    with pytest.raises(OutboxError, match=words):
        send(outbox, metrics=metrics)
    with pytest.raises(OutboxError, match=words):
        outbox.send_metrics(metrics, received=INITIAL, plan=ROUND)
    assert not outbox.receipts.exists()


def test_a_norm_bound_holds(outbox):
    norm = DELTA.norm()
    send(replace(outbox, max_norm=norm))
    with pytest.raises(OutboxError, match="norm"):
        send(replace(outbox, max_norm=norm * 0.999))


@dataclass(frozen=True)
class Times:
    """Multiplies."""

    factor: float
    result: type = Shared
    name: str = "times"
    statement: str = "scaled"

    def __call__(self, update, plan):  # noqa: ARG002 - the seam's face
        factor = np.float32(self.factor)
        return self.result({n: t * factor for n, t in update.tensors.items()})


def test_postprocessors_run_in_order_and_before_the_checks(outbox):
    two = replace(outbox, postprocessors=(NoPrivacy(), Times(0.5)), max_norm=DELTA.norm() * 0.6)
    assert send(two).delta.tensors["encoder/b"][0] == np.float32(0.25)
    receipt = json.loads(outbox.receipts.read_text())
    assert [step["name"] for step in receipt["postprocessors"]] == ["no-privacy", "times"]


def test_a_postprocessor_that_spoils_the_update_is_caught(outbox):
    with pytest.raises(OutboxError, match="NaN"):
        send(replace(outbox, postprocessors=(Times(float("nan")),)))
    with pytest.raises(OutboxError, match="Private"):
        send(replace(outbox, postprocessors=(Times(1.0, Private),)))


def test_metrics_alone_leave_with_a_receipt(outbox):
    sent = outbox.send_metrics({"validation/mrr": 0.25}, received=INITIAL, plan=ROUND)
    assert (sent.users, sent.delta.size, dict(sent.metrics)) == (0, 0, {"validation/mrr": 0.25})
    assert json.loads(outbox.receipts.read_text())["kind"] == "metrics"


def test_nothing_leaves_if_the_receipt_cannot_be_written(outbox, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        send(replace(outbox, receipts=tmp_path / "file" / "grocer.jsonl"))


def test_receipts_of_many_rounds_make_one_chain(outbox):
    for _ in range(3):
        send(outbox)
        outbox.send_metrics({"loss": 1.0}, received=INITIAL, plan=ROUND)
    check = verify_log(outbox.receipts)
    assert (check.lines, check.first_bad) == (6, None)


def test_the_hash_of_a_receipt_cannot_be_tried_with_guesses_at_its_metrics(outbox, tmp_path):
    """The server holds the log's last hash; it may know all but the metrics."""
    twin = replace(outbox, receipts=tmp_path / "twin.jsonl")
    for each in (outbox, twin):
        each.send_masked_metrics(
            {"loss": 0.25}, received=INITIAL, plan=ROUND, seal=lambda _: b"masked"
        )
    one, two = (json.loads(each.receipts.read_text()) for each in (outbox, twin))
    differing = {name for name in one if one[name] != two[name]}
    assert differing == {"salt", "hash"}
    assert len(bytes.fromhex(one["salt"])) == 16


def masked(outbox, seal, delta=DELTA, **changes):
    values = {"received": INITIAL, "users": 12, "metrics": {"loss": 0.5}, "plan": ROUND, **changes}
    return outbox.send_masked(delta, seal=seal, **values)


def test_what_leaves_under_masks_is_what_the_seal_made(outbox):
    seen = []

    def seal(update):
        seen.append(update)
        return b"masked"

    assert masked(outbox, seal) == b"masked"
    (receipt,) = [json.loads(line) for line in outbox.receipts.read_text().splitlines()]
    assert (receipt["kind"], receipt["masked_bytes"]) == ("masked update", 6)
    assert receipt["masked_sha256"] == digest(b"masked")
    assert receipt["sha256"] == seen[0].delta.fingerprint() == DELTA.fingerprint()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"delta": Private(dict(DELTA.tensors))}, "Private tried to leave"),
        ({"metrics": {"user-4711": 1.0}}, "not declared"),
        ({"users": -1}, "users is -1"),
        (
            {"delta": Shared({n: t * np.float32(np.nan) for n, t in DELTA.tensors.items()})},
            "NaN",
        ),
    ],
)
def test_the_door_is_the_same_under_masks(outbox, changes, words):
    def seal(_update):
        raise AssertionError("this may not leave, masked or not")

    with pytest.raises(OutboxError, match=words):
        masked(outbox, seal, **changes)
    assert not outbox.receipts.exists()


def test_what_cannot_be_masked_has_no_receipt(outbox):
    def seal(_update):
        raise AggregationError("too few shared", alarm="too_few")

    with pytest.raises(AggregationError):
        masked(outbox, seal)
    assert not outbox.receipts.exists()
