"""Trainings of the benchmark of privacy: who is held out, what has no noise, what a cell keeps."""

from dataclasses import replace

import numpy as np
import pytest
from planted_histories import random_platform
from private_platforms import private_job, workspaces
from trainer_cases import CONFIG

from isthmus.errors import PrivacyError, ResumeError
from isthmus.privacy.schedule import PrivatePlan
from isthmus.progress import Silent
from isthmus_client.federated_trainer import initial_parameters
from isthmus_client.membership import user_losses
from isthmus_client.platform_files import save_platform
from isthmus_client.workspace import Workspace
from isthmus_simulations.job import Clock, Job
from isthmus_simulations.options import SimulationOptions
from isthmus_simulations.plan import TrainingPlan
from isthmus_simulations.price import measure, work
from isthmus_simulations.price.cells import PRIVATE, WAYS, Run
from isthmus_simulations.price.measure import drawn_task
from isthmus_simulations.price.noiseless import train_without_noise
from isthmus_simulations.price.seats import seat
from isthmus_simulations.private_federation import federate_privately
from isthmus_simulations.stages import Stages, encoder_of
from isthmus_simulations.transfer.identity import code_digest
from isthmus_simulations.transfer.inputs import load_input

NAMES = ("a", "b")


def platform(name, users=60):
    return random_platform(users=users, name=name, seed=len(name) + users)


def test_a_tenth_is_held_out_and_trains_nothing():
    made = seat(platform("a", users=95), CONFIG.max_events, seed=1)
    eligible = Workspace(platform("a", users=95), CONFIG.max_events).sequences.training_users
    assert made.held_out.size == round(0.1 * eligible.size) > 0
    both = np.concatenate([made.members, made.held_out])
    assert sorted(both) == sorted(eligible)
    assert np.array_equal(made.workspace.sequences.training_users, made.members)


def test_held_out_users_depend_on_the_seed_and_the_platform_alone():
    drawn = [seat(platform("a"), CONFIG.max_events, seed).held_out for seed in (1, 1, 2)]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_held_out_users_are_tested_like_all_others():
    made = seat(platform("a"), CONFIG.max_events, seed=1)
    task, total = drawn_task(made.workspace, most=1000)
    assert set(made.held_out) & set(task.users)
    assert task.users.size == total
    few, same = drawn_task(made.workspace, most=7)
    assert (few.users.size, same) == (7, total)
    assert set(few.users) <= set(task.users)
    assert few.targets.shape[0] == 7


def test_rounds_without_noise_learn(tmp_path):
    job = private_job(tmp_path / "run", rounds=40)
    faster = replace(job.plan.private, learning_rate=0.02)
    job = replace(job, plan=replace(job.plan, private=faster))
    shops = workspaces(*NAMES)
    before, after = initial_parameters(CONFIG, job.plan.seed), train_without_noise(job, shops)
    losses = [
        [
            user_losses(
                encoder_of(each, CONFIG), s.sequences, s.content, s.sequences.training_users, seed=1
            )
            for s in shops
        ]
        for each in (before, after)
    ]
    fresh, trained = (np.nanmean(np.concatenate(each)) for each in losses)
    assert trained < fresh - 0.05


def test_the_attack_finds_who_was_learnt_by_heart_and_nobody_before_training(tmp_path):
    wide = replace(CONFIG, content=48, dim=16)
    job = private_job(tmp_path / "run", rounds=30)
    hard = replace(job.plan.private, learning_rate=0.02, batch=10_000)
    job = replace(job, plan=replace(job.plan, encoder=wide, private=hard))
    shop = random_platform(users=400, items=300, content=wide.content)
    made = seat(shop, wide.max_events, seed=1)
    initial = initial_parameters(wide, job.plan.seed)
    before, after = (
        encoder_of(each, wide) for each in (initial, train_without_noise(job, [made.workspace]))
    )
    found = measure.attacked(made, before, after, 1)
    assert found.auc > 0.65
    assert (found.members, found.non_members) == (made.members.size, made.held_out.size)
    blind = measure.attacked(made, before, before, 1)
    assert (blind.auc, blind.tpr) == (0.5, 0.0)


@pytest.mark.parametrize("quantile", [0.0, 0.5])
def test_rounds_without_noise_leave_nothing_behind(tmp_path, quantile):
    job = private_job(tmp_path / "run")
    adaptive = replace(job.plan.private, clipping_quantile=quantile)
    job = replace(job, plan=replace(job.plan, private=adaptive))
    found = train_without_noise(job, workspaces(*NAMES))
    assert found.is_finite()
    assert found.minus(initial_parameters(CONFIG, job.plan.seed)).norm() > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("private", [None, PrivatePlan("pooled", 8.0)])
def test_rounds_without_noise_need_the_plan_that_they_are_held_against(tmp_path, private):
    job = private_job(tmp_path)
    job = replace(job, plan=replace(job.plan, private=private))
    with pytest.raises(PrivacyError):
        train_without_noise(job, workspaces(*NAMES))


def task_of(folder, run, **changes):
    """A cell of two small shops."""
    shops = {name: platform(name) for name in NAMES}
    folders = tuple(folder / "platforms" / name for name in NAMES)
    for place, shop in zip(folders, shops.values(), strict=True):
        if not place.exists():
            save_platform(shop, place)
    private = (
        PrivatePlan(run.trust, run.epsilon or 8.0, rounds=2, batch=40)
        if run.trust != "none"
        else None
    )
    plan = TrainingPlan(seed=run.seed, rounds=2, encoder=CONFIG, private=private)
    options = SimulationOptions(
        out=folder / "unfinished" / run.name,
        privacy=run.trust,
        epsilon=run.epsilon or 8.0,
        canaries=0,
        workers=1,
    )
    fields = {
        "run": run,
        "simulation": options,
        "plan": plan,
        "folders": tuple(f for f in folders if run.platform in (None, f.name)),
        "most_test_users": 20,
        "identity": "of this test",
        "code": code_digest(),
        "path": folder / "cells" / f"{run.name}.json",
    }
    return work.CellTask(**(fields | changes))


@pytest.mark.parametrize("way", WAYS)
def test_a_cell_of_every_way_is_whole(tmp_path, way):
    own = way in {"alone", "private_alone"}
    run = Run("journey", 1, way, 4.0 if way in PRIVATE else None, "b" if own else None)
    task = task_of(tmp_path, run)
    assert work.kept(task) is None
    work.compute(task, Silent())
    found = work.kept(task)
    assert set(found.platforms) == ({"b"} if own else set(NAMES))
    assert not task.simulation.out.exists()
    for facts in found.platforms.values():
        assert len(facts.ndcg) == len(facts.users_tested) == 20
        assert facts.training_users + facts.held_out <= facts.users
        assert (facts.attack is None) == (way == "prior")
    assert (found.privacy is not None) == (way in PRIVATE)
    assert (found.rounds > 0) == (way != "prior")
    assert (found.bytes > 0) == (way in {"federated", *PRIVATE})
    if found.privacy is not None:
        assert 0 < found.privacy.epsilon <= 4.0
        assert len(found.privacy.run.overlap) == (1 if own else 2)


def test_a_schedule_that_cannot_be_kept_is_a_finding(tmp_path):
    run = Run("journey", 1, "pooled", 4.0)
    task = task_of(tmp_path, run)
    task = replace(task, folders=task.folders[:1])  # nobody to pool with
    work.compute(task, Silent())
    found = work.kept(task)
    assert "at least two must be honest" in found.impossible
    assert found.platforms == {}


def test_a_cell_of_another_identity_or_a_damaged_one_is_none(tmp_path):
    task = task_of(tmp_path, Run("journey", 1, "prior"))
    work.compute(task, Silent())
    assert work.kept(replace(task, identity="of another")) is None
    task.path.write_text(task.path.read_text()[:-30])
    assert work.kept(task) is None


def test_an_interrupted_private_training_goes_on_and_has_no_seconds(tmp_path):
    task = task_of(tmp_path, Run("journey", 1, "local", 4.0))
    seats = [seat(each, CONFIG.max_events, 1) for each in load_input(task.folders)]
    job = Job(task.simulation, task.plan, Silent(), Stages(tmp_path / "stages"), Clock())
    federate_privately(job, [each.workspace for each in seats])  # and is killed before it measures
    work.compute(task, Silent())
    found = work.kept(task)
    assert found.seconds is None
    assert found.rounds == 2
    fresh = task_of(tmp_path / "fresh", task.run)
    work.compute(fresh, Silent())
    assert found.privacy.run.spent == work.kept(fresh).privacy.run.spent  # nothing charged twice


def test_changed_code_ends_the_benchmark(tmp_path):
    with pytest.raises(ResumeError, match="code changed"):
        work.compute(task_of(tmp_path, Run("journey", 1, "prior"), code="older"), Silent())
