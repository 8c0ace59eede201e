"""The encoder's round beyond what `test_trainer` holds: odd platforms, and what leaves."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import trainer_cases
from flwr.common.serde import recorddict_to_proto
from planted_histories import histories_of, platform_of, random_platform
from trainer_cases import CASES, CONFIG, encoder_trainer, outcome, reply_of, secret_platform

from isthmus.border import merge, split
from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.errors import MessageRefusedError, ScenarioError
from isthmus.parameters import Shared
from isthmus.records import ARRAYS, unpack
from isthmus_client.evaluate import Evaluator
from isthmus_client.federated_trainer import FederatedTrainer, initial_parameters, settings_of
from isthmus_client.model import PlatformModel, PrivateHead
from isthmus_client.outbox import Outbox
from isthmus_client.personalise import HeadSettings, personalise
from isthmus_client.workspace import Workspace

ROUND = CASES["encoder"].plan


@pytest.fixture
def trainer():
    return encoder_trainer(random_platform(users=20, seed=1))


@pytest.fixture
def received():
    return CASES["encoder"].received


def test_platforms_with_the_same_data_draw_their_own_numbers(trainer, received):
    twin = replace(random_platform(users=20, seed=1), name="twin")
    one, two = (t.train(received, ROUND) for t in (trainer, encoder_trainer(twin)))
    assert one.update.fingerprint() != two.update.fingerprint()


def test_validation_is_the_evaluators(trainer, received):
    told = trainer.evaluate(received, ROUND)
    encoder = initial_encoder(CONFIG, seed=0)
    merge(encoder, received)
    ranking = Evaluator(trainer.workspace, "validation", purpose="tuning").content(encoder)
    assert told["validation/ndcg@10"] == ranking.mean_ndcg
    assert told["validation/users"] == ranking.users.size


def test_users_are_those_who_train(trainer, received):
    users = trainer.workspace.sequences.training_users.size
    assert trainer.train(received, ROUND).users == users


def test_parameters_of_another_shape_are_refused(trainer, received):
    other = initial_parameters(replace(CONFIG, dim=4), seed=0)
    fewer = Shared({n: t for n, t in received.tensors.items() if n != "item.weight"})
    for wrong in (other, fewer):
        with pytest.raises(MessageRefusedError, match="tensor"):
            trainer.train(wrong, ROUND)


def test_the_plans_settings_are_those_that_train():
    plan = replace(ROUND, weight_decay=0.5, proximal=0.25, max_steps=7)
    settings = settings_of(plan)
    shared = ("batch_size", "negatives", "learning_rate", "weight_decay", "proximal", "max_steps")
    assert all(getattr(settings, name) == getattr(plan, name) for name in shared)


def test_round_zero_is_the_same_for_everyone():
    assert (
        initial_parameters(CONFIG, 4).fingerprint()
        == split(initial_encoder(CONFIG, 4))[0].fingerprint()
    )


# Odd platforms: (histories, items). Each trains on what it has, or says that it has nothing.
ODD = {
    **trainer_cases.ODD,
    "a catalogue of three": (histories_of([0, 1, 2, 0], [2, 1, 0, 1], [1, 0, 1, 2]), 3),
    "one basket each": (histories_of([(1, 0), (2, 0), (3, 0)], [(4, 9), (5, 9), (6, 9)]), 9),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("negatives", [1, 3, 600])
def test_odd_platforms_give_finite_numbers(received, name, negatives):
    trainer = encoder_trainer(platform_of(*ODD[name]))
    result = trainer.train(received, replace(ROUND, negatives=negatives))
    assert result.update.is_finite()
    assert all(math.isfinite(value) for value in result.metrics.values())
    assert result.users == trainer.workspace.sequences.training_users.size
    assert all(math.isfinite(v) for v in trainer.evaluate(received, ROUND).values())


@pytest.mark.parametrize("name", ["a catalogue of one", "nobody with a past", "one basket each"])
def test_who_has_nothing_to_learn_from_leaves_the_parameters_alone(received, name, tmp_path):
    result = encoder_trainer(platform_of(*ODD[name])).train(received, ROUND)
    assert result.users == 0
    assert result.update.norm() == 0
    sent = Outbox("shop", tmp_path / "shop.jsonl").send_update(
        result.update,
        received=received,
        users=result.users,
        metrics=result.metrics,
        plan=ROUND,
    )
    assert (sent.users, sent.delta.norm()) == (0, 0.0)  # the server gives it no weight


def test_a_private_head_changes_no_byte_of_an_update(trainer, received):
    before = outcome(trainer.train(received, ROUND))
    release = initial_encoder(CONFIG, seed=0)
    merge(release, received)
    personalise(trainer.workspace, release, HeadSettings(epochs=2, batch_size=4), seed=0)
    assert outcome(trainer.train(received, ROUND)) == before


# --- What leaves: the bytes of a real reply, searched for everything that must stay ---

SECRET = 4711.25  # no trained weight comes near, and its bytes are found where it is
SECRET_BYTES = np.float32(SECRET).tobytes()


@pytest.fixture(name="platform")
def _platform():
    return secret_platform()


def secret_head(items):
    head = PrivateHead(items, CONFIG.dim)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.fill_(SECRET)
    return head


@pytest.mark.parametrize("kind", ["train", "evaluate"])
def test_no_private_value_name_or_id_is_in_the_bytes_that_leave(platform, received, tmp_path, kind):
    trainer = encoder_trainer(platform)
    release = initial_encoder(CONFIG, seed=0)
    merge(release, received)
    model = PlatformModel(release, secret_head(trainer.workspace.items))
    shared, private = split(model.shared)[0], split(model)[1]
    reply = reply_of(trainer, shared, ROUND, tmp_path, kind)
    assert not reply.has_error()
    sent = recorddict_to_proto(reply.content).SerializeToString()
    sent += (tmp_path / "grocer.jsonl").read_bytes()
    assert all(SECRET_BYTES in tensor.tobytes() for tensor in private.tensors.values())
    told = (b"private.", b"residual", b"prior_weight", b"content_weight")
    assert not [s for s in (SECRET_BYTES, b"customer-4711", b"secret-sku", *told) if s in sent]
    assert b"grocer" in sent


def test_an_update_has_the_names_of_the_encoder_alone(platform, received, tmp_path):
    reply = reply_of(encoder_trainer(platform), received, ROUND, tmp_path)
    sent = unpack(reply.content[ARRAYS])
    assert sent.shapes() == initial_parameters(CONFIG, 0).shapes()
    assert not set(sent.tensors) & {name for name, _ in secret_head(15).named_parameters()}
    (receipt,) = (tmp_path / "grocer.jsonl").read_text().splitlines()
    assert json.loads(receipt)["sha256"] == sent.fingerprint()


class Careless(FederatedTrainer):
    """Puts a private tensor among the shared ones."""

    def train(self, parameters, plan):
        result = super().train(parameters, plan)
        leaked = {"bias": secret_head(15).bias.detach().numpy()}
        return replace(result, update=Shared({**result.update.tensors, **leaked}))


def test_a_private_tensor_among_shared_ones_does_not_leave(platform, received, tmp_path, caplog):
    good = encoder_trainer(platform)
    with caplog.at_level("ERROR"):
        reply = reply_of(Careless(good.workspace, CONFIG), received, ROUND, tmp_path)
    assert reply.has_error()
    assert not reply.has_content()
    assert not (tmp_path / "grocer.jsonl").exists()


def test_a_whole_model_split_at_the_border_does_not_pass_as_an_encoder(platform, received):
    trainer = encoder_trainer(platform)
    model = PlatformModel(initial_encoder(CONFIG, seed=0), secret_head(15))
    shared, private = split(model)
    for wrong in (shared, Shared({**received.tensors, **private.tensors})):
        with pytest.raises(MessageRefusedError):
            trainer.train(wrong, ROUND)


@pytest.mark.parametrize("change", [{"content": 9}, {"max_events": 3}])
def test_an_encoder_that_cannot_read_the_platform_is_refused(change):
    workspace = Workspace(random_platform(), 7)
    config = EncoderConfig(
        **{"content": 6, "dim": 4, "layers": 1, "heads": 2, "max_events": 7, **change}
    )

    with pytest.raises(ScenarioError, match="platform shop"):
        FederatedTrainer(workspace, config)
