"""What `isthmus benchmark dp` compares does the same work, and its figures say what they claim."""

import json
import warnings

import pytest
import torch
from typer.testing import CliRunner

from isthmus.encoder_config import default_encoder
from isthmus_client.dp import clipped_sum
from isthmus_simulations import benchmark_dp_opacus as opacus
from isthmus_simulations import benchmark_dp_sides as sides
from isthmus_simulations.benchmark_dp import GOALS, Cost, Goal, compare_dp
from isthmus_simulations.benchmark_dp_memory import peak_megabytes
from isthmus_simulations.benchmark_dp_sides import SIDES
from isthmus_simulations.benchmark_dp_work import Work
from isthmus_simulations.cli_benchmark import app

pytestmark = pytest.mark.filterwarnings("ignore")  # Opacus 1.6 uses what PyTorch has renamed
WORK = Work(users=7, negatives=20, adapter_width=30, items=40)


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


@pytest.mark.parametrize("ghost", [False, True])
@pytest.mark.parametrize("clipping_norm", [0.05, 1e3])
def test_opacus_adds_up_the_same_clipped_gradients(monkeypatch, ghost, clipping_norm):
    """All parameters together: neither side does less than the other, and both do it right."""
    monkeypatch.setattr(opacus, "CLIPPING_NORM", clipping_norm)
    ours = clipped_sum(
        WORK.encoder(), WORK.parts(), WORK.content, WORK.negative_rows, clipping_norm
    ).tensors
    model, optimiser = opacus.wrapped(WORK, ghost=ghost)
    opacus.backward(model, optimiser, opacus.opacus_losses(model, WORK, WORK.batch))
    optimiser.step()
    theirs = {name: p.grad for name, p in model._module.named_parameters()}
    assert len(theirs) == len(ours)
    for name, expected in ours.items():
        found = {"item.weight": "turned.weight", "log_scale": "sharpness.log_scale"}.get(name)
        gradient = theirs[found or f"encoder.{name}"]
        gradient = gradient.T if name == "item.weight" else gradient
        torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5, msg=name)


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


@pytest.mark.parametrize("given", [("--batches", "64,many"), ("--adapter-width", "385")])
def test_sizes_that_cannot_be_are_refused(given):
    done = CliRunner().invoke(app, ["dp", *given])
    assert given[0] in str(done.exception)


def test_the_encoder_is_that_of_a_private_run():
    assert Work(users=7).config == default_encoder(private=True)
    assert WORK.encoder().item.weight.shape == (64, 30)


def test_nothing_is_compared_where_nothing_is_asked():
    assert compare_dp([], negatives=9, adapter_width=8, rounds=1, seed=1, memory=False) == []
