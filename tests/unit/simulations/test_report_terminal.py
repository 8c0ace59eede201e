"""The table in a terminal, wide and narrow."""

import io

import pytest
from example_results import example_results
from rich.console import Console

from isthmus_simulations.report.terminal import render

RESULTS = example_results()


def shown(results, width, **options):
    console = Console(file=io.StringIO(), width=width, **options)
    console.print(render(results))
    return console.file.getvalue()


def test_wide_terminals_get_one_row_for_each_platform():
    (row,) = [line for line in shown(RESULTS, 160).splitlines() if line.startswith(" deli")]
    assert row.split()[:9] == [
        "deli",
        "0.0312",
        "0.0481",
        "0.0221",
        "0.0455",
        "0.0226",
        "0.0441",
        "0.0462",
        "0.0498",
    ]
    assert row.split()[-1] == "Item-kNN"  # what its gate keeps, by name


@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_figure_is_cut(width):
    text = shown(RESULTS, width)
    for platform in RESULTS.platforms.values():
        for metrics in platform.models.values():
            assert metrics.ndcg is None or f"{metrics.ndcg:.4f}" in text
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert max(map(len, text.splitlines())) <= width


def test_the_best_is_bold_and_the_served_underlined():
    text = shown(RESULTS, 160, force_terminal=True, color_system="standard")
    assert "\x1b[1;4m0.0481" in text  # deli serves item-kNN, its best
    assert "\x1b[1;4m0.1229" in text
    assert "\x1b[1;4m0.0498" not in text  # pooled is better, but nobody could serve it


def test_names_are_no_markup():
    platforms = {"[red]shop[/red]": RESULTS.platforms["deli"]}
    assert "[red]shop[/red]" in shown(example_results(platforms=platforms), 160)


def test_newcomer_warnings_and_counts_are_shown():
    text = shown(RESULTS, 160)
    assert "Newcomer nutrition" in text
    assert "3 of 5 platforms gain" in text
    assert "Warning: deli: 12 users" in text
    assert "Newcomer" not in shown(example_results(newcomer=None), 160)


def test_a_run_without_figures_is_still_shown():
    bare = RESULTS.platforms["deli"].model_copy(update={"models": {}, "repeat_models": {}})
    assert "1 platforms" in shown(example_results(platforms={"only": bare}), 80)
