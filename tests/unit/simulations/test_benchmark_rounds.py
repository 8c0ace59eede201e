import json
from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner

from isthmus.errors import FederationError, ScenarioError
from isthmus_client.federated_trainer import initial_parameters
from isthmus_simulations.benchmark_rounds import Comparison, _require_same, _state, compare
from isthmus_simulations.benchmark_work import (
    BareLoop,
    Work,
    Worker,
    save_work,
    trainer_from_folder,
)
from isthmus_simulations.cli_benchmark import app

SMALL = Work(parameters=1, steps=2, users=3, events=4, negatives=5)


def test_the_encoder_has_at_least_as_many_parameters_as_asked():
    count = initial_parameters(Work(parameters=50_000).encoder(), 0).size
    assert 50_000 <= count < 65_000


def test_both_sides_do_the_same_work_and_every_round_is_paired():
    found = compare("memory", 3, work=SMALL, rounds=2, threads=2)
    assert (found.engine, found.platforms) == ("memory", 3)
    assert len(found.ratios) == len(found.engine_seconds) == len(found.bare_seconds) == 2
    assert found.ratios[1] == pytest.approx(found.engine_seconds[1] / found.bare_seconds[1])


def test_threads_of_pytorch_are_given_back():
    before = torch.get_num_threads()
    compare("memory", 1, work=SMALL, rounds=1, threads=1)
    assert torch.get_num_threads() == before


def test_different_work_is_noticed():
    start = initial_parameters(SMALL.encoder(), 0)
    bare = BareLoop([Worker("a", SMALL)], _state(start), 1)
    bare.round(1)
    bare.close()
    with pytest.raises(FederationError, match="different work"):
        _require_same(start, bare)


def test_the_median_is_the_ratio():
    assert Comparison("memory", 2, (1.5, 1.0, 9.0), (1, 1, 1), (1, 1, 1), 0.0, "").ratio == 1.5


def test_a_folder_makes_the_same_trainer(tmp_path):
    save_work(tmp_path / "platform-000", SMALL)
    there = trainer_from_folder(tmp_path / "platform-000")
    here = Worker("platform-000", SMALL).trainer()
    start = initial_parameters(SMALL.encoder(), 0)
    plan = replace(SMALL.plan(), round=1)
    one, two = (trainer.train(start, plan).update for trainer in (there, here))
    assert one.fingerprint() == two.fingerprint()
    assert one.norm() > 0


def run(*options):
    small = ["--parameters", "1", "--steps", "1", "--users", "2", "--rounds", "1"]
    return CliRunner().invoke(app, ["rounds", *small, *options])


def test_the_command_prints_and_writes_json(tmp_path):
    out = tmp_path / "rounds.json"
    done = run("--platforms", "1,2", "--engines", "memory", "--json", "--out", str(out))
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert printed == json.loads(out.read_text())
    assert [one["platforms"] for one in printed["comparisons"]] == [1, 2]
    assert printed["work"]["steps"] == 1


def test_the_table_has_a_line_per_comparison():
    done = run("--platforms", "2", "--engines", "memory")
    assert "memory" in done.stdout
    assert "ratio" in done.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--platforms", "two"], "--platforms is 'two'"),
        (["--platforms", "0"], "--platforms is '0'"),
        (["--engines", "memory,dask"], "dask"),
    ],
)
def test_a_wrong_option_is_named(options, words):
    done = run(*options)
    assert isinstance(done.exception, ScenarioError)
    assert words in str(done.exception)
