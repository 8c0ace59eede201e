"""Line charts: learning curves, and what a newcomer gets; small panels with direct labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from isthmus_simulations.report import formats
from isthmus_simulations.report.scales import Scale, padded, spread
from isthmus_simulations.results import CurvePoint, Newcomer, PlatformResults, Results

# A panel is 350 x 210 of its own units, about a pixel each.
LEFT, RIGHT, TOP, BOTTOM = 40.0, 254.0, 12.0, 180.0  # the plot inside; labels stand to its right
_LABEL_GAP = 13.0  # between direct labels

Point = tuple[float, float, str]
"""Where along the axis, the value, and what the tip says."""


@dataclass(frozen=True)
class Line:
    """One model: an SVG path, its points (x, y, tip), and a label at its end.

    Attributes:
        css: the model's name, which the style sheet colours.
    """

    css: str
    label: str
    path: str
    points: tuple[Point, ...]
    label_y: float
    end: tuple[float, float]


@dataclass(frozen=True)
class Reference:
    """A level to compare with, drawn thin across the panel."""

    label: str
    y: float
    label_y: float


@dataclass(frozen=True)
class LinePanel:
    """One chart; ticks are (place, label)."""

    title: str
    note: str
    lines: tuple[Line, ...]
    references: tuple[Reference, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    x_label: str


def learning_curves(results: Results) -> tuple[LinePanel, ...]:
    """One panel for each platform that has a curve."""
    panels = (_curves(name, platform) for name, platform in results.platforms.items())
    return tuple(panel for panel in panels if panel.lines)


def _curves(name: str, platform: PlatformResults) -> LinePanel:
    """One platform's curves."""
    curves = platform.curves
    series = {
        "pooled": _points(curves.pooled),
        "local": _points(curves.local),
        "federated": _points(curves.federated),
    }
    steps = [x for points in series.values() for x, _, _ in points]
    x = Scale(0.0, max(steps, default=1.0) or 1.0, LEFT, RIGHT)
    x_ticks = tuple((x(tick), f"{tick:g}") for tick in x.ticks(4) if tick == int(tick))
    return panel(
        name, series, _best_untrained(platform), x, x_ticks, "rounds, or passes over own data"
    )


def _best_untrained(platform: PlatformResults) -> dict[str, float]:
    """The level of the best baseline that is not trained, on the validation window."""
    validation = platform.gate.validation if platform.gate else {}
    levels = {
        formats.label(model): value
        for model, value in validation.items()
        if model in {"popularity", "own_history", "item_knn", "prior"} and value is not None
    }
    if not levels:
        return {}
    best = max(levels, key=levels.__getitem__)
    return {best: levels[best]}


def _points(curve: Sequence[CurvePoint]) -> list[Point]:
    """Points that have a value, with what a tip says of them."""
    return [(p.step, p.ndcg, _tip(p)) for p in curve if p.ndcg is not None]


def _tip(point: CurvePoint) -> str:
    spent = "" if point.seconds is None else f", after {formats.duration(point.seconds)}"
    return f"step {point.step:g}: NDCG@10 {formats.metric(point.ndcg)}{spent}"


def newcomer_chart(newcomer: Newcomer) -> LinePanel:
    """NDCG@10 over the number of own users, evenly spaced."""
    sizes = newcomer.sizes
    models = dict.fromkeys(model for size in sizes for model in size.models)
    series: dict[str, list[Point]] = {model: [] for model in models}
    for place, size in enumerate(sizes):
        for model, metrics in size.models.items():
            if metrics.ndcg is not None:
                tip = f"{formats.count(size.users)} own users: NDCG@10 {metrics.ndcg:.4f}"
                series[model].append((float(place), metrics.ndcg, tip))
    x = padded([float(place) for place in range(len(sizes))], LEFT, RIGHT, pad=0.04)
    x_ticks = tuple((x(place), formats.count(size.users)) for place, size in enumerate(sizes))
    return panel("", series, {}, x, x_ticks, "own users")


def newcomer_differences(newcomer: Newcomer | None) -> tuple[str, ...]:
    """The labels of all differences, each once."""
    sizes = newcomer.sizes if newcomer else ()
    return tuple(dict.fromkeys(name for size in sizes for name in size.differences))


def panel(
    title: str,
    series: Mapping[str, Sequence[Point]],
    levels: Mapping[str, float],
    x: Scale,
    x_ticks: tuple[tuple[float, str], ...],
    x_label: str,
) -> LinePanel:
    """Scale, draw and label; labels of lines and levels keep clear of each other.

    Args:
        series: points by model.
        levels: values to compare with, by label.
        x: where the points' first number stands; `x_ticks` are its (place, label).
    """
    held = {model: points for model, points in series.items() if points}
    values = [y for points in held.values() for _, y, _ in points] + list(levels.values())
    y = padded(values, BOTTOM, TOP)
    ends = [y(points[-1][1]) for points in held.values()] + [y(v) for v in levels.values()]
    places = spread(ends, _LABEL_GAP, TOP, BOTTOM + 8)
    lines = tuple(
        _line(model, points, x, y, places[place])
        for place, (model, points) in enumerate(held.items())
    )
    references = tuple(
        Reference(label, y(level), places[len(held) + place])
        for place, (label, level) in enumerate(levels.items())
    )
    y_ticks = tuple((y(tick), f"{tick:.3g}") for tick in y.ticks(4))
    return LinePanel(title, "", lines, references, x_ticks, y_ticks, x_label)


def _line(model: str, points: Sequence[Point], x: Scale, y: Scale, label_y: float) -> Line:
    """One model's line."""
    placed = tuple((x(at), y(value), tip) for at, value, tip in points)
    path = "M" + "L".join(f"{at:g} {value:g}" for at, value, _ in placed)
    name = formats.comparison(model)
    end = (placed[-1][0], placed[-1][1])
    return Line(model, name, path, placed, label_y, end)
