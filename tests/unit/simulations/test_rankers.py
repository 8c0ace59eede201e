"""Every ranker of a simulation: made once, resumed, the same from another process's files."""

from dataclasses import replace

import numpy as np
import pytest
from planted_histories import random_platform

from isthmus.border import split
from isthmus.encoder import EncoderConfig
from isthmus.messages import RoundPlan
from isthmus.progress import Silent
from isthmus_client.federated_trainer import initial_parameters
from isthmus_client.ranker_training import RankerSettings
from isthmus_client.workspace import Workspace
from isthmus_simulations import federation
from isthmus_simulations.job import Clock, Job
from isthmus_simulations.options import SimulationOptions
from isthmus_simulations.plan import TrainingPlan
from isthmus_simulations.rankers import POOLED, federate_release, train_rankers
from isthmus_simulations.stages import Stages
from isthmus_simulations.training import train_without_federation

PLAN = TrainingPlan(
    seed=3,
    rounds=2,
    patience=0,
    encoder=EncoderConfig(content=6, dim=4, layers=1, heads=2, max_events=7),
    round=RoundPlan("", 0, 0, batch_size=9, learning_rate=1e-2, negatives=9),
    ranker=RankerSettings(users=75, hard=5, uniform=5, batch_size=5, learning_rate=1e-2),
)


def secretive(name, seed):
    """A platform whose every id and text can be searched for."""
    made = random_platform(seed=seed, name=name, users=30)
    skus = tuple(f"secret-sku-{i}" for i in range(15))
    return replace(
        made,
        catalogue=replace(made.catalogue, item_ids=skus, texts=skus),
        histories=replace(made.histories, user_ids=tuple(f"customer-4711-{u}" for u in range(30))),
    )


def workspaces():
    platforms = [secretive(name, seed) for seed, name in enumerate(("grocer", "florist"))]
    return [Workspace(platform, PLAN.encoder.max_events) for platform in platforms]


def job_in(folder, plan=PLAN):
    options = SimulationOptions(out=folder, workers=2)
    return Job(options, plan, Silent(), Stages(folder / "stages"), Clock())


def trained(folder, platforms=None, plan=PLAN):
    job, platforms = job_in(folder, plan), platforms or workspaces()
    alone, pooled = train_without_federation(job, platforms)
    release = initial_parameters(plan.encoder, plan.seed)
    return train_rankers(job, platforms, release, alone, pooled)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rankers")
    return folder, *trained(folder)


def fingerprints(rankers):
    models = {
        (name, way): getattr(each, way)
        for name, each in rankers.items()
        for way in ("local", "federated", "personalised", "pooled")
    }
    return {
        key: (split(m.encoder)[0].fingerprint(), split(m.ranker)[0].fingerprint(), m.trees)
        for key, m in models.items()
    }


def test_every_platform_has_every_ranker_and_its_curve(first):
    _, run, rankers = first
    assert set(rankers) == {"grocer", "florist"}
    for name, each in rankers.items():
        assert split(each.federated.ranker)[0].fingerprint() == run.best.fingerprint()
        assert set(each.curves) == {"federated", "local", "pooled"}
        steps = {way: [point.step for point in curve] for way, curve in each.curves.items()}
        assert all(found == [0.0, 1.0, 2.0] for found in steps.values()), name
        assert set(each.seconds) == {"local", "personalised", "pooled"}
        assert all(seconds > 0 for seconds in each.seconds.values())


def test_which_are_shared_and_which_are_a_platforms_own(first):
    made = fingerprints(first[2])
    for way in ("federated", "pooled"):
        assert made["grocer", way][:2] == made["florist", way][:2]
    assert made["grocer", "local"] != made["florist", "local"]
    for name in ("grocer", "florist"):
        assert made[name, "personalised"][:2] == made[name, "federated"][:2]
        assert len({made[name, way][:2] for way in ("local", "federated", "pooled")}) == 3


def test_what_is_added_at_home_leaves_the_release_as_it_is(first):
    for each in first[2].values():
        assert each.federated.trees is None
        models = (each.personalised, each.federated)
        assert len({split(model.ranker)[0].fingerprint() for model in models}) == 1
        grown = [m.trees for m in (each.local, each.personalised, each.pooled)]
        assert all(trees is None or trees.text for trees in grown)


def test_the_same_job_gives_the_same_bytes(first, tmp_path):
    assert fingerprints(trained(tmp_path)[1]) == fingerprints(first[2])


def test_another_seed_gives_other_rankers(first, tmp_path):
    other = fingerprints(trained(tmp_path, plan=replace(PLAN, seed=4))[1])
    assert not set(other.values()) & set(fingerprints(first[2]).values())


def test_a_second_call_trains_nothing_again(first, monkeypatch):
    folder, _, rankers = first

    def never(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr("isthmus_simulations.rankers.fit_ranker", never)
    monkeypatch.setattr("isthmus_simulations.rankers.train_ranker", never)
    again = trained(folder)[1]
    assert fingerprints(again) == fingerprints(rankers)
    for name, each in again.items():
        assert each.curves["local"] == rankers[name].curves["local"]
    stages = {path.stem for path in (folder / "stages").glob("*ranker*.json")}
    assert {POOLED, "ranker-alone-grocer", "ranker-alone-florist"} <= stages


def test_no_id_no_text_and_no_content_vector_leaves(first):
    """Rounds and receipts are all that others see; `stages` and `platforms` stay at home."""
    folder, platforms = first[0], workspaces()
    parts = [folder / "ranker-rounds", folder / "outbox"]
    written = b"".join(p.read_bytes() for part in parts for p in part.rglob("*") if p.is_file())
    assert written.count(b"grocer") > 1
    for secret in (b"customer-4711", b"secret-sku", b"popularity", b"signals"):
        assert secret not in written
    for vector in np.concatenate([w.platform.vectors for w in platforms]):
        assert vector.tobytes() not in written


def test_another_process_would_train_the_same_from_files(first, tmp_path):
    """What Ray's workers read gives the bytes that this process's memory gives."""
    platforms, release = workspaces(), initial_parameters(PLAN.encoder, PLAN.seed)
    data = [federation.RankerData(w, PLAN.seed, PLAN.ranker) for w in platforms]
    federation._save(tmp_path, platforms, PLAN.encoder)
    folders = federation._save_release(tmp_path, data, release)
    plan, start = PLAN.ranker_round, first[1].best
    module = federation.encoder_of(release, PLAN.encoder)
    for folder, each in zip(folders, data, strict=True):
        here = federation.RankerTrainer(each, module).train(start, plan)
        there = federation.ranker_trainer_from_folder(folder).train(start, plan)
        assert there.update.fingerprint() == here.update.fingerprint()
        assert there.users == here.users


def test_a_platform_without_examples_is_carried_along(tmp_path):
    """It gets the shared ranker, and everyone's own is still there."""
    grocer, florist = workspaces()
    empty = replace(florist, training_users=np.zeros(0, np.int64))
    _, rankers = trained(tmp_path, [grocer, empty])
    made = fingerprints(rankers)
    assert made["florist", "personalised"] == made["florist", "federated"]
    assert made["grocer", "personalised"][0] == made["grocer", "federated"][0]


def test_a_release_is_both_federations_one_after_the_other(tmp_path):
    release = federate_release(job_in(tmp_path), workspaces())
    again = federate_release(job_in(tmp_path), workspaces())  # from the checkpoints
    assert split(release.encoder)[0].fingerprint() == split(again.encoder)[0].fingerprint()
    assert split(release.ranker)[0].fingerprint() == split(again.ranker)[0].fingerprint()
    assert (tmp_path / "rounds").is_dir()
    assert (tmp_path / "ranker-rounds").is_dir()
