"""The benchmark's table for a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from isthmus_simulations.report import formats
from isthmus_simulations.transfer import words
from isthmus_simulations.transfer.comparing import Verdict
from isthmus_simulations.transfer.results import PlatformTransfer, TransferResults

_LONGEST_NAME = 18  # columns
_STYLES: dict[Verdict, str] = {"gains": "green", "harmed": "red", "equal": "", "unclear": "dim"}


def render(results: TransferResults) -> RenderableType:
    """Platforms with their lift, verdict and gate; then the goals; then warnings.

    Names come from data, so all text is plain: Rich's markup in a platform's name stays text.
    """
    parts: list[RenderableType] = [_platforms(results), _goals(results)]
    parts += [Text(f"Warning: {line}") for line in results.warnings]
    return Group(*parts)


def _platforms(results: TransferResults) -> Table:
    seeds = len(results.seeds)
    title = f"NDCG@10 on new-to-user items, full ranking, mean of {seeds} seeds"
    made = _plain(title)
    made.add_column("Platform", no_wrap=True, max_width=_LONGEST_NAME)
    for name in ("Alone", "Cand.", "Lift"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("Verdict", no_wrap=True)
    made.add_column("Gate", justify="right", no_wrap=True)
    made.add_column("Lift", justify="right", no_wrap=True)
    for name, platform in zip(words.short_names(results), results.platforms, strict=True):
        made.add_row(*_row(name, platform, results.method.candidate))
    made.caption = (
        "alone: the baseline that is best at the gate; gate: seeds in which it serves the "
        "candidate, and the lift of what it serves"
    )
    if results.method.windows > 1:
        made.caption += "; gates look at two windows where events have times"
    made.caption_justify = "left"
    return made


def _plain(title: str) -> Table:
    """An empty table in the house style, narrow enough for 80 columns."""
    return Table(
        title=Text(title),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def _row(name: str, platform: PlatformTransfer, candidate: str) -> tuple[Text, ...]:
    main, served = platform.comparisons.get("candidate"), platform.comparisons.get("served")
    if main is None or served is None:
        return (Text(name), *[Text(formats.MISSING)] * 6)
    ahead = platform.models[candidate].ndcg
    return (
        Text(name),
        Text(formats.metric(ahead - main.difference.difference)),
        Text(formats.metric(ahead)),
        Text(words.lift(main)),
        Text(main.verdict, style=_STYLES[main.verdict]),
        Text(f"{platform.served.get(candidate, 0)}/{len(main.lifts)}"),
        Text(words.percent(served.difference.relative, 1)),
    )


def _goals(results: TransferResults) -> Table:
    made = _plain("Goals")
    for name in ("Goal", "Target", "Found", "", "Note"):
        made.add_column(name, justify="right" if name in {"Target", "Found"} else "left")
    for goal in results.goals:
        style = {True: "green", False: "red", None: "dim"}[goal.met]
        found = Text(words.goal_found(goal))
        state = Text(words.MET[goal.met], style=style)
        made.add_row(Text(goal.name), Text(goal.target), found, state, Text(goal.note))
    return made
