"""The report: one self-contained HTML file that needs no network and lets no script in."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from isthmus.files import write_text
from isthmus_simulations.report import bars, forest, formats, lines, tables, verdicts
from isthmus_simulations.report.pictures import Gallery, Pictures, gallery
from isthmus_simulations.results import Results

REPORT_NAME = "report.html"
_TEMPLATES = "templates"


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
            gallery=drawn,
            gallery_data=_script_data(drawn),
            config=json.dumps(results.config, indent=2, ensure_ascii=False),
        )
    )


def _sentence(text: str) -> str:
    """With a capital and without a full stop."""
    return text[:1].upper() + text[1:].rstrip(".")


def environment() -> Environment:
    """Templates of this package; everything that they print is escaped."""
    made = Environment(
        loader=PackageLoader("isthmus_simulations.report", _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("metric", "count", "lift", "label", "comparison", "moment")
    made.filters.update({name: getattr(formats, name) for name in names})
    made.filters["kind"] = verdicts.kind
    return made


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
    style, script = _asset("report.css"), _asset("report.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    # Both are files of this package, so marking them safe lets nothing foreign in.
    return {"style": Markup(style), "script": Markup(script), "policy": policy}  # noqa: S704


def _asset(name: str) -> str:
    return (files("isthmus_simulations.report") / _TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """A source expression of Content Security Policy level 3."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _script_data(drawn: Gallery | None) -> dict[str, Any]:
    """What the script names points by."""
    if drawn is None:
        return {}
    return {
        "legend": [name for name, _, _ in drawn.legend],
        "items": drawn.items,
        "maps": [picture.points for picture in drawn.pictures],
    }
