"""Forest plots: each platform's lift with its interval, one panel a comparison, one scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from isthmus_simulations.report import formats
from isthmus_simulations.report.scales import Scale, padded
from isthmus_simulations.report.verdicts import Kind, kind
from isthmus_simulations.results import MAIN_DIFFERENCE, PairedDifference, Results

_EXPLAINED = {
    MAIN_DIFFERENCE: "what the federation adds to the best that a platform can do alone",
    "personalised - local": "same model, same budget: with the federation or without it",
    "federated - local": "the release as it is, before anything is fitted at home",
    "content - prior": "the shared encoder alone: what item texts transfer",
    "pooled - local": "the upper bound: all raw events in one place, which nobody may do",
    "personalised - pooled": "how much of the upper bound is reached without pooling anything",
}

_WIDEST = 2.5  # times the largest lift; longer intervals run off the panel with an arrow
_SMALLEST = 0.05  # half-width of the axis at least, as a share


@dataclass(frozen=True)
class ForestRow:
    """One interval; places are per cent of the panel's width.

    Attributes:
        open_low: the lower end lies beyond the panel, or there is none.
        open_high: the same of the upper end.
    """

    platform: str
    kind: Kind
    low: float
    mid: float
    high: float
    open_low: bool
    open_high: bool
    text: str
    tip: str


@dataclass(frozen=True)
class ForestPanel:
    """One comparison over all platforms; `css` names the candidate."""

    title: str
    note: str
    css: str
    rows: tuple[ForestRow, ...]


@dataclass(frozen=True)
class Forest:
    """Panels on one axis of relative lift, `ticks` as (per cent of the width, label)."""

    zero: float
    ticks: tuple[tuple[float, str], ...]
    panels: tuple[ForestPanel, ...]


def forest(results: Results) -> Forest | None:
    """All relative differences; None where there are none."""
    return draw({name: p.differences for name, p in results.platforms.items()}, _EXPLAINED)


def draw(
    differences: Mapping[str, Mapping[str, PairedDifference]], explained: Mapping[str, str]
) -> Forest | None:
    """One panel a comparison; None where no difference is relative.

    Args:
        differences: by platform, then by comparison, "candidate - baseline".
        explained: a note for each comparison; those named come first, in this order.
    """
    found = [d for mine in differences.values() for d in mine.values()]
    relative = [d for d in found if d.relative is not None]
    if not relative:
        return None
    scale = _scale(relative)
    marks = tuple((scale(tick), _percent(tick)) for tick in scale.ticks(4))
    names = dict.fromkeys(n for mine in differences.values() for n in mine)
    order = [n for n in explained if n in names] + [n for n in names if n not in explained]
    panels = (_panel(differences, name, explained.get(name, ""), scale) for name in order)
    return Forest(scale(0.0), marks, tuple(panel for panel in panels if panel.rows))


def _percent(share: float) -> str:
    return f"{formats.signed(100 * share, 0)}{formats.THIN}%"


def _scale(differences: list[PairedDifference]) -> Scale:
    """Holds zero, every lift, and intervals as far as they do not dwarf the lifts."""
    reach = max(_SMALLEST, _WIDEST * max(abs(d.relative or 0.0) for d in differences))
    ends = [e for d in differences for e in (d.relative_low, d.relative_high) if e is not None]
    lifts = [d.relative or 0.0 for d in differences]
    held = [max(-reach, min(reach, end)) for end in ends]
    return padded([*held, *lifts, 0.0], 0.0, 100.0)


def _panel(
    differences: Mapping[str, Mapping[str, PairedDifference]], name: str, note: str, scale: Scale
) -> ForestPanel:
    """One comparison."""
    rows = (
        _row(platform, mine[name], scale)
        for platform, mine in differences.items()
        if name in mine and mine[name].relative is not None
    )
    css = name.split(" - ", maxsplit=1)[0]
    return ForestPanel(formats.comparison(name), note, css, tuple(rows))


def _row(platform: str, difference: PairedDifference, scale: Scale) -> ForestRow:
    """One platform in one comparison."""
    low, high = difference.relative_low, difference.relative_high
    absolute = formats.absolute(difference.difference, difference.low, difference.high)
    return ForestRow(
        platform=platform,
        kind=kind(difference),
        low=scale(scale.low if low is None else low),
        mid=scale(difference.relative or 0.0),
        high=scale(scale.high if high is None else high),
        open_low=low is None or not scale.holds(low),
        open_high=high is None or not scale.holds(high),
        text=formats.lift(difference),
        tip=f"{platform}: NDCG@10 {absolute}, {formats.count(difference.users)} users",
    )
