"""The ranker's round beyond what `test_trainer` holds: examples, judge, and what leaves."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from flwr.common.serde import recorddict_to_proto
from planted_histories import platform_of, random_platform
from trainer_cases import CASES, CONFIG, ODD, outcome, ranker_trainer, reply_of, secret_platform

from isthmus.border import split
from isthmus.encoder import initial_encoder
from isthmus.errors import MessageRefusedError
from isthmus.parameters import Shared
from isthmus.ranker import RankerConfig, initial_ranker
from isthmus_client.ranker_fitting import fit_ranker
from isthmus_client.ranker_trainer import (
    RankerTrainer,
    initial_ranker_parameters,
    ranker_of,
)

ROUND = CASES["ranker"].plan


@pytest.fixture(scope="module")
def trainer():
    return ranker_trainer(random_platform(users=20, seed=1))


@pytest.fixture
def received():
    return CASES["ranker"].received


def test_fitting_at_home_changes_no_byte_of_an_update(trainer, received):
    first = outcome(trainer.train(received, ROUND))
    fit_ranker(trainer, ranker_of(received), epochs=2, patience=0, seed=0)
    torch.manual_seed(3)
    assert outcome(trainer.train(received, ROUND)) == first


def test_validation_is_the_judges(trainer, received):
    told = trainer.evaluate(received, ROUND)
    assert told["validation/ndcg@10"] == trainer.judge.rank(ranker_of(received)).mean_ndcg


def test_users_are_those_with_an_example(trainer, received):
    assert trainer.train(received, ROUND).users == len(trainer.examples) > 10


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


@pytest.mark.parametrize("name", ODD)
def test_odd_platforms_are_as_many_users_as_they_have_examples(received, name):
    trainer = ranker_trainer(platform_of(*ODD[name]))
    trainer.data.make()
    assert trainer.train(received, ROUND).users == len(trainer.examples)


def test_a_catalogue_alone_leaves_the_parameters_alone(received):
    platform = random_platform(users=20, seed=1)
    trainer = ranker_trainer(platform, training_users=np.zeros(0, np.int64))
    result = trainer.train(received, ROUND)
    assert result.update.norm() == 0
    assert (result.users, result.metrics["steps"]) == (0, 0)


# --- What leaves: the bytes of a real reply, searched for everything that must stay ---


@pytest.fixture(scope="module")
def secret_trainer():
    return ranker_trainer(secret_platform())


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
    reply = reply_of(trainer, received, ROUND, tmp_path, kind)
    assert not reply.has_error()
    sent = recorddict_to_proto(reply.content).SerializeToString()
    sent += (tmp_path / "grocer.jsonl").read_bytes()
    secrets = [b"customer-4711", b"secret-sku", *private_bytes(trainer)]
    assert len(secrets) > 40
    assert not [secret for secret in secrets if secret in sent]
    assert b"grocer" in sent


class Careless(RankerTrainer):
    """Puts its examples among what is shared."""

    def train(self, parameters, plan):
        result = super().train(parameters, plan)
        leaked = {"signals": self.examples.signals.astype(np.float32)}
        return replace(result, update=Shared({**result.update.tensors, **leaked}))


def test_what_is_not_the_rankers_does_not_leave(secret_trainer, received, tmp_path, caplog):
    careless = Careless(secret_trainer.data, secret_trainer.encoder)
    with caplog.at_level("ERROR"):
        reply = reply_of(careless, received, ROUND, tmp_path)
    assert reply.has_error()
    assert not reply.has_content()
    assert not (tmp_path / "grocer.jsonl").exists()
