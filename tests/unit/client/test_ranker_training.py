"""What a ranker learns from: the training window alone, by a sampled loss that is the full one."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from planted_histories import histories_of, platform_of, random_platform

from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.ranker import SIGNALS, RankerConfig, initial_ranker
from isthmus_client import ranker_training
from isthmus_client.ranker_training import (
    Examples,
    ExampleSet,
    RankerSettings,
    ranker_loss,
    ranker_optimiser,
    train_ranker,
)
from isthmus_client.signals.cut import inner_cuts, task_of
from isthmus_client.signals.table import CONTENT, SignalTable
from isthmus_client.workspace import Workspace

CONFIG = EncoderConfig(content=6, dim=8, layers=1, heads=2, max_events=6)
ITEMS = 25
EVERYTHING = RankerSettings(hard=10, uniform=ITEMS)
FEW = RankerSettings(users=36, few=5, hard=4, uniform=5, targets=2)


@pytest.fixture(scope="module")
def workspace():
    return Workspace(random_platform(users=30, items=ITEMS, events=12, seed=3), CONFIG.max_events)


@pytest.fixture
def ranker():
    made = initial_ranker(RankerConfig(), seed=4)
    with torch.no_grad():
        made.narrow.weight.normal_(std=0.5, generator=torch.Generator().manual_seed(1))
    return made


def encoder():
    return initial_encoder(CONFIG, seed=1)


def rows_of(examples):
    return np.arange(len(examples))


def slow_losses(workspace, ranker, table, cut):
    """The softmax over every item that is new to the user, a user at a time."""
    task, losses = task_of(workspace, cut), []
    for row, user in enumerate(task.users):
        signals = table.of(np.array([user]))[0].astype(np.float16).astype(np.float32)
        with torch.no_grad():
            scores = ranker(torch.from_numpy(signals)).double().numpy()
        new = np.setdiff1d(np.arange(workspace.items), task.history[row].indices)
        whole = math.log(np.exp(scores[new]).sum())
        losses.append(whole - scores[task.targets[row].indices].mean())
    return losses


def test_the_loss_is_the_full_softmax_where_candidates_cover_the_catalogue(workspace, ranker):
    example_set = ExampleSet(workspace, EVERYTHING, seed=0)
    examples = example_set.with_encoder(encoder()).first(example_set.whole)
    expected = [
        loss
        for cut in inner_cuts(workspace)
        for loss in slow_losses(workspace, ranker, SignalTable(workspace, cut, encoder()), cut)
    ]
    assert len(examples) == len(expected) > 20
    for row, loss in enumerate(expected):
        made = float(ranker_loss(ranker, examples, np.array([row])).detach())
        assert made == pytest.approx(loss, abs=1e-3)
    whole = float(ranker_loss(ranker, examples, rows_of(examples)).detach())
    assert whole == pytest.approx(np.mean(expected), abs=1e-3)


def test_the_partition_function_is_right_in_expectation(workspace):
    """Over 4 000 draws of candidates; the mean lies within four standard errors of the truth."""
    task, random = task_of(workspace, inner_cuts(workspace)[0]), np.random.default_rng(2)
    scores = random.normal(size=ITEMS).astype(np.float32)
    new = np.setdiff1d(np.arange(ITEMS), task.history[0].indices)
    draws = []
    for _ in range(4000):
        chosen, offsets = ranker_training._candidates(task, 0, scores, EVERYTHING_BUT_FEW, random)
        draws.append(np.exp(scores[chosen] + offsets).sum())
    truth, error = np.exp(scores[new]).sum(), np.std(draws) / len(draws) ** 0.5
    assert abs(np.mean(draws) - truth) < 4 * error
    assert error / truth < 0.01
    assert np.std(draws) > 0  # it is a sample after all


EVERYTHING_BUT_FEW = RankerSettings(hard=4, uniform=5)


def test_the_sampled_loss_is_close_to_the_full_one(workspace, ranker):
    full = ExampleSet(workspace, EVERYTHING, seed=0).with_encoder(encoder())
    truth = float(ranker_loss(ranker, full, rows_of(full)).detach())
    sampled = []
    for seed in range(12):
        some = ExampleSet(workspace, EVERYTHING_BUT_FEW, seed).with_encoder(encoder())
        sampled.append(float(ranker_loss(ranker, some, rows_of(some)).detach()))
    assert abs(np.mean(sampled) - truth) < 0.1
    # Without the offsets a sample would make the task look easier than it is.
    bare = replace(some, offsets=np.where(np.isfinite(some.offsets), 0, some.offsets))
    assert float(ranker_loss(ranker, bare, rows_of(bare)).detach()) < np.mean(sampled) - 0.2


def test_candidates_are_new_to_the_user_once_each_and_stand_for_all(workspace):
    example_set = ExampleSet(workspace, FEW, seed=5)
    cuts = inner_cuts(workspace)
    assert len(example_set._parts) > len(cuts)
    for part in example_set._parts:
        task = task_of(workspace, part.cut)
        most = FEW.users // len(cuts) if any(part.cut.key == cut.key for cut in cuts) else FEW.few
        assert part.users.size == min(task.users.size, most)
        for user, items, shares, offsets in zip(
            part.users, part.items, part.examples.shares, part.examples.offsets, strict=True
        ):
            row = int(np.flatnonzero(task.users == user)[0])
            history, targets = task.history[row].indices, task.targets[row].indices
            there = np.isfinite(offsets)
            chosen = items[there]
            assert np.unique(chosen).size == chosen.size
            assert not np.isin(chosen, history).any()
            assert set(chosen[shares[there] > 0].tolist()) <= set(targets.tolist())
            assert not np.isin(chosen[shares[there] == 0], targets).any()
            wanted = min(targets.size, FEW.targets)
            assert shares[there & (shares > 0)] == pytest.approx(np.full(wanted, 1 / wanted))
            others = ITEMS - history.size - targets.size
            stands_for = np.exp(offsets[there & (shares == 0)]).sum()
            assert stands_for == pytest.approx(others, rel=1e-5)


def test_signals_of_candidates_are_those_of_the_table(workspace):
    example_set = ExampleSet(workspace, FEW, seed=5)
    examples, start = example_set.with_encoder(encoder()), 0
    for part in example_set._parts:
        whole = SignalTable(workspace, part.cut, encoder()).of(part.users)
        for row, items in enumerate(part.items):
            there = np.isfinite(part.examples.offsets[row])
            made = examples.signals[start + row][:, there]
            np.testing.assert_allclose(made, whole[row][:, items[there]], atol=5e-3)
        start += part.users.size
    assert start == len(examples) == example_set.users


def test_an_encoder_changes_its_own_signal_alone(workspace):
    example_set = ExampleSet(workspace, FEW, seed=5)
    without, one = example_set.with_encoder(None), example_set.with_encoder(encoder())
    two = example_set.with_encoder(initial_encoder(CONFIG, seed=1))
    rest = np.arange(len(SIGNALS)) != CONTENT
    np.testing.assert_array_equal(one.signals[:, rest], without.signals[:, rest])
    assert not without.signals[:, CONTENT].any()
    assert one.signals[:, CONTENT].any()
    assert one.signals.tobytes() == two.signals.tobytes()
    assert not example_set.with_encoder(None).signals[:, CONTENT].any()


def test_the_same_seed_draws_the_same_and_another_others(workspace):
    one, two, other = (ExampleSet(workspace, FEW, s).with_encoder(None) for s in (5, 5, 6))
    assert one.signals.tobytes() == two.signals.tobytes()
    assert one.offsets.tobytes() == two.offsets.tobytes()
    assert one.signals.tobytes() != other.signals.tobytes()


def test_platforms_with_the_same_data_draw_their_own(workspace):
    twin = replace(workspace, platform=replace(workspace.platform, name="twin"))
    one, two = (ExampleSet(w, FEW, 5).with_encoder(None) for w in (workspace, twin))
    assert one.signals.tobytes() != two.signals.tobytes()


def test_what_is_not_there_has_no_say(workspace, ranker):
    examples = ExampleSet(workspace, EVERYTHING, seed=0).with_encoder(encoder())
    empty = ~np.isfinite(examples.offsets)
    assert empty.any()
    noise = np.where(empty[:, None], np.float16(7), examples.signals)
    noisy = replace(examples, signals=noise)
    gradients = []
    for each in (examples, noisy):
        ranker.zero_grad()
        ranker_loss(ranker, each, rows_of(each)).backward()
        gradients.append([p.grad.clone() for p in ranker.parameters()])
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two)
        assert torch.isfinite(one).all()


def test_training_lowers_the_loss(workspace):
    examples = ExampleSet(workspace, EVERYTHING, seed=0).with_encoder(encoder())
    ranker = initial_ranker(RankerConfig(), seed=4)
    before = float(ranker_loss(ranker, examples, rows_of(examples)).detach())
    optimiser = ranker_optimiser(ranker, 3e-3, 0.01)
    train_ranker(ranker, examples, [rows_of(examples)] * 60, optimiser)
    assert float(ranker_loss(ranker, examples, rows_of(examples)).detach()) < before - 0.1


def test_without_a_batch_nothing_moves(workspace):
    ranker = initial_ranker(RankerConfig(), seed=4)
    examples = ExampleSet(workspace, FEW, seed=0).with_encoder(None)
    before = [p.clone() for p in ranker.parameters()]
    assert train_ranker(ranker, examples, [], ranker_optimiser(ranker, 1.0, 0.01)) == 0.0
    assert all(torch.equal(p, q) for p, q in zip(ranker.parameters(), before, strict=True))


@pytest.mark.parametrize(
    ("histories", "items"),
    [
        (histories_of([0, 1, 2, 0], [2, 1, 0, 1]), 3),
        (histories_of([0, 1, 0, 1], [1, 0, 1, 0]), 2),  # nothing is left to draw
        (histories_of([0, 0, 0], [0, 0]), 1),
        (histories_of([4], [2], [7]), 9),
        (histories_of(), 5),
        (histories_of([], []), 5),
        (histories_of([0, 1, 2, 3], [4, 5, 6, 7], timed=False), 9),
    ],
)
def test_odd_platforms_give_examples_or_none(histories, items, ranker):
    workspace = Workspace(platform_of(histories, items), CONFIG.max_events)
    examples = ExampleSet(workspace, RankerSettings(), seed=0).with_encoder(encoder())
    assert isinstance(examples, Examples)
    assert np.isfinite(examples.signals).all()
    np.testing.assert_allclose(examples.shares.sum(axis=1), 1, atol=1e-6)
    if len(examples):
        assert math.isfinite(float(ranker_loss(ranker, examples, rows_of(examples)).detach()))
