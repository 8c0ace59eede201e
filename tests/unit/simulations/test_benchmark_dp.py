"""What `isthmus benchmark dp` compares does the same work, and its figures say what they claim."""

import json
import warnings

import pytest
import torch
from typer.testing import CliRunner

from isthmus_simulations import benchmark_dp_sides as sides
from isthmus_simulations.benchmark_dp import GOALS, Cost, Goal, compare_dp
from isthmus_simulations.benchmark_dp_memory import peak_megabytes
from isthmus_simulations.benchmark_dp_sides import SIDES, Work
from isthmus_simulations.cli_benchmark import app

pytestmark = pytest.mark.filterwarnings("ignore")  # Opacus 1.6 uses what PyTorch has renamed
WORK = Work(users=7, negatives=20, items=40)


def gradients(monkeypatch, side):
    """Of the encoder, after one step of a side without privacy."""
    encoder = WORK.encoder()
    monkeypatch.setattr(Work, "encoder", lambda _: encoder)
    sides.step_of(side, WORK)()
    return {name: p.grad for name, p in encoder.named_parameters()}


def test_the_twin_and_autograd_take_the_same_gradient(monkeypatch):
    one, other = (gradients(monkeypatch, side) for side in ("twin", "autograd"))
    for name, gradient in one.items():
        torch.testing.assert_close(gradient, other[name], rtol=1e-3, atol=1e-6, msg=name)


def test_opacus_losses_are_those_of_autograd():
    """The same loss, so that no side has less to learn than another."""
    encoder = WORK.encoder()
    model = sides._ForOpacus(encoder)
    for name in ("behaviour", "gap", "position"):
        getattr(model.encoder, name).load_state_dict(getattr(encoder, name).state_dict())
    losses = sides._opacus_losses(model, encoder, WORK, WORK.batch)
    expected = [
        float(sides.content_loss(encoder, part, WORK.content, WORK.same_negatives(), 20).detach())
        for part in (sides.rows_of(WORK.batch, [user]) for user in range(7))
    ]
    assert losses.tolist() == pytest.approx(expected, rel=1e-4)


def test_micro_batches_hold_the_logical_batch():
    assert sum(len(part.items) for part in WORK.parts()) == 7
    assert (
        sum((part.targets >= 0).sum() for part in WORK.parts()) == (WORK.batch.targets >= 0).sum()
    )


@pytest.mark.slow
def test_every_side_runs_and_the_command_prints_its_ratios():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arguments = ["dp", "--batches", "5", "--negatives", "9", "--rounds", "1", "--no-memory"]
        done = CliRunner().invoke(app, [*arguments, "--json"])
    (found,) = json.loads(done.stdout)["batches"]
    assert set(found["seconds"]) == set(SIDES)
    assert found["ours_over_twin"] == pytest.approx(
        found["seconds"]["ours"][0] / found["seconds"]["twin"][0]
    )
    assert {"ours_over_autograd", "opacus_ghost_over_ours", "opacus_hooks_over_ours"} < set(found)
    assert 0 < found["noise_and_ledger_share"] < 1


@pytest.mark.slow
def test_peaks_come_from_a_process_of_their_own():
    held = torch.ones(30 * 2**20)  # 120 MB here are not there
    assert 0 <= peak_megabytes("twin", WORK) < 60
    assert held.sum() > 0


def test_figures_are_medians_of_paired_ratios():
    seconds = dict.fromkeys(SIDES, (1.0, 1.0, 1.0)) | {
        "ours": (1.0, 4.0, 3.0),
        "twin": (1.0, 2.0, 2.0),
    }
    cost = Cost(64, seconds, noise=0.2, ledger=1.0, megabytes={"ours": 30.0, "twin": 20.0})
    assert cost.figures["ours_over_twin"] == 1.5
    assert cost.figures["memory_over_twin"] == 1.5
    assert cost.figures["noise_and_ledger_share"] == pytest.approx(1.2 / 4.0)
    assert set(cost.figures) == set(GOALS)


@pytest.mark.parametrize(
    ("goal", "figure", "users", "met"),
    [
        (Goal(most=1.25), 1.25, 64, True),
        (Goal(most=1.25), 1.26, 64, False),
        (Goal(least=2.0), 1.9, 64, False),
        (Goal(most=1.0, users=256), 1.4, 64, True),
        (Goal(most=1.0, users=256), 1.4, 256, False),
    ],
)
def test_goals(goal, figure, users, met):
    assert goal.met(figure, users) is met


def test_sizes_that_are_no_numbers_are_refused():
    done = CliRunner().invoke(app, ["dp", "--batches", "64,many"])
    assert "--batches" in str(done.exception)


def test_nothing_is_compared_where_nothing_is_asked():
    assert compare_dp([], negatives=9, rounds=1, seed=1, memory=False) == []
