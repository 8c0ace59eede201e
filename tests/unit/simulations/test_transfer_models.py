"""The benchmark's models rank as the simulation's do, and who is tested is drawn as said."""

import numpy as np
import pytest
from planted import World, planted_platform

from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus_client.evaluate import Evaluator
from isthmus_client.personalise import HeadSettings, personalise
from isthmus_client.ranking import rank
from isthmus_client.workspace import Workspace
from isthmus_simulations.transfer.contenders import content_contender, headed_contender
from isthmus_simulations.transfer.identity import code_digest, data_digest
from isthmus_simulations.transfer.measure import FEW, Draw
from isthmus_simulations.transfer.models import BOUND, CANDIDATE, MODELS, RECIPE, RELEASE

WORLD = World(seed=5)


@pytest.fixture(name="workspace", scope="module")
def _workspace():
    return Workspace(planted_platform(WORLD, 0), 20)


@pytest.fixture(name="encoder", scope="module")
def _encoder(workspace):
    width = workspace.platform.vectors.shape[1]
    encoder = initial_encoder(EncoderConfig(content=width, max_events=20), seed=3)
    for parameter in encoder.parameters():  # projections start at zero: move them
        parameter.data += 0.05 * np.cos(parameter.numel())
    return encoder


@pytest.mark.parametrize("window", ["validation", "test"])
def test_an_encoder_ranks_as_the_evaluator_ranks_it(workspace, encoder, window):
    evaluator = Evaluator(workspace, window)
    contender = content_contender("x", workspace, encoder)
    ours = rank(evaluator.task, contender.scorer(window))
    assert np.array_equal(ours.ndcg, evaluator.content(encoder).ndcg)
    assert ours.ndcg.any()


def test_a_head_ranks_as_the_evaluator_ranks_it(workspace, encoder):
    fitted = personalise(workspace, encoder, HeadSettings(epochs=1), seed=1)
    evaluator = Evaluator(workspace, "test")
    contender = headed_contender("x", workspace, fitted)
    ours = rank(evaluator.task, contender.scorer("test"))
    assert np.array_equal(ours.ndcg, evaluator.model(fitted.model).ndcg)
    assert contender.seconds == fitted.curve[-1].seconds


def test_roles_hold_together():
    assert MODELS[CANDIDATE].role == MODELS[RELEASE].role == "federated"
    assert MODELS[RECIPE].role == "own"
    assert MODELS[BOUND].role == "bound"
    assert next(iter(MODELS.values())).role == "baseline"  # what a gate without users falls back to


def test_few_test_users_are_all_taken():
    assert np.array_equal(Draw(1, 4000).of(FEW, "shop"), np.arange(FEW))


def test_of_many_a_share_is_drawn_each_once_and_no_more_than_the_most():
    found = Draw(1, 4000).of(2000, "shop")
    assert found.size == 1600
    assert np.unique(found).size == 1600
    assert Draw(1, 700).of(2000, "shop").size == 700
    assert Draw(1, 100).of(300, "shop").size == 100


def test_seeds_and_platforms_draw_others_and_equal_ones_the_same():
    first = Draw(1, 4000).of(2000, "shop")
    assert np.array_equal(first, Draw(1, 4000).of(2000, "shop"))
    assert not np.array_equal(first, Draw(2, 4000).of(2000, "shop"))
    assert not np.array_equal(first, Draw(1, 4000).of(2000, "other"))


def test_the_datas_digest_sees_one_changed_event():
    platform = planted_platform(WORLD, 0)
    before = data_digest([platform])
    assert data_digest([planted_platform(WORLD, 0)]) == before
    platform.histories.items[5] += 1
    assert data_digest([platform]) != before
    assert data_digest([planted_platform(WORLD, 1)]) != before


def test_the_codes_digest_is_stable_and_short():
    assert code_digest() == code_digest()
    assert len(code_digest()) == 16
