"""The benchmark's page: one self-contained HTML file in the style of the simulation report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from isthmus.files import write_text
from isthmus_simulations.price import words
from isthmus_simulations.price.cells import Way
from isthmus_simulations.price.results import Line, PlatformPrice, PriceResults, ScenarioPrice
from isthmus_simulations.report import formats, lines
from isthmus_simulations.report.page import assets, environment
from isthmus_simulations.report.scales import padded

_CSS: Final[dict[Way, str]] = {
    "pooled": "personalised",
    "local": "release",
    "private_alone": "local",
}
"""Colours of the style sheet: blue is federated, orange is a platform's own."""

_LEVELS: Final[tuple[Way, ...]] = ("prior", "alone", "federated")


@dataclass(frozen=True)
class View:
    """A scenario as the page shows it.

    Attributes:
        epsilons: of the private runs, falling.
        charts: NDCG@10 over epsilon, one for each platform.
    """

    name: str
    found: ScenarioPrice
    epsilons: tuple[float, ...]
    charts: tuple[lines.LinePanel, ...]


def write_page(results: PriceResults, path: Path) -> None:
    """Write the page, wholly or not at all.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    write_text(path, render(results))


def render(results: PriceResults) -> str:
    """The page as text; a pure function of the results."""
    made = environment()
    made.filters |= {
        "percent": words.percent,
        "kept": words.kept,
        "over": words.lift,
        "number": words.number,
        "found": words.goal_found,
        "size": formats.size,
        "duration": formats.duration,
    }
    return made.get_template("price.html.j2").render(
        **assets(),
        results=results,
        views=[_view(name, found) for name, found in results.scenarios.items()],
        met=words.MET,
        ways=words.WAYS,
        explained=words.EXPLAINED,
        way_at=words.way_at,
        config=json.dumps(results.config, indent=2, ensure_ascii=False),
    )


def _view(name: str, found: ScenarioPrice) -> View:
    epsilons = sorted({run.epsilon for run in found.runs if run.epsilon is not None}, reverse=True)
    charts = (chart(each, platform, epsilons) for each, platform in found.platforms.items())
    return View(name, found, tuple(epsilons), tuple(c for c in charts if c.lines))


def chart(name: str, platform: PlatformPrice, epsilons: Sequence[float]) -> lines.LinePanel:
    """NDCG@10 over epsilon, evenly spaced, with what is free of noise as levels.

    The private federations' lines begin at the same rounds without noise.
    """
    places: dict[float | None, float] = {None: 0.0}
    places |= {epsilon: float(place) for place, epsilon in enumerate(epsilons, start=1)}
    series: dict[str, list[lines.Point]] = {
        words.WAYS[way]: [
            (places[line.epsilon], line.ndcg, _tip(line))
            for line in platform.lines
            if line.way == way or (line.way == "noiseless" and way != "private_alone")
        ]
        for way in _CSS
    }
    levels = {words.WAYS[line.way]: line.ndcg for line in platform.lines if line.way in _LEVELS}
    x = padded(places.values(), lines.LEFT, lines.RIGHT, pad=0.04)
    ticks = tuple((x(at), "none" if e is None else f"{e:g}") for e, at in places.items())
    drawn = lines.panel(name, series, levels, x, ticks, "epsilon")
    colours = {words.WAYS[way]: css for way, css in _CSS.items()}
    coloured = (replace(line, css=colours[line.label]) for line in drawn.lines)
    return replace(drawn, lines=tuple(coloured))


def _tip(line: Line) -> str:
    share = f", {words.kept(line.kept)} of the federation without privacy" if line.kept else ""
    return f"{words.way_at(line.way, line.epsilon)}: NDCG@10 {formats.metric(line.ndcg)}{share}"
