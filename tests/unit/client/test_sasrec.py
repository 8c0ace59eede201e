"""SASRec learns what is planted, is reproducible, and knows nothing of what it never met."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted_histories import histories_of, platform_of
from torch.nn import functional

from isthmus_client.evaluate import Evaluator
from isthmus_client.histories import leave_one_out
from isthmus_client.sasrec import SasRecSettings, SasRecTraining, fit_sasrec, sasrec_loss
from isthmus_client.sasrec_model import Dropout, initial_sasrec
from isthmus_client.sequences import Batch
from isthmus_client.workspace import Workspace

ITEMS, MET = 23, 19
SMALL = SasRecSettings(
    dim=16,
    dropout=0.1,
    negatives=12,
    learning_rate=0.01,
    batch_size=16,
    epochs=30,
    patience=0,
    item_speed=6.0,
)


def cycle(user, length=7):
    """Everybody walks the same ring of items, from a place of their own."""
    return [(user + step) % MET for step in range(length)]


@pytest.fixture(scope="module")
def workspace():
    histories = histories_of(*map(cycle, range(60)), timed=False)
    platform = platform_of(histories, ITEMS, split=leave_one_out(histories))
    return Workspace(platform, max_events=5)


@pytest.fixture(scope="module")
def contender(workspace):
    return fit_sasrec(workspace, SMALL, seed=3)


def test_it_learns_the_order_of_items(workspace, contender):
    ranking = Evaluator(workspace, "test").scorer(contender.scorer("test"))
    assert ranking.mean_ndcg > 0.9
    assert Evaluator(workspace, "test").popularity().mean_ndcg < 0.5


def test_the_trial_tells_how_it_was_made(contender):
    (trial,) = contender.trials
    assert contender.name == "sasrec"
    assert trial.settings["learning_rate"] == 0.01
    assert trial.ndcg > 0.9
    assert 0 < trial.settings["best_epoch"] <= SMALL.epochs


def test_items_never_met_are_last_and_equal(contender):
    scores = contender.scorer("test")(np.arange(9))
    assert scores.shape == (9, ITEMS)
    unmet = scores[:, MET:]
    assert (unmet == unmet[:, :1]).all()
    assert (unmet[:, 0] < scores[:, :MET].min(axis=1)).all()


def test_the_same_seed_gives_the_same_scores(workspace):
    short = SasRecSettings(dim=8, batch_size=16, epochs=2, negatives=5)
    made = []
    for seed in (4, 4, 5):
        torch.manual_seed(len(made))  # PyTorch's own generator plays no part
        made.append(fit_sasrec(workspace, short, seed=seed).scorer("test")(np.arange(60)))
    np.testing.assert_array_equal(made[0], made[1])
    assert np.abs(made[0] - made[2]).max() > 0


def test_progress_adds_up_where_training_stops_early(workspace):
    told = []
    settings = SasRecSettings(dim=8, batch_size=16, epochs=40, patience=1, validate_every=1)
    fit_sasrec(workspace, settings, seed=1, advance=told.append)
    assert sum(told) == 40


def test_a_platform_without_validation_users_is_trained_to_the_end():
    histories = histories_of([0, 1], [1, 2], [2, 0, 1], timed=False)
    split = leave_one_out(histories)
    alone = Workspace(platform_of(histories, 4, split=split), 5, training_users=np.array([0, 1]))
    settings = SasRecSettings(dim=8, epochs=3, validate_every=1, patience=1)
    made = fit_sasrec(alone, settings, seed=0)
    assert made.trials[0].ndcg is None
    assert made.trials[0].settings["best_epoch"] == 3
    assert np.isfinite(made.scorer("test")(np.arange(3))).all()


def test_a_small_catalogue_is_its_own_negatives(workspace):
    sampled = SasRecTraining(workspace, replace(SMALL, negatives=ITEMS - 1), seed=0)._negatives()
    assert sampled.size == ITEMS - 1
    whole = SasRecTraining(workspace, replace(SMALL, negatives=ITEMS), seed=0)._negatives()
    assert whole.tolist() == list(range(ITEMS))


def test_what_is_ranked_follows_the_trained_model_with_less_noise(workspace):
    training = SasRecTraining(workspace, SMALL, seed=0)
    start = training.averaged.item.weight.clone()
    for _ in range(3):
        training.one_pass(workspace.sequences.training_users)
    moved = [(m.item.weight - start).norm() for m in (training.averaged, training.model)]
    assert 0 < moved[0] < moved[1]


def test_the_loss_is_the_mean_over_positions_of_logits_written_out():
    model = initial_sasrec(ITEMS, dim=8, blocks=2, heads=2, max_events=4, seed=0)
    with torch.no_grad():
        model.item.weight.mul_(100)
    items = np.array([[3, 5, 3, 9], [7, 2, -1, -1]])
    targets = np.array([[5, 3, -1, 4], [2, -1, -1, -1]])
    negatives = np.array([5, 1, 4, 4, 20])
    loss = sasrec_loss(model, Batch(items, items, items, targets), negatives, positions=4)
    losses = []
    for row, wanted in zip(items.tolist(), targets.tolist(), strict=True):
        known = [item for item in row if item >= 0]
        hidden = model(model.item(torch.tensor([known])))[0]  # without padding
        for place, target in [(p, t) for p, t in enumerate(wanted) if t >= 0]:
            others = [n for n in negatives.tolist() if n != target]
            logits = hidden[place] @ model.item.weight[[target, *others]].T
            losses.append(functional.cross_entropy(logits, torch.tensor(0)))
    torch.testing.assert_close(loss, torch.stack(losses).mean())


def test_a_pass_makes_no_tensor_on_the_default_device(workspace):
    """As on a GPU: what is made without a word about its device would land elsewhere."""
    users = workspace.sequences.training_users
    trainings = [SasRecTraining(workspace, SMALL, seed=3) for _ in range(2)]
    trainings[0].one_pass(users)
    with torch.device("meta"):
        trainings[1].one_pass(users)
    tables = [training.averaged.item.weight for training in trainings]
    torch.testing.assert_close(tables[0], tables[1], rtol=0, atol=0)


def test_dropout_keeps_the_mean_and_draws_from_its_own_generator():
    ones = torch.ones(200, 200)
    drop = Dropout(0.3, np.random.default_rng(1))
    dropped = drop(ones)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.02)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert not torch.equal(drop(ones), dropped)
    assert torch.equal(Dropout(0.3, np.random.default_rng(1))(ones), dropped)
    assert Dropout(0.0, np.random.default_rng(1))(ones) is ones
