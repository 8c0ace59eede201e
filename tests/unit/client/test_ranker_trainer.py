"""The ranker's round: a function of data, parameters and plan, and the ranker alone leaves."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.common.serde import recorddict_to_proto
from flwr.supercore.task_identity import TaskIdentity
from planted_histories import histories_of, platform_of, random_platform

from isthmus.border import split
from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.errors import MessageRefusedError
from isthmus.messages import RoundPlan
from isthmus.parameters import Shared
from isthmus.ranker import RankerConfig, initial_ranker
from isthmus.records import ARRAYS, PLAN, pack, unpack
from isthmus_client.app import build_client_app
from isthmus_client.outbox import DECLARED_METRICS, Outbox
from isthmus_client.ranker_fitting import fit_ranker
from isthmus_client.ranker_trainer import (
    RankerData,
    RankerTrainer,
    initial_ranker_parameters,
    ranker_of,
)
from isthmus_client.ranker_training import RankerSettings
from isthmus_client.workspace import Workspace

CONFIG = EncoderConfig(content=6, dim=8, layers=1, heads=2, max_events=6)
ROUND = RoundPlan("r", 3, 5, batch_size=4, learning_rate=0.01, local_epochs=2.0)
VALIDATED = {f"validation/{name}" for name in ("ndcg@10", "hr@10", "mrr", "users")}
FEW = RankerSettings(users=9, hard=4, uniform=5)


def trainer_of(platform, **settings):
    workspace = Workspace(platform, CONFIG.max_events, **settings)
    return RankerTrainer(RankerData(workspace, 2, FEW), initial_encoder(CONFIG, seed=1))


@pytest.fixture(scope="module")
def trainer():
    return trainer_of(random_platform(users=20, seed=1))


@pytest.fixture
def received():
    """Parameters of a later round."""
    made = initial_ranker(RankerConfig(), seed=2)
    with torch.no_grad():
        made.narrow.weight.normal_(generator=torch.Generator().manual_seed(2))
    return split(made)[0]


def outcome(result):
    numbers = {name: value for name, value in result.metrics.items() if name != "seconds"}
    return result.parameters.fingerprint(), result.users, numbers


def test_the_same_round_gives_the_same_bytes(trainer, received):
    again = trainer_of(random_platform(users=20, seed=1))
    assert outcome(trainer.train(received, ROUND)) == outcome(again.train(received, ROUND))


def test_nothing_is_kept_from_round_to_round(trainer, received):
    first = outcome(trainer.train(received, ROUND))
    trainer.train(trainer.train(received, ROUND).parameters, replace(ROUND, round=4))
    fit_ranker(trainer, ranker_of(received), epochs=2, patience=0, seed=0, careful=False)
    torch.manual_seed(3)
    assert outcome(trainer.train(received, ROUND)) == first


@pytest.mark.parametrize("change", [{"round": 4}, {"seed": 6}, {"learning_rate": 0.02}])
def test_another_plan_gives_other_parameters(trainer, received, change):
    one, other = (trainer.train(received, plan) for plan in (ROUND, replace(ROUND, **change)))
    assert one.parameters.fingerprint() != other.parameters.fingerprint()


def test_the_parameters_received_stay_as_they_are(trainer, received):
    before = received.fingerprint()
    trained = trainer.train(received, ROUND).parameters
    assert received.fingerprint() == before
    assert trained.shapes() == received.shapes()
    assert trained.minus(received).norm() > 0


def test_metrics_are_of_the_ranker_received(trainer, received):
    result = trainer.train(received, ROUND)
    told = {name: value for name, value in result.metrics.items() if name in VALIDATED}
    assert told == trainer.evaluate(received, ROUND)
    assert told["validation/ndcg@10"] == trainer.judge.rank(ranker_of(received)).mean_ndcg
    assert told != trainer.evaluate(result.parameters, ROUND)


def test_all_that_it_reports_is_declared(trainer, received):
    metrics = trainer.train(received, ROUND).metrics
    assert set(metrics) == {*VALIDATED, "loss", "steps", "seconds"} <= DECLARED_METRICS
    assert all(math.isfinite(value) for value in metrics.values())
    silent = trainer.train(received, replace(ROUND, validate=False)).metrics
    assert set(silent) == {"loss", "steps", "seconds"}


def test_users_and_steps(trainer, received):
    result = trainer.train(received, ROUND)
    assert result.users == len(trainer.examples) > 10
    assert result.metrics["steps"] == math.ceil(2 * result.users / 4)
    assert trainer.train(received, replace(ROUND, max_steps=3)).metrics["steps"] == 3


def test_parameters_of_another_shape_are_refused(trainer, received):
    fewer = Shared({n: t for n, t in received.tensors.items() if n != "widen.bias"})
    narrow = Shared({n: np.ascontiguousarray(t[..., :3]) for n, t in received.tensors.items()})
    encoder = split(initial_encoder(CONFIG, seed=1))[0]
    for wrong in (fewer, narrow, encoder):
        with pytest.raises(MessageRefusedError, match="tensor"):
            trainer.train(wrong, ROUND)


def test_round_zero_is_the_same_for_everyone():
    one = initial_ranker_parameters(4)
    assert one.fingerprint() == split(initial_ranker(RankerConfig(), 4))[0].fingerprint()


ODD = {
    "one user who trains": (histories_of([0, 1, 2, 3, 4], [3]), 9),
    "a catalogue of one": (histories_of([0, 0, 0], [0, 0]), 1),
    "nobody with a past": (histories_of([4], [2], [7]), 9),
    "untimed": (histories_of([0, 1, 2, 3], [4, 5, 6, 7], timed=False), 9),
    "nobody": (histories_of(), 5),
    "empty histories": (histories_of([], []), 5),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_platforms_give_finite_numbers(received, name):
    trainer = trainer_of(platform_of(*ODD[name]))
    trainer.data.make()
    result = trainer.train(received, ROUND)
    assert result.parameters.is_finite()
    assert all(math.isfinite(value) for value in result.metrics.values())
    assert result.users == len(trainer.examples)
    if not len(trainer.examples):
        assert result.parameters.fingerprint() == received.fingerprint()


def test_a_catalogue_alone_leaves_the_parameters_alone(received):
    platform = random_platform(users=20, seed=1)
    trainer = trainer_of(platform, training_users=np.zeros(0, np.int64))
    result = trainer.train(received, ROUND)
    assert result.parameters.fingerprint() == received.fingerprint()
    assert (result.users, result.metrics["steps"]) == (0, 0)


# --- What leaves: the bytes of a real reply, searched for everything that must stay ---


@pytest.fixture(scope="module")
def secret_trainer():
    platform = random_platform(users=20, seed=1, name="grocer")
    ids = tuple(f"customer-4711-{u}" for u in range(20))
    names = tuple(f"secret-sku-{i}" for i in range(15))
    return trainer_of(
        replace(
            platform,
            histories=replace(platform.histories, user_ids=ids),
            catalogue=replace(platform.catalogue, item_ids=names, texts=names),
        )
    )


def reply_of(trainer, received, folder, kind="train"):
    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1
    arrays = ArrayRecord({name: Array(*wire) for name, wire in pack(received).items()})
    content = RecordDict({ARRAYS: arrays, PLAN: ConfigRecord(dict(ROUND.to_record()))})
    app = build_client_app(lambda _: trainer, lambda name: Outbox(name, folder / f"{name}.jsonl"))
    return app(Message(content, 2, kind), Context(1, 2, {}, RecordDict(), {}))


def private_bytes(trainer):
    """Signals, targets and vectors as they lie in memory, a user or an item at a time."""
    examples, kept = trainer.examples, trainer.data.tuning.kept
    arrays = [*examples.signals[:, 0], *kept[:, 0], *trainer.workspace_vectors]
    return [array.tobytes() for array in arrays]


class Seen(RankerTrainer):
    """With its raw vectors at hand, for the search alone."""

    @property
    def workspace_vectors(self):
        return self.data.workspace.platform.vectors


@pytest.mark.parametrize("kind", ["train", "evaluate"])
def test_no_id_no_signal_and_no_vector_is_in_the_bytes_that_leave(
    secret_trainer, received, tmp_path, kind
):
    trainer = Seen(secret_trainer.data, secret_trainer.encoder)
    reply = reply_of(trainer, received, tmp_path, kind)
    assert not reply.has_error()
    sent = recorddict_to_proto(reply.content).SerializeToString()
    sent += (tmp_path / "grocer.jsonl").read_bytes()
    secrets = [b"customer-4711", b"secret-sku", *private_bytes(trainer)]
    assert len(secrets) > 40
    assert not [secret for secret in secrets if secret in sent]
    assert b"grocer" in sent


def test_an_update_has_the_names_of_the_ranker_alone(secret_trainer, received, tmp_path):
    reply = reply_of(secret_trainer, received, tmp_path)
    sent = unpack(reply.content[ARRAYS])
    assert sent.shapes() == initial_ranker_parameters(0).shapes()
    (receipt,) = (tmp_path / "grocer.jsonl").read_text().splitlines()
    told = json.loads(receipt)
    assert told["sha256"] == sent.fingerprint()
    assert set(told["metrics"]) <= DECLARED_METRICS


class Careless(RankerTrainer):
    """Puts its examples, or its encoder, among what is shared."""

    def train(self, parameters, plan):
        result = super().train(parameters, plan)
        leaked = {"signals": self.examples.signals.astype(np.float32)}
        return replace(result, parameters=Shared({**result.parameters.tensors, **leaked}))


class Talkative(RankerTrainer):
    """Reports what a user did among its metrics."""

    def train(self, parameters, plan):
        result = super().train(parameters, plan)
        return replace(result, metrics={**result.metrics, "customer-4711-3": 7.0})


@pytest.mark.parametrize("kind", [Careless, Talkative])
def test_what_is_not_the_rankers_does_not_leave(secret_trainer, received, tmp_path, caplog, kind):
    with caplog.at_level("ERROR"):
        reply = reply_of(kind(secret_trainer.data, secret_trainer.encoder), received, tmp_path)
    assert reply.has_error()
    assert not reply.has_content()
    assert not (tmp_path / "grocer.jsonl").exists()
