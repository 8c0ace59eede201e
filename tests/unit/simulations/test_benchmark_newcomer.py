"""Every platform in turn as a newcomer: cells are kept and resumed, and what they say together."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from tiny_encoder import save_tiny_encoder

from isthmus.errors import ScenarioError
from isthmus.progress import Silent
from isthmus_client.day_one_models import STRONG, WITHOUT_USERS, names
from isthmus_client.figures import Metrics
from isthmus_client.sasrec import SasRecSettings
from isthmus_simulations import benchmark_newcomer
from isthmus_simulations.benchmark_newcomer import Grid, run_grid
from isthmus_simulations.newcomer_cells import CELL, Cell, CellSize, goals, rows
from isthmus_simulations.options import checked
from isthmus_simulations.report.newcomers import document, page, render

SHOPS = Path(__file__).parents[3] / "docs" / "examples" / "two-shops" / "two-shops.toml"


def metrics(ndcg):
    return Metrics(ndcg=ndcg, users=50)


def size(users, seconds=3.0, **models):
    return CellSize(
        users=users,
        models={name: metrics(ndcg) for name, ndcg in models.items()},
        served=None if not users else "personalised",
        seconds=dict.fromkeys(models, seconds),
    )


def cell(newcomer, seed, reference, *sizes):
    return Cell(
        identity="x",
        scenario="four",
        newcomer=newcomer,
        seed=seed,
        members=("one", "two"),
        users=2345,
        items=70,
        test_users=50,
        reference="sasrec",
        reference_metrics=metrics(reference),
        reference_seconds=8.0,
        sizes=sizes,
        seconds={"federation": 2.0},
    )


CELLS = (
    cell("wool", 1, 0.10, size(0, prior=0.05, release=0.09), size(1000, personalised=0.11)),
    cell("wool", 2, 0.20, size(0, prior=0.05, release=0.18), size(1000, personalised=0.22)),
    cell("tea", 1, 0.10, size(0, prior=0.05, release=0.07), size(400, 601.0, personalised=0.09)),
)


def test_shares_are_of_means_over_seeds():
    wool, tea = rows(CELLS)
    assert wool.catalogue_share == pytest.approx(0.27 / 0.30)
    assert wool.users_share == pytest.approx(0.33 / 0.30)
    assert (wool.largest, tea.largest) == (1000, 400)
    assert wool.mean(0, "release") == pytest.approx(0.135)
    assert wool.mean(0, "personalised") is None


def test_goals_are_counted_over_newcomers():
    assert [(g.met, g.newcomers) for g in goals(rows(CELLS))] == [(1, 2)] * 3 + [(0, 2)]


def test_a_release_saves_what_its_cheapest_use_as_good_costs_less():
    def saved(**figures):
        both = {name: metrics(ndcg) for name, (ndcg, _) in figures.items()}
        seconds = {name: spent for name, (_, spent) in figures.items()}
        last = CellSize(users=2345, models=both, served="local", seconds=seconds)
        return rows((cell("wool", 1, 0.1, size(0, release=0.09), last),))[0].saved

    own = {"local": (0.10, 40.0)}
    assert saved(**own, release=(0.10, 0.0), personalised=(0.12, 30.0)) == 1.0
    assert saved(**own, release=(0.09, 0.0), personalised=(0.12, 30.0)) == 0.25
    assert saved(**own, release=(0.09, 0.0), personalised=(0.12, 50.0)) == -0.25
    assert saved(**own, release=(0.09, 0.0), personalised=(0.09, 30.0)) == 0.0
    fused = {"local": (0.10, 60.0), "sasrec": (0.05, 20.0)}  # the same in both
    assert saved(**fused, release=(0.09, 0.0), personalised=(0.12, 50.0)) == 0.25
    assert saved(**fused, release=(0.10, 0.0), personalised=(0.12, 50.0)) == 1.0
    assert rows(CELLS)[0].saved is None


def test_more_users_than_the_goals_do_not_count():
    wool = cell(
        "wool",
        1,
        0.1,
        size(0, release=0.08),
        size(1000, personalised=0.09),
        size(2345, personalised=0.3),
    )
    assert rows((wool,))[0].users_share == pytest.approx(0.9)


def test_json_page_and_terminal_tell_the_same():
    found = json.loads(document(CELLS))
    shown = page(CELLS)
    console = Console(width=120)
    with console.capture() as said:
        console.print(render(CELLS))
    assert [row["newcomer"] for row in found["newcomers"]] == ["wool", "tea"]
    assert len(found["cells"]) == 3
    for text in (shown, said.get()):
        assert "90 %" in text
        assert "1 of 2 newcomers" in text
        assert "0.1350" in text
    assert "<script" not in shown


@pytest.fixture(name="grid", scope="module")
def _grid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("newcomer")
    options = checked(
        scenario=str(SHOPS),
        out=folder / "out",
        cache=folder / "cache",
        encoder=save_tiny_encoder(folder / "encoder"),
        rounds=1,
        seed=3,
    )
    return Grid((str(SHOPS),), 1, ("home",), options, SasRecSettings(epochs=2))


@pytest.fixture(name="cells", scope="module")
def _cells(grid):
    return run_grid(grid, Silent())


def path_of(grid):
    return grid.options.out / "cells" / "two-shops-home-3" / CELL


def test_a_newcomer_stays_out_of_the_federation(cells):
    (found,) = cells
    assert found.newcomer == "home"
    assert found.members == ("books",)
    assert found.sizes[0].users == 0
    assert found.reference_metrics.users == found.sizes[0].models["release"].users


def test_the_reference_is_the_sasrec_of_all_users(cells):
    whole = cells[0].sizes[-1]
    assert whole.users == cells[0].users > 0
    assert tuple(whole.models) == names((*WITHOUT_USERS, *STRONG))
    assert whole.models["sasrec"] == cells[0].reference_metrics


def test_a_finished_cell_is_not_computed_again(grid, cells):
    before = path_of(grid).stat().st_mtime_ns
    assert run_grid(grid, Silent()) == cells
    assert path_of(grid).stat().st_mtime_ns == before


def test_a_damaged_cell_goes_on_from_its_federation(grid, cells):
    rounds = grid.options.out / "cells" / "two-shops-home-3" / "rounds"
    before = {file.name: file.stat().st_mtime_ns for file in rounds.iterdir()}
    path_of(grid).write_text("{")
    (again,) = run_grid(grid, Silent())
    assert again.sizes[0].models == cells[0].sizes[0].models
    assert again.reference_metrics == cells[0].reference_metrics
    assert {file.name: file.stat().st_mtime_ns for file in rounds.iterdir()} == before


def test_a_cell_of_other_code_is_computed_again_from_its_first_round(grid, cells, monkeypatch):
    rounds = grid.options.out / "cells" / "two-shops-home-3" / "rounds"
    before = {file.name: file.stat().st_mtime_ns for file in rounds.iterdir()}
    monkeypatch.setattr(benchmark_newcomer, "code_digest", lambda: "0123456789abcdef")
    (again,) = run_grid(grid, Silent())
    assert again.identity != cells[0].identity
    assert again.sizes[0].models == cells[0].sizes[0].models
    assert all(file.stat().st_mtime_ns != before.get(file.name) for file in rounds.iterdir())


def test_an_unknown_newcomer_is_refused(grid):
    with pytest.raises(ScenarioError, match="no platform nobody") as caught:
        run_grid(replace(grid, newcomers=("home", "nobody")), Silent())
    assert "books, home" in caught.value.hint
