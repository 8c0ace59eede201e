"""Day one: sizes grow out of each other, every model faces the same users, and nothing leaks in."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted_histories import random_platform

from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.ranker import RankerConfig, initial_ranker
from isthmus_client.contender import Contender
from isthmus_client.day_one import Sampled, _first_users, measure, measure_days, task_count
from isthmus_client.day_one_models import (
    WITH_USERS,
    WITHOUT_USERS,
    Recipe,
    fit_both_rankers,
    names,
    of_contender,
    single,
)
from isthmus_client.evaluate import Evaluator
from isthmus_client.ranker_model import RankerModel
from isthmus_client.ranker_training import RankerSettings
from isthmus_client.training import Settings
from isthmus_client.workspace import Workspace

CONFIG = EncoderConfig(content=6, dim=4, layers=1, heads=2, max_events=7)
RECIPE = Recipe(
    encoder=CONFIG,
    training=Settings(batch_size=16, negatives=9),
    ranker=RankerSettings(hard=9, uniform=6, batch_size=16),
    passes=2,
    patience=0,
    seed=3,
)
SIZES = (0, 20, 45, 1000)


@pytest.fixture(scope="module")
def workspace():
    return Workspace(random_platform(users=80, items=25, events=9, seed=4), CONFIG.max_events)


@pytest.fixture(scope="module")
def release():
    made = initial_encoder(CONFIG, seed=8)
    with torch.no_grad():
        made.item.weight.normal_(std=0.2, generator=torch.Generator().manual_seed(2))
    return RankerModel(made, initial_ranker(RankerConfig(), seed=8))


@pytest.fixture(scope="module")
def days(workspace, release):
    return measure_days(workspace, release, RECIPE, sizes=SIZES, everyone=True)


def test_sizes_beyond_the_platforms_own_are_left_out_and_all_come_last(days, workspace):
    everyone = workspace.sequences.training_users.size
    assert [day.users for day in days] == [0, 20, 45, everyone]


def test_without_users_there_is_only_what_needs_none(days):
    without, everything = names(WITHOUT_USERS), names((*WITHOUT_USERS, *WITH_USERS))
    assert tuple(days[0].models) == without
    assert all(tuple(day.models) == everything for day in days[1:])


def test_every_model_at_every_size_faces_the_same_test_users(days):
    first = days[0].models["prior"].test.users
    for day in days:
        for found in day.models.values():
            assert np.array_equal(found.test.users, first)


def test_the_gate_is_decided_by_own_users_alone(days, workspace):
    for day in days:
        own = set(_first_users(workspace, day.users, RECIPE.seed).training_users)
        for found in day.models.values():
            assert set(found.gate.users) <= own


def test_a_larger_size_holds_the_users_of_a_smaller_one(workspace):
    few = _first_users(workspace, 20, seed=3).training_users
    more = _first_users(workspace, 45, seed=3).training_users
    assert set(few) < set(more)
    assert not np.array_equal(few, _first_users(workspace, 20, seed=4).training_users)


def test_the_prior_does_not_change_with_the_users(days):
    assert len({day.models["prior"].test.mean_ndcg for day in days}) == 1


def test_with_the_catalogue_alone_nobody_elses_history_speaks(workspace, release):
    """One user's past is rewritten; at size 0 the lists of all others stay as they were."""
    platform = workspace.platform
    start, stop = platform.histories.offsets[:2]
    items = platform.histories.items.copy()
    items[start:stop] = (items[start:stop] + 7) % 25
    other = replace(platform, histories=replace(platform.histories, items=items))
    found = [
        measure_days(Workspace(each, CONFIG.max_events), release, RECIPE, sizes=(0,))[0]
        for each in (platform, other)
    ]
    for name in names(WITHOUT_USERS):
        before, after = (
            dict(zip(day.models[name].test.users, day.models[name].test.ndcg, strict=True))
            for day in found
        )
        assert before.keys() - {0} == after.keys() - {0}
        assert all(before[user] == after[user] for user in before.keys() - {0})


def test_two_workers_find_what_one_finds(days, workspace, release):
    told = []
    again = measure_days(
        workspace, release, RECIPE, sizes=SIZES, everyone=True, workers=2, advance=told.append
    )
    for one, other in zip(days, again, strict=True):
        for name, found in one.models.items():
            assert np.array_equal(found.test.ndcg, other.models[name].test.ndcg), name
    assert sum(told) == task_count(workspace, SIZES, everyone=True)


def test_a_further_model_is_a_line(workspace, release):
    def by_number(window):
        assert window in {"validation", "test"}
        return lambda users: np.tile(np.arange(25, 0, -1, dtype=np.float32), (users.size, 1))

    def fit(_workspace, _release, _recipe):
        return of_contender(Contender("numbered", by_number))

    families = (single("numbered", fit),)
    (day,) = measure_days(workspace, release, RECIPE, sizes=(20,), with_users=families)
    slow = Evaluator(workspace, "test").scorer(by_number("test"))
    assert np.array_equal(day.models["numbered"].test.ndcg, slow.ndcg)
    assert day.models.keys() == {"prior", "release", "numbered"}


def test_models_that_share_signals_rank_as_each_would_alone(days, workspace, release):
    """The day's rankers are ranked together; one of them by itself gets the same lists."""
    few = _first_users(workspace, 45, RECIPE.seed)
    together = fit_both_rankers(few, release, RECIPE)
    for name, fitted in together.items():
        alone = measure(few, lambda *_, m=fitted.model: m, release, RECIPE)
        assert np.array_equal(alone.test.ndcg, days[2].models[name].test.ndcg), name
        assert np.array_equal(alone.gate.ndcg, days[2].models[name].gate.ndcg), name


def test_what_is_made_of_the_catalogue_is_the_same_object_on_every_day(workspace):
    few, more = (_first_users(workspace, size, seed=3) for size in (20, 45))
    assert few.content is more.content is workspace.content
    assert few.alike is more.alike


def test_some_of_the_users_are_ranked_as_they_are_among_all(days, workspace, release):
    drawn = measure_days(workspace, release, RECIPE, sizes=(0,), most=15)[0].models["prior"].test
    whole = days[0].models["prior"].test
    assert drawn.users.size == 15
    assert set(drawn.users) < set(whole.users)
    assert np.array_equal(drawn.ndcg, whole.ndcg[np.isin(whole.users, drawn.users)])
    assert np.array_equal(
        Sampled(workspace, "test", most=10_000).task.users, Evaluator(workspace, "test").task.users
    )
