"""The page and the terminal's tables of the benchmark of privacy: whole, escaped, true."""

import html
import io
import re

import pytest
from page_checks import Balanced
from price_cells import analysed, cells
from rich.console import Console

from isthmus_simulations.price.page import chart, render
from isthmus_simulations.price.terminal import render as render_terminal

HOSTILE = "</script><img src=x onerror=alert(1)>[red]"
EPSILONS = (8.0, 1.0)


def change(run):
    if run.way == "private_alone" and run.platform == "toys" and run.epsilon == 1.0:
        return {"platforms": {}, "privacy": None, "impossible": "nobody is there"}
    return {"norm": 3.4} if run.way == "local" and run.epsilon == 1.0 else {}


RESULTS = analysed(cells(epsilons=EPSILONS, seeds=2, change=change), warnings=("only a test",))


@pytest.fixture(name="text", scope="module")
def _text():
    return render(RESULTS)


def shown(results):
    """What a terminal of 80 columns shows."""
    console = Console(width=80, file=io.StringIO())
    console.print(render_terminal(results))
    return console.file.getvalue()


def test_the_page_is_whole(text):
    page = Balanced(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)


def test_the_page_needs_nothing_from_outside(text):
    assert {link for link in Balanced(text).links if not link.startswith("#")} == {"data:,"}
    assert not re.search(r"https?://|@import|url\(", text)
    assert "default-src 'none'" in html.unescape(text)


def test_figures_goals_limits_and_warnings_stand_there(text):
    plain = html.unescape(text)
    for found in RESULTS.scenarios["trio"].platforms.values():
        for line in found.lines:
            assert f"{line.ndcg:.4f}" in plain
    for said in (*RESULTS.scenarios["trio"].limits, *RESULTS.warnings):
        assert said in plain
    for goal in RESULTS.goals:
        assert goal.name in plain
        assert f"{100 * goal.found:.1f}" in plain


def test_the_page_says_what_pooled_noise_is_against_colluders(text):
    section = text.partition('id="claims-1"')[2].partition("</section>")[0]
    pooled, local = re.findall(r"<th scope=\"row\">(?:Pooled|Local), ε = 8</th>(.*?)</tr>", section)
    assert re.findall(r"<td>([\d.]+)</td>", pooled) == [
        "7.92",
        "15.84",
        "23.76",
        "7.92",
        "23.76",
        "71.28",
    ]
    assert re.findall(r"<td>([\d.]+)</td>", local)[3:] == ["7.92"] * 3


def test_rounds_without_noise_are_never_shown_with_an_epsilon(text):
    assert "Noiseless, ε" not in html.unescape(text)
    assert "NOT private" in text
    for run in RESULTS.scenarios["trio"].runs:
        assert (run.privacy is None) == (run.epsilon is None or run.impossible is not None)


def test_a_chart_falls_from_no_noise_to_the_smallest_epsilon():
    platform = RESULTS.scenarios["trio"].platforms["beauty"]
    drawn = chart("beauty", platform, EPSILONS)
    assert [label for _, label in drawn.x_ticks] == ["none", "8", "1"]
    by_name = {line.label: line for line in drawn.lines}
    assert set(by_name) == {"Pooled", "Local", "Own, private"}
    pooled, own = by_name["Pooled"].points, by_name["Own, private"].points
    assert [x for x, _, _ in pooled] == [x for x, _ in drawn.x_ticks]
    assert [x for x, _, _ in own] == [x for x, _ in drawn.x_ticks[1:]]
    assert pooled[0][1] < pooled[1][1] < pooled[2][1]  # downwards on the screen
    assert {ref.label for ref in drawn.references} == {"Text prior", "Own training", "Federated"}


def test_names_from_data_stay_text():
    made = analysed(cells(scenario="[red]odd", names=(HOSTILE, "b"), epsilons=(8.0,)))
    text = render(made)
    assert HOSTILE not in text
    assert "&lt;/script&gt;&lt;img" in text
    assert "[red]odd" in shown(made)


def test_the_terminal_shows_shares_noise_claims_and_goals_in_eighty_columns():
    text = shown(RESULTS)
    assert max(map(len, text.splitlines())) <= 80
    kept = RESULTS.scenarios["trio"].platforms["beauty"].lines[4].kept
    assert re.search(rf"Pooled +8 +0\.\d{{4}} +{100 * kept.share:.0f}.%", text)
    assert "impossible" in text
    assert re.search(r"Pooled, ε = 8 +80,257 ", text)
    assert re.search(r"Federated +121,217 ", text)
    assert "7.92 23.8 71.3" in text
    assert "missed" in text or "met" in text
    assert "Warning: only a test" in text
