"""A report as one self-contained HTML file: no network, no script."""

from __future__ import annotations

from pathlib import Path

from isthmus.files import write_text
from isthmus_client.pages import asset, assets, environment
from isthmus_client.readiness import pictures, words
from isthmus_client.readiness.results import Readiness

_FILTERS = ("number", "place", "rejected", "seen_at", "share", "table_name")


def write_page(report: Readiness, path: Path) -> None:
    """Write the page, wholly or not at all.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    write_text(path, render_page(report))


def render_page(report: Readiness) -> str:
    """The page as text; a pure function of its argument."""
    made = environment("isthmus_client", {name: getattr(words, name) for name in _FILTERS})
    style = asset("isthmus_client", "page.css") + asset("isthmus_client", "readiness.css")
    found = report.statistics
    return made.get_template("readiness.html.j2").render(
        **assets(style),
        report=report,
        sentence=words.verdict_sentence(report),
        facts=words.facts_of(report),
        pictures={
            "Events over time": pictures.days(report),
            "Events per behaviour": pictures.behaviours(report),
            "Events of a user": pictures.histogram(found.lengths, "events"),
            "Prices": pictures.histogram(found.prices, report.currency),
            "Text of an item": pictures.histogram(found.texts, "characters"),
        },
    )
