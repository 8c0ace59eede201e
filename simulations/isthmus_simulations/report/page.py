"""The report: one self-contained HTML file that needs no network and lets no script in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from isthmus.files import write_text
from isthmus_client import pages
from isthmus_simulations.report import bars, forest, formats, lines, tables, verdicts
from isthmus_simulations.report.claims import claims_of
from isthmus_simulations.report.pictures import Gallery, Pictures, gallery
from isthmus_simulations.results import Results

REPORT_NAME = "report.html"
_PACKAGE = "isthmus_simulations.report"


def write_report(results: Results, pictures: Pictures | None, out: Path) -> Path:
    """Write `report.html` into the folder `out`, wholly or not at all.

    Args:
        results: every number on the page.
        pictures: items to draw; None leaves the section out.
        out: the run's folder; made where absent.

    Returns:
        The path of the page.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    path = out / REPORT_NAME
    write_text(path, render_report(results, pictures))
    return path


def render_report(results: Results, pictures: Pictures | None) -> str:
    """The page as text; a pure function of its arguments."""
    drawn = gallery(pictures) if pictures is not None else None
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            **assets(),
            **_figures(results),
            results=results,
            verdicts=[verdicts.verdict(name, p) for name, p in results.platforms.items()],
            summary=verdicts.summary(results),
            shortfall=_sentence(results.privacy.statement.removeprefix("NOT PRIVATE: ")),
            claims=claims_of(results.privacy),
            gallery=drawn,
            gallery_data=_script_data(drawn),
            config=json.dumps(results.config, indent=2, ensure_ascii=False),
        )
    )


def _sentence(text: str) -> str:
    """With a capital and without a full stop."""
    return text[:1].upper() + text[1:].rstrip(".")


def environment() -> Environment:
    """This package's templates with the filters that its pages share."""
    names = ("metric", "count", "lift", "label", "comparison", "moment")
    filters = {name: getattr(formats, name) for name in names}
    return pages.environment(_PACKAGE, {**filters, "kind": verdicts.kind})


def _figures(results: Results) -> dict[str, Any]:
    """Everything drawn from the results."""
    return {
        "tables": tables.metric_tables(results),
        "by_history": tables.bucket_tables(results, "history"),
        "by_item": tables.bucket_tables(results, "item"),
        "forest": forest.forest(results),
        "curves": lines.learning_curves(results),
        "newcomer_chart": lines.newcomer_chart(results.newcomer) if results.newcomer else None,
        "newcomer_lifts": lines.newcomer_differences(results.newcomer),
        "certificates": bars.certificates(results),
        "stages": bars.stage_bars(results.cost),
        "facts": bars.cost_facts(results.cost),
    }


def assets() -> dict[str, str | Markup]:
    """Style, script, and the policy that allows these two alone, by their hashes."""
    return pages.assets(pages.asset(_PACKAGE, "report.css"), pages.asset(_PACKAGE, "report.js"))


def _script_data(drawn: Gallery | None) -> dict[str, Any]:
    """What the script names points by."""
    if drawn is None:
        return {}
    return {
        "legend": [name for name, _, _ in drawn.legend],
        "items": drawn.items,
        "maps": [picture.points for picture in drawn.pictures],
    }
