"""The ranker's federation finds a rule that platforms share, and nothing where none is shared.

Six platforms of six training users each. Over seeds 0 to 7 the mean lift of the federated ranker
over the one fitted alone was +0.054 to +0.152 NDCG@10 where all platforms follow one rule (alone
0.22 to 0.29), and -0.083 to +0.045 where every second one follows the opposite rule (alone
0.30 to 0.42). The bounds leave room on both sides.
"""

import numpy as np
import pytest
from planted_rule import WEEKS, RuleWorld, rule_workspaces

from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.messages import RoundPlan
from isthmus.ranker import RankerConfig, initial_ranker
from isthmus_client.evaluate import Evaluator
from isthmus_client.ranker_fitting import fit_ranker
from isthmus_client.ranker_model import RankerModel
from isthmus_client.ranker_trainer import (
    RankerData,
    RankerTrainer,
    initial_ranker_parameters,
    ranker_of,
)
from isthmus_client.ranker_training import RankerSettings
from isthmus_client.training import threads
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.config import ServerConfig
from isthmus_simulations.engines.platforms import FolderOutboxes
from isthmus_simulations.engines.runner import run_federation

ROUNDS = 12
CONFIG = EncoderConfig(content=6, dim=8, layers=1, heads=2, max_events=WEEKS)
SETTINGS = RankerSettings(hard=40, uniform=40, targets=12, batch_size=4, learning_rate=1e-2)
PLAN = RoundPlan("", 0, 0, batch_size=4, learning_rate=1e-2, weight_decay=0.01)
LIFT = 0.04  # NDCG@10 that the shared rule is worth at the least
NOISE = 0.05  # NDCG@10 that may come about without any shared rule


@pytest.fixture(autouse=True)
def _one_thread():
    """Tensors are so small that threads would wait for each other."""
    with threads(1):
        yield


def federated(trainers, seed, folder):
    """The ranker of the best round."""
    result = run_federation(
        "memory",
        server_config=ServerConfig("ranker", rounds=ROUNDS, seed=seed, plan=PLAN),
        initial=initial_ranker_parameters(seed),
        store=CheckpointStore(folder / "rounds"),
        outboxes=FolderOutboxes(folder / "receipts"),
        trainers=trainers,
        workers=1,
    )
    assert not any(record.refused or record.missing for record in result.rounds)
    return ranker_of(result.best)


def qualities(seed, folder, *, control):
    """Test NDCG@10 by platform: round 0, fitted alone, federated. (platforms, 3)."""
    world, encoder = RuleWorld(seed, training=6), initial_encoder(CONFIG, seed)
    workspaces = rule_workspaces(world, control=control)
    trainers = [RankerTrainer(RankerData(w, seed, SETTINGS), encoder) for w in workspaces]
    together, start = federated(trainers, seed, folder), initial_ranker(RankerConfig(), seed)
    rows = []
    for trainer, workspace in zip(trainers, workspaces, strict=True):
        alone = fit_ranker(trainer, start, epochs=ROUNDS, patience=0, seed=seed)
        test = Evaluator(workspace, "test")
        models = [RankerModel(encoder, ranker) for ranker in (start, alone.ranker, together)]
        scorers = [model.contender("", workspace).scorer("test") for model in models]
        rows.append([test.scorer(scorer).mean_ndcg for scorer in scorers])
    return np.array(rows)


@pytest.mark.parametrize("seed", [2, 3])
def test_a_shared_rule_lifts_platforms_with_few_users(tmp_path, seed):
    start, alone, together = qualities(seed, tmp_path, control=False).T
    assert alone.mean() > start.mean() + 0.02  # a platform learns some of it: no straw man
    assert together.mean() - alone.mean() > LIFT
    assert (together > start).all()
    assert (together > alone).sum() >= 5


@pytest.mark.parametrize("seed", [2, 3])
def test_where_the_rule_is_each_platforms_own_the_lift_vanishes(tmp_path, seed):
    start, alone, together = qualities(seed, tmp_path, control=True).T
    assert alone.mean() > start.mean() + 0.02
    assert together.mean() - alone.mean() < NOISE
