"""The benchmark's page: one self-contained HTML file in the style of the simulation report."""

from __future__ import annotations

import json
from pathlib import Path

from isthmus.files import write_text
from isthmus_client.figures import PairedDifference
from isthmus_simulations.report import formats, lines
from isthmus_simulations.report.forest import Forest, draw
from isthmus_simulations.report.page import assets, environment
from isthmus_simulations.report.scales import Scale
from isthmus_simulations.transfer import words
from isthmus_simulations.transfer.facts import CostPoint
from isthmus_simulations.transfer.results import ComparisonName, PlatformTransfer, TransferResults


def write_page(results: TransferResults, path: Path) -> None:
    """Write the page, wholly or not at all.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    write_text(path, render(results))


def render(results: TransferResults) -> str:
    """The page as text; a pure function of the results."""
    made = environment()
    made.filters |= {
        "name": words.label,
        "compared": words.lift,
        "percent": words.percent,
        "counted": words.counted,
        "found": words.goal_found,
        "costs": words.cost,
        "size": formats.size,
        "duration": formats.duration,
    }
    return made.get_template("transfer.html.j2").render(
        **assets(),
        results=results,
        names=words.short_names(results),
        verdicts=words.VERDICTS,
        kinds=words.KINDS,
        met=words.MET,
        forest=_forest(results),
        charts=_charts(results),
        config=json.dumps(results.config, indent=2, ensure_ascii=False),
    )


def _forest(results: TransferResults) -> Forest | None:
    """The comparisons on one scale; the release has its own rows in the tables."""
    method = results.method
    told: dict[ComparisonName, tuple[str, str]] = {
        "candidate": ("alone", "against the best that a platform has alone, chosen by its gate"),
        "baseline": ("best baseline", "the same without the federation's own recipe alone"),
        "recipe": (method.recipe, "the same recipe alone: what the federation itself adds"),
        "harder": ("strongest", "harder: against the best alone on these very test users"),
        "bound": (method.bound, "against the upper bound, which nobody could have"),
        "served": ("alone", "what the gate lets through; 0 where it keeps what stands alone"),
    }
    titles = {
        name: f"{'served' if name == 'served' else method.candidate} - {against}"
        for name, (against, _) in told.items()
    }
    explained = {titles[name]: note for name, (_, note) in told.items()}

    def mine(platform: PlatformTransfer) -> dict[str, PairedDifference]:
        found = platform.comparisons
        return {titles[k]: found[k].difference for k in found if k in titles}

    pairs = zip(words.short_names(results), results.platforms, strict=True)
    return draw({name: mine(platform) for name, platform in pairs}, explained)


def _charts(results: TransferResults) -> tuple[lines.LinePanel, ...]:
    """Validation over seconds of a platform's own computing, under the first seed."""
    pairs = zip(words.short_names(results), results.platforms, strict=True)
    panels = (_chart(name, platform) for name, platform in pairs)
    return tuple(panel for panel in panels if panel.lines)


def _chart(name: str, platform: PlatformTransfer) -> lines.LinePanel:
    series: dict[str, list[lines.Point]] = {
        key: _points(curve) for key, curve in platform.curves.items()
    }
    most = max((x for points in series.values() for x, _, _ in points), default=0.0)
    x = Scale(0.0, most or 1.0, lines.LEFT, lines.RIGHT)
    ticks = tuple((x(tick), f"{tick:g}") for tick in x.ticks(4))
    return lines.panel(name, series, {}, x, ticks, "seconds of own computing")


def _points(curve: tuple[CostPoint, ...]) -> list[lines.Point]:
    return [(p.seconds, p.ndcg, _tip(p)) for p in curve if p.ndcg is not None]


def _tip(point: CostPoint) -> str:
    sent = f", {formats.size(point.bytes)}" if point.bytes else ""
    spent = f"after {formats.duration(point.seconds)}{sent}"
    return f"step {point.step:g}: NDCG@10 {formats.metric(point.ndcg)}, {spent}"
