"""The benchmark of privacy from its options to its files, and what a second call computes."""

import json
from dataclasses import replace

import pytest
from price_cells import cell_of
from tiny_encoder import save_tiny_encoder

from isthmus.errors import IsthmusError
from isthmus.files import write_text
from isthmus.progress import Silent
from isthmus_simulations.price import run as benchmark
from isthmus_simulations.price.options import PriceOptions
from isthmus_simulations.price.results import PriceResults
from isthmus_simulations.transfer.inputs import prepare_inputs

NAMES = ("shop", "stall")


@pytest.fixture(name="options", scope="module")
def _options(tmp_path_factory):
    """Two small shops of one's own, and a text encoder of a few kilobytes."""
    folder = tmp_path_factory.mktemp("mine")
    save_tiny_encoder(folder / "tiny")
    platforms = ""
    for name in NAMES:
        items = "".join(
            f"{name}{row},{word} pen\n" for row, word in enumerate(("red", "blue", "ink"))
        )
        rows = [
            f"u{u},{name}{(day + u) % 3},2024-01-{day + 1:02}\n"
            for u in range(9)
            for day in range(20)
        ]
        (folder / f"{name}-items.csv").write_text("item_id,title\n" + items)
        (folder / f"{name}-events.csv").write_text("user_id,item_id,timestamp\n" + "".join(rows))
        platforms += f'[[platforms]]\nname = "{name}"\nsource = "files"\n'
        platforms += f'events = "{name}-events.csv"\nitems = "{name}-items.csv"\n'
    (folder / "mine.toml").write_text(f'name = "mine"\n[encoder]\ndirectory = "tiny"\n{platforms}')
    return PriceOptions(
        out=folder / "out",
        scenarios=(str(folder / "mine.toml"),),
        epsilons=(8.0,),
        cache=folder / "cache",
    )


def tasks_for(options):
    inputs, _ = prepare_inputs(options.inputs(), options.out / "platforms", Silent())
    return benchmark.tasks_of(options, inputs)


def plant(tasks):
    """Cells as if every task had been computed."""
    for task in tasks:
        cell = cell_of(task.run, NAMES, identity=task.identity)
        write_text(task.path, cell.model_dump_json())


def test_finished_trainings_are_read_and_published(options, tmp_path):
    mine = replace(options, out=tmp_path / "out")
    with benchmark.own(mine.out, benchmark="privacy"):
        tasks = tasks_for(mine)
        plant(tasks)
    results = benchmark.benchmark_privacy(mine, Silent())
    assert PriceResults.load(mine.out / benchmark.JSON) == results
    assert "stall" in (mine.out / benchmark.PAGE).read_text()
    assert set(results.scenarios["mine"].platforms) == set(NAMES)
    assert results.config["code"] == tasks[0].code
    assert json.loads(json.dumps(results.config["options"]))["epsilons"] == [8.0]
    assert len(results.scenarios["mine"].runs) == len(tasks) - 1  # the prior is no run


def test_what_a_cell_depends_on_is_in_its_name(options):
    def named(**changes):
        return {task.run.name: task.path.name for task in tasks_for(replace(options, **changes))}

    usual = named()
    assert len(set(usual.values())) == len(usual) == 3 + 2 + 2 + 2
    assert named() == usual
    assert named(workers=2) == usual
    more = named(epsilons=(8.0, 4.0), seeds=2)
    private = {name for name in usual if name.endswith(("-8", "-shop", "-stall"))}
    assert {name: more[name] for name in private} == {name: usual[name] for name in private}
    for change in ({"max_test_users": 3}, {"max_users": 5}, {"quick": True}):
        assert not set(named(**change).values()) & set(usual.values())
    slower = named(private_rounds=7)
    assert slower["mine-1-federated"] == usual["mine-1-federated"]
    assert slower["mine-1-pooled-8"] != usual["mine-1-pooled-8"]


def test_a_training_by_one_platform_reads_that_platform_alone(options):
    for task in tasks_for(options):
        names = {folder.name for folder in task.folders}
        assert names == ({task.run.platform} if task.run.platform else set(NAMES))
        private = task.plan.private
        assert (private is None) == (task.run.trust == "none")
        assert task.simulation.planted == 0
        if task.run.epsilon is not None:
            assert (private.trust, private.epsilon) == (task.run.trust, task.run.epsilon)


def test_restart_forgets_what_was_finished(options, tmp_path):
    mine = replace(options, out=tmp_path / "out", scenarios=("nowhere",), restart=True)
    with benchmark.own(mine.out, benchmark="privacy"):
        for name in ("cells", "unfinished"):
            write_text(mine.out / name / "old.json", "{}")
    with pytest.raises(IsthmusError):
        benchmark.benchmark_privacy(mine, Silent())
    assert not (mine.out / "cells").exists()
    assert not (mine.out / "unfinished").exists()
