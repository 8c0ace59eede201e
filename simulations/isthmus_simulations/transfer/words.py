"""The benchmark's figures in the words that table and page share."""

from __future__ import annotations

from collections.abc import Mapping

from isthmus_simulations.report import formats
from isthmus_simulations.report.verdicts import Kind
from isthmus_simulations.transfer.comparing import Verdict
from isthmus_simulations.transfer.results import (
    Comparison,
    Goal,
    PlatformTransfer,
    TransferResults,
)

VERDICTS: dict[Verdict, str] = {
    "gains": "gains",
    "equal": "equal within the margin",
    "unclear": "unclear",
    "harmed": "harmed",
}
KINDS: dict[Verdict, Kind] = {
    "gains": "gain",
    "equal": "unclear",
    "unclear": "unclear",
    "harmed": "loss",
}
MET = {True: "met", False: "missed", None: "not measured"}


def short_names(results: TransferResults) -> tuple[str, ...]:
    """The platforms' names, with the scenario only where two share one."""
    plain = [p.platform for p in results.platforms]
    return tuple(
        p.platform if plain.count(p.platform) == 1 else f"{p.scenario}/{p.platform}"
        for p in results.platforms
    )


_LABELS = {
    "sasrec": "SASRec",
    "lightgbm": "LightGBM",
    "text_and_id": "Text and id",
    "content": "Content alone",
    "fedavg_tuned": "FedAvg and head",
}


def label(model: str) -> str:
    """A model's name for a heading, known to the reports or not."""
    known = _LABELS.get(model, formats.comparison(model))
    return known if known != model else model.replace("_", " ").capitalize()


def lift(comparison: Comparison | None) -> str:
    """Relative difference with its interval; a dash where there is none."""
    return formats.MISSING if comparison is None else formats.lift(comparison.difference)


def percent(share: float | None, digits: int = 0) -> str:
    """A share that may be below 0, as signed per cent."""
    if share is None:
        return formats.MISSING
    return f"{formats.signed(100 * share, digits)}{formats.THIN}%"


def counted(choices: Mapping[str, int]) -> str:
    """What was chosen in how many seeds; "item-kNN 3, local 2"."""
    if len(choices) == 1:
        return label(next(iter(choices)))
    order = sorted(choices, key=lambda name: -choices[name])
    return ", ".join(f"{label(name)} {choices[name]}" for name in order)


def goal_found(goal: Goal) -> str:
    """The figure of a goal in the unit of its target."""
    if goal.found is None:
        return formats.MISSING
    if goal.target.endswith("%"):
        return percent(goal.found, 1)
    return f"{goal.found:.3f}".rstrip("0").rstrip(".")


def cost(platform: PlatformTransfer) -> tuple[str, ...]:
    """Seconds alone; seconds, rounds and bytes with the federation; what it saves."""
    found = platform.cost
    if found.local_seconds is None:
        return (formats.MISSING,) * 6
    there = f"{found.seeds_reached} of {found.seeds}"
    if found.seconds is None or found.bytes is None or found.rounds is None:
        never = ("never",) + (formats.MISSING,) * 2
        return (formats.duration(found.local_seconds), there, *never, formats.MISSING)
    return (
        formats.duration(found.local_seconds),
        there,
        formats.duration(found.seconds),
        f"{found.rounds:.1f}",
        formats.size(found.bytes),
        percent(found.saved),
    )
