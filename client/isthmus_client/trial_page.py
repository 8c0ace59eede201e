"""A trial as one self-contained HTML file: no network, no script."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from isthmus.files import write_text
from isthmus_client import trial_table
from isthmus_client.pages import environment, plain_assets
from isthmus_client.trial_results import TrialResults, TrialSize

# The chart is 640 x 280 of its own units; the plot lies inside, labels stand to its right.
LEFT, RIGHT, TOP, BOTTOM = 52.0, 500.0, 14.0, 240.0
LABEL_GAP = 16.0  # between two direct labels


@dataclass(frozen=True)
class Line:
    """One model over the sizes: where it runs and where its label stands.

    Attributes:
        points: (x, y, tip).
    """

    model: str
    label: str
    points: tuple[tuple[float, float, str], ...]
    label_y: float

    @property
    def path(self) -> str:
        """As an SVG path."""
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in self.points)


@dataclass(frozen=True)
class Chart:
    """NDCG@10 over the number of own users; ticks are (place, label)."""

    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def write_page(results: TrialResults, path: Path) -> None:
    """Write the page, wholly or not at all.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    write_text(path, render_page(results))


def render_page(results: TrialResults) -> str:
    """The page as text; a pure function of its argument."""
    names = ("kind", "label", "lift", "metric")
    made = environment("isthmus_client", {name: getattr(trial_table, name) for name in names})
    return made.get_template("trial.html.j2").render(
        **plain_assets(),
        results=results,
        chart=chart(results),
        models=trial_table.models_of(results),
        comparisons=trial_table.COMPARISONS,
        verdict=trial_table.verdict(results),
    )


def chart(results: TrialResults) -> Chart:
    """Every model's line over the sizes, evenly spaced; labels keep clear of each other."""
    places = _places(len(results.sizes))
    values = [m.ndcg for size in results.sizes for m in size.models.values() if m.ndcg is not None]
    top = max(values, default=0.0) * 1.05 or 1.0
    lines = [_line(model, results.sizes, places, top) for model in trial_table.models_of(results)]
    sizes = [f"{size.users:,}" if size.users else "catalogue only" for size in results.sizes]
    ticks = tuple((_y(top * part / 4, top), f"{top * part / 4:.3f}") for part in range(5))
    return Chart(_spread(lines), tuple(zip(places, sizes, strict=True)), ticks)


def _places(count: int) -> list[float]:
    step = (RIGHT - LEFT - 60) / max(count - 1, 1)
    return [LEFT + 30 + step * place for place in range(count)]


def _y(value: float, top: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * value / top


def _line(model: str, sizes: tuple[TrialSize, ...], places: list[float], top: float) -> Line:
    points = []
    for place, size in zip(places, sizes, strict=True):
        found = size.models.get(model)
        if found is not None and found.ndcg is not None:
            tip = f"{size.users:,} own users: NDCG@10 {found.ndcg:.4f}"
            points.append((place, _y(found.ndcg, top), tip))
    return Line(model, trial_table.label(model), tuple(points), points[-1][1] if points else TOP)


def _spread(lines: list[Line]) -> tuple[Line, ...]:
    """The lines from top to bottom, each label at least a gap below the one above it."""
    placed: list[Line] = []
    for line in sorted((line for line in lines if line.points), key=lambda line: line.label_y):
        lowest = placed[-1].label_y + LABEL_GAP if placed else TOP
        placed.append(Line(line.model, line.label, line.points, max(line.label_y, lowest)))
    return tuple(placed)
