"""Rounds whose updates the server does not see: equal to plain ones, whoever drops out or lies."""

import json
import logging
from concurrent.futures import wait
from dataclasses import replace

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity
from secure_rounds import CONTRACT, KINDS, Hall, altering, dropping
from toy_platforms import INITIAL, PLAN, SCORE, Diverges, Raises, Toy, server_config, toys

from isthmus.errors import FederationError, ScenarioError
from isthmus.parameters import Shared
from isthmus.records import ARRAYS, pack
from isthmus.secagg.messages import Signed, signed
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.config import SecureCohort
from isthmus_server.flower.exchange import Clock
from isthmus_server.flower.faults import InterruptedWaitError
from isthmus_server.flower.records import to_arrays, to_content
from isthmus_server.flower.secure import Attempts, SecureRoundError
from isthmus_server.flower.strategy import FederationStrategy
from isthmus_server.history import EVERYBODY
from isthmus_server.optimisers import FedAdam
from isthmus_server.robust import Median
from isthmus_simulations.engines.memory import MemoryGrid

FIVE = ("a", "b", "c", "d", "e")


@pytest.fixture
def hall(tmp_path):
    def make(names="abc", **settings):
        return Hall(tmp_path, toys(*names), **settings)

    return make


def difference(one, other):
    pairs = zip(one.tensors.values(), other.tensors.values(), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


@pytest.mark.parametrize("names", ["abc", FIVE])
def test_the_parameters_are_those_of_a_plain_run(hall, names):
    settings = {"rounds": 3, "optimiser": FedAdam()}
    one = hall(names)
    secure = one.run(**settings)
    plain = one.run(secure=False, store="plain", **settings)
    assert difference(secure.state.parameters, INITIAL) > 1e-3
    assert difference(secure.state.parameters, plain.state.parameters) < 1e-6


def test_users_and_metrics_are_known_as_sums_alone(hall):
    one = hall()
    state = one.run(rounds=2).state
    record = state.history[0]
    assert {
        (p.users, p.update_norm, p.share, len(p.metrics)) for p in record.platforms.values()
    } == {(0, 0.0, None, 0)}
    assert record.sum.users == sum(trainer.users for trainer in one.trainers)
    scores = [t.evaluate(INITIAL, PLAN)[SCORE] for t in one.trainers]
    assert record.sum.metrics[SCORE] == pytest.approx(np.mean(scores), abs=1e-6)
    assert set(record.sum.metrics) == {"loss", SCORE}
    assert set(record.sum.seconds) == set(KINDS)
    assert state.evaluation.keys() == {EVERYBODY}
    assert all(set(reply.content) == {ARRAYS, "secure"} for _, _, reply in one.replies)
    assert all(b"ndcg" not in repr(reply).encode() for _, _, reply in one.replies)


def test_what_leaves_has_a_receipt_of_the_update_and_of_the_masked_bytes(hall):
    one = hall()
    one.run(rounds=1)
    first, last = map(json.loads, one.receipts("b"))
    update = one.trainers[1].train(INITIAL, server_config().plan_for(1)).update
    assert (first["kind"], last["kind"]) == ("masked update", "masked metrics")
    assert first["sha256"] == update.fingerprint()
    assert first["masked_bytes"] > 8 * INITIAL.size
    assert first["masked_sha256"] != first["sha256"]


@pytest.mark.parametrize("phase", KINDS)
def test_a_drop_out_in_any_phase_is_borne_down_to_the_threshold(hall, phase):
    one = hall(FIVE, meddle=dropping({"d": phase}))
    state = one.run(rounds=1).state
    (record,) = state.history
    late = phase in ("agreements", "reveals")
    counted = FIVE if late else tuple("abce")
    assert tuple(record.platforms) == counted
    assert record.sum.dropped[phase] == ("d",)
    assert record.refused[0].platform == "d"
    assert record.refused[0].reason == f"{phase}: client error 5: node unavailable"
    honest = hall(counted)  # `toys` gives users and targets by place
    honest.trainers = [t for t in one.trainers if t.platform in counted]
    plain = honest.run(secure=False, store="plain", rounds=1)
    assert difference(state.parameters, plain.state.parameters) < 1e-6


@pytest.mark.parametrize("phase", ["keys", "shares", "vectors"])
def test_below_the_threshold_nothing_is_learned_and_the_next_attempt_succeeds(hall, phase):
    one = hall(meddle=dropping({"b": phase}))
    with pytest.raises(SecureRoundError, match=rf"2 of 3 .* \(b: {phase}") as caught:
        one.run(rounds=1)
    assert isinstance(caught.value, FederationError)
    assert caught.value.alarm == "too_few"
    assert not list((one.folder / "rounds").glob("round-00001*"))
    one.meddle = hall().meddle
    assert one.run(rounds=1).state.round == 1


def test_too_few_late_answers_reveal_nothing(hall):
    one = hall(FIVE, meddle=dropping({"a": "reveals", "b": "reveals"}))
    with pytest.raises(SecureRoundError, match="3 of 5 platforms revealed their shares"):
        one.run(rounds=1)


def test_a_vector_of_an_old_round_is_refused_as_a_replay(hall):
    kept = {}

    def meddle(name, message, answer):
        reply = answer()
        if (name, message.metadata.message_type) == ("b", KINDS["vectors"]):
            kept.setdefault("b", reply)
            return Message(kept["b"].content, reply_to=message)
        return reply

    with pytest.raises(SecureRoundError, match=r"b: vectors: replay: .* of another run, round"):
        hall(meddle=meddle).run(rounds=2)


def test_a_node_that_speaks_in_the_name_of_another_is_refused(hall):
    spoken = {}

    def meddle(name, message, answer):
        reply = answer()
        spoken[name, message.metadata.message_type] = reply
        if (name, message.metadata.message_type) == ("e", KINDS["agreements"]):
            other = next(
                (r for (n, k), r in spoken.items() if n != "e" and k == KINDS["agreements"]), None
            )
            return Message(other.content, reply_to=message) if other else reply
        return reply

    one = hall(FIVE, meddle=meddle)
    (record,) = one.run(rounds=1).state.history
    assert record.refused[0].reason.startswith("agreements: unknown_sender: 'e' answered in the")


@pytest.mark.parametrize(
    ("change", "alarm"),
    [
        (lambda data: data[:-1], "malformed"),
        (lambda data: data[:-70] + bytes([data[-70] ^ 1]) + data[-69:], "bad_signature"),
    ],
)
def test_a_vector_that_was_altered_on_the_way_is_refused(hall, change, alarm):
    one = hall(FIVE, meddle=altering("c", "vectors", change))
    (record,) = one.run(rounds=1).state.history
    assert record.refused[0].reason.startswith(f"vectors: {alarm}")
    assert "c" not in record.platforms


def lying(one, name, change):
    """Bytes of a platform that signs another body than it computed."""

    def forge(data):
        told = Signed.from_bytes(data)
        body = change(bytes(told.body))
        key = one.keys[name]
        return signed(told.kind, told.context, told.seen, name, body, key).to_bytes()

    return forge


def test_a_vector_of_another_length_is_refused(hall):
    one = hall(FIVE)
    one.meddle = altering("c", "vectors", lying(one, "c", lambda body: body[:-8]))
    (record,) = one.run(rounds=1).state.history
    assert record.refused[0].reason.startswith("vectors: bad_vector")


def test_control_a_platform_that_lies_about_its_vector_moves_the_sum(hall):
    one = hall()

    def add(body):
        words = np.frombuffer(body, np.uint64).copy()
        words[0] += np.uint64(2**30)
        return words.tobytes()

    one.meddle = altering("c", "vectors", lying(one, "c", add))
    lied = one.run(rounds=1).state.parameters
    plain = hall().run(secure=False, store="plain", rounds=1).state.parameters
    assert difference(lied, plain) > 1e-3


def test_a_sum_that_cannot_be_is_refused(hall):
    one = hall()

    def take_users(body):
        words = np.frombuffer(body, np.uint64).copy()
        words[INITIAL.size + 1] -= np.uint64(10**6)
        return words.tobytes()

    one.meddle = altering("c", "vectors", lying(one, "c", take_users))
    with pytest.raises(SecureRoundError, match="a platform lied"):
        one.run(rounds=1)


@pytest.mark.parametrize(
    ("trainer", "told"), [(Diverges("d"), "OutboxError"), (Raises("d"), "ValueError")]
)
def test_a_platform_whose_own_outbox_refuses_drops_out(hall, caplog, trainer, told):
    one = hall(FIVE)
    one.trainers[3] = trainer
    with caplog.at_level(logging.CRITICAL):
        (record,) = one.run(rounds=1).state.history
    assert told in record.refused[0].reason
    assert not (one.folder / "d.jsonl").exists() or "update" not in one.receipts("d")[0]


def test_a_server_that_asks_for_an_update_in_the_clear_gets_none(hall, caplog):
    one = hall()
    content = to_content_of(server_config().plan_for(1))
    with caplog.at_level(logging.CRITICAL):
        reply = one.app()(Message(content, 2, "train"), context(0))
    assert reply.error.reason == "NotApprovedError"
    assert not (one.folder / "a.jsonl").exists()


def to_content_of(plan):
    return to_content(to_arrays(INITIAL), plan)


def context(place):
    return Context(1, 2 + place, {"partition-id": place}, RecordDict(), {})


def test_a_run_without_secure_aggregation_answers_none(hall, caplog):
    one = hall()
    with caplog.at_level(logging.CRITICAL):
        reply = one.app(secure=False)(Message(RecordDict(), 2, "train.advertise"), context(0))
    assert reply.error.reason == "NotApprovedError"


def test_a_server_that_sends_two_models_is_found_out(hall, caplog):
    one = hall()

    def meddle(name, message, answer):
        if (name, message.metadata.message_type) == ("b", KINDS["keys"]):
            arrays = message.content[ARRAYS]
            weights = INITIAL.tensors["encoder/w"] + np.float32(1e-3)
            message.content[ARRAYS] = ArrayRecord({**arrays, "encoder/w": packed(weights)})
        return answer()

    one.meddle = meddle
    with caplog.at_level(logging.CRITICAL), pytest.raises(SecureRoundError, match="model_differs"):
        one.run(rounds=1)


def packed(tensor):
    return Array(*pack(Shared({"x": tensor}))["x"])


def test_who_waits_is_told_and_a_wish_ends_the_wait(hall):
    told, one = [], hall()
    assert one.run(rounds=1, tell=told.append).state.round == 1
    assert told[0] == "round 1, phase keys: waits for a, b, c"
    assert any(text.startswith("round 1, phase vectors: waits for ") for text in told)

    def stop():
        return "stop by the operator" if any("round 2, phase vectors" in t for t in told) else ""

    with pytest.raises(InterruptedWaitError, match="stop by the operator"):
        one.run(rounds=2, tell=told.append, interrupt=stop)
    assert one.run(rounds=2).state.round == 2


def test_attempts_go_up_whatever_the_clock_does():
    times = iter([5.0, 5.0, 2.0, 9.0])
    attempts = Attempts(lambda: next(times))
    assert [attempts() for _ in range(4)] == [5000, 5001, 5002, 9000]


def test_a_session_is_never_played_a_second_time(hall, caplog):
    one = hall()
    one.run(rounds=1, attempts=iter([7, 8]).__next__)
    with caplog.at_level(logging.CRITICAL), pytest.raises(SecureRoundError, match="replay"):
        one.run(rounds=2, attempts=lambda: 8)
    assert one.run(rounds=2, attempts=iter([9, 10]).__next__).state.round == 2


def test_a_platform_that_asks_for_more_than_the_terms_bear_stays_out(hall, caplog):
    one = hall()
    one.colluders = 1  # of platforms and server: threshold 3 of 3
    assert one.run(rounds=1).state.round == 1
    strict = replace(one, threshold=2, folder=one.folder / "strict")
    with caplog.at_level(logging.CRITICAL), pytest.raises(SecureRoundError, match=":terms"):
        strict.run(rounds=1)


def test_too_few_members_or_a_rule_that_must_see_updates_are_refused():
    identities = {name: bytes([place] * 32) for place, name in enumerate("abc")}
    with pytest.raises(ScenarioError, match="aggregation median must see"):
        server_config(aggregation=Median(), secure=SecureCohort(CONTRACT, identities))
    two = SecureCohort(CONTRACT, dict(list(identities.items())[:2]))
    with pytest.raises(ScenarioError, match="secure aggregation of 2 platforms"):
        server_config(secure=two)


@pytest.mark.parametrize(
    ("platforms", "colluders", "threshold"), [(3, 0, 2), (3, 1, 3), (10, 0, 7), (10, 5, 8)]
)
def test_the_default_threshold_bears_the_colluders(platforms, colluders, threshold):
    cohort = SecureCohort(CONTRACT, {}, colluders=colluders)
    assert cohort.threshold_for(platforms) == threshold
    assert 2 * threshold - platforms - 1 >= colluders or threshold == platforms


def test_a_platform_without_users_counts_nothing(hall):
    one = hall()
    one.trainers[1] = Toy("b", users=0, target=500.0)
    state = one.run(rounds=1).state
    plain = replace(one, folder=one.folder / "p").run(secure=False, rounds=1).state
    assert state.history[0].sum.users == one.trainers[0].users + one.trainers[2].users
    assert difference(state.parameters, plain.parameters) < 1e-6


def test_no_rounds_validate_the_initial_parameters(hall):
    state = hall().run(rounds=0).state
    assert state.evaluation[EVERYBODY][SCORE] > 0


class Polled(MemoryGrid):
    """A Grid that only hands out what is there, whose silent platforms never answer."""

    stream = None
    silent: tuple = ()

    def push_messages(self, messages):
        ids = list(super().push_messages(messages))
        wait([self._replies[name] for name in ids])
        return ids

    def pull_messages(self, message_ids):
        names = {node.node_id: node.name for node in self.get_nodes()}
        found = super().pull_messages(message_ids)
        return [r for r in found if names[r.metadata.src_node_id] not in self.silent]


def test_a_silent_platform_takes_its_phase_no_more_than_its_part_of_the_deadline(hall):
    one, seconds = hall(FIVE), [0.0]

    def pause(length):
        seconds[0] += length

    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1
    plan = replace(PLAN, validate=False)
    config = server_config(rounds=1, deadline_s=80.0, plan=plan, secure=one.cohort)
    clock = Clock(lambda: seconds[0], pause, reply_poll_s=1.0)
    strategy = FederationStrategy(config, CheckpointStore(one.folder), lambda _: None, clock)
    grid = Polled(one.app(), one.names)
    grid.silent = ("e",)
    try:
        strategy.start(grid, to_arrays(INITIAL))
    finally:
        grid.close()
    (record,) = strategy.state.history
    assert record.sum.seconds["keys"] == 10.0  # an eighth; nobody waits for it later
    assert record.seconds == 10.0
    assert record.missing == ("e",)
    assert record.sum.dropped == {"keys": ("e",)}
