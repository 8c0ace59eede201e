"""A whole federation of real trainers: nothing that must stay is in anything that it wrote."""

from dataclasses import replace

import numpy as np
import pytest
from planted_histories import random_platform

from isthmus.encoder import EncoderConfig
from isthmus.messages import RoundPlan
from isthmus_client.federated_trainer import FederatedTrainer, initial_parameters
from isthmus_client.workspace import Workspace
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.config import ServerConfig
from isthmus_simulations.engines.platforms import FolderOutboxes
from isthmus_simulations.engines.runner import run_federation

CONFIG = EncoderConfig(content=6, dim=8, layers=1, heads=2, max_events=6)
PLAN = RoundPlan(run_id="", round=0, seed=0, batch_size=8, negatives=12, learning_rate=0.01)


def platform(name, seed):
    made = random_platform(users=20, items=15 + seed, name=name, seed=seed)
    skus = tuple(f"secret-sku-{i}" for i in range(15 + seed))
    return replace(
        made,
        catalogue=replace(made.catalogue, item_ids=skus, texts=skus),
        histories=replace(made.histories, user_ids=tuple(f"customer-4711-{u}" for u in range(20))),
    )


@pytest.fixture
def run(tmp_path):
    def go(*platforms, folder="one", rounds=2):
        workspaces = [Workspace(p, max_events=CONFIG.max_events) for p in platforms]
        return run_federation(
            "memory",
            server_config=ServerConfig("r", rounds=rounds, seed=3, plan=PLAN),
            initial=initial_parameters(CONFIG, 3),
            store=CheckpointStore(tmp_path / folder / "rounds"),
            outboxes=FolderOutboxes(tmp_path / folder / "receipts"),
            trainers=[FederatedTrainer(workspace, CONFIG) for workspace in workspaces],
        )

    return go


def test_no_id_no_text_and_no_content_vector_is_written(run, tmp_path):
    platforms = [platform("grocer", 1), platform("florist", 2)]
    run(*platforms)
    written = b"".join(p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file())
    assert written.count(b"grocer") > 1
    for secret in (b"customer-4711", b"secret-sku", b"residual", b"prior_weight"):
        assert secret not in written
    for vector in np.concatenate([p.vectors for p in platforms]):
        assert vector.tobytes() not in written


def test_every_platform_validates_and_moves_the_shared_parameters(run):
    result = run(platform("grocer", 1), platform("florist", 2), rounds=3)
    assert not any(record.refused for record in result.rounds)
    assert len({record.fingerprint for record in result.rounds}) == 3
    assert all(set(scores) == {"grocer", "florist"} for scores in result.validation)


def test_a_platform_with_nothing_to_learn_from_takes_part_and_weighs_nothing(run):
    newcomer = platform("newcomer", 1)
    held = replace(newcomer.split, train_stop=newcomer.histories.offsets[:-1])
    result = run(platform("grocer", 2), replace(newcomer, split=held))
    assert not any(record.refused for record in result.rounds)
    alone = run(platform("grocer", 2), folder="two")
    assert result.final.fingerprint() == alone.final.fingerprint()
