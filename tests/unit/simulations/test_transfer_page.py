"""The benchmark's page, table and CSV: whole, self-contained, escaped, true to the results."""

import csv
import html
import io
import re

import pytest
from page_checks import Balanced
from rich.console import Console
from transfer_cells import NAMES, analysed, cell, platform_facts, seeds_of, values

from isthmus_simulations.transfer.models import CANDIDATE
from isthmus_simulations.transfer.page import render
from isthmus_simulations.transfer.table import COLUMNS, write_table
from isthmus_simulations.transfer.terminal import render as render_terminal
from isthmus_simulations.transfer.words import short_names

HOSTILE = "</script><img src=x onerror=alert(1)>[red]"
RESULTS = analysed(seeds_of({CANDIDATE: 0.2}))


@pytest.fixture(name="text", scope="module")
def _text():
    return render(RESULTS)


def test_the_page_is_whole(text):
    page = Balanced(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    anchors = {link[1:] for link in page.links if link.startswith("#")}
    assert anchors <= set(page.ids)


def test_the_page_needs_nothing_from_outside(text):
    page = Balanced(text)
    assert {link for link in page.links if not link.startswith("#")} == {"data:,"}
    assert not re.search(r"https?://|@import|url\(", text)
    assert "default-src 'none'" in html.unescape(text)


def test_every_figure_of_the_main_comparison_stands_there(text):
    found = RESULTS.platforms[0]
    main = found.comparisons["candidate"]
    assert f"{found.models[CANDIDATE].ndcg:.4f}" in text
    assert f"{found.models['local'].ndcg:.4f}" in text
    assert f"+{100 * main.difference.relative:.0f}" in text
    assert "neighbours 100" in text
    for goal in RESULTS.goals:
        assert goal.name.replace(">", "&gt;") in text


def test_two_windows_are_said():
    results = analysed(seeds_of({CANDIDATE: 0.2}), windows=2)
    told = io.StringIO()
    Console(file=told, width=80).print(render_terminal(results))
    for text in (render(results), told.getvalue()):
        assert "two windows" in " ".join(text.split())
    assert "two windows" not in render(RESULTS)


def test_names_from_data_stay_text():
    shops = {HOSTILE: (platform_facts(50), values(range(50), {}))}
    results = analysed([cell(**shops)])
    text = render(results)
    assert HOSTILE not in text
    assert "&lt;/script&gt;&lt;img" in text
    marked = analysed([cell(**{"[red]<b>hut</b>": (platform_facts(50), values(range(50), {}))})])
    assert "[red]<b>hut</b>" in shown(marked)


def shown(results):
    """What a terminal of 80 columns shows."""
    console = Console(width=80, file=io.StringIO())
    console.print(render_terminal(results))
    return console.file.getvalue()


def test_the_terminal_shows_the_verdict_and_fits_eighty_columns():
    (line,) = [line for line in shown(RESULTS).splitlines() if line.lstrip().startswith("shop")]
    assert "gains" in line
    assert f"{RESULTS.platforms[0].models[CANDIDATE].ndcg:.4f}" in line
    assert "…" not in line


def test_platforms_of_one_name_carry_their_scenario():
    shops = {"shop": (platform_facts(50), values(range(50), {})), "hut": _hut()}
    one, two = cell(1, "north", **shops), cell(1, "south", shop=shops["shop"])
    assert short_names(analysed([one, two])) == ("north/shop", "hut", "south/shop")


def _hut():
    return platform_facts(3), values([], {})


def test_a_platform_without_figures_is_shown_with_dashes():
    results = analysed([cell(shop=(platform_facts(50), values(range(50), {})), hut=_hut())])
    assert "hut has no test users" in render(results)
    assert "hut" in shown(results)


def test_the_csv_has_a_row_for_every_model(tmp_path):
    write_table(RESULTS, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["model"] for row in rows] == list(NAMES)
    main = RESULTS.platforms[0].comparisons["candidate"]
    for row in rows:
        assert float(row["ndcg@10"]) == RESULTS.platforms[0].models[row["model"]].ndcg
        assert row["verdict"] == (main.verdict if row["model"] == CANDIDATE else "")
