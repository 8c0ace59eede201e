"""The benchmark's tables for a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from isthmus.privacy.planner import USEFUL
from isthmus_simulations.price import words
from isthmus_simulations.price.results import PriceResults, RunPrice, ScenarioPrice
from isthmus_simulations.report import formats

_LONGEST_NAME = 28  # columns


def render(results: PriceResults) -> RenderableType:
    """Quality, noise and limits of every scenario; then the goals; then warnings.

    Names come from data, so all text is plain: Rich's markup in a platform's name stays text.
    """
    parts: list[RenderableType] = []
    for name, scenario in results.scenarios.items():
        parts += [_quality(name, scenario), _noise(name, scenario), _claims(name, scenario)]
        parts += [Text(f"Limit: {line}") for line in scenario.limits]
    parts.append(_goals(results))
    parts += [Text(f"Warning: {line}") for line in results.warnings]
    return Group(*parts)


def _plain(title: str, left: str, right: tuple[str, ...]) -> Table:
    """An empty table in the house style: a column of names, and columns of figures."""
    made = Table(
        title=Text(title),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    made.add_column(left, no_wrap=True, max_width=_LONGEST_NAME)
    for name in right:
        made.add_column(name, justify="right", no_wrap=True)
    return made


def _quality(name: str, scenario: ScenarioPrice) -> Table:
    """A row for each platform and way of training."""
    headings = ("Training", "ε", "NDCG@10", "Kept", "TPR", "AUC")
    made = _plain(f"{name}: NDCG@10 of the content part, new-to-user items", "Platform", headings)
    made.caption = (
        "kept: of the federation without privacy; TPR at 0.1 % FPR and AUC: a membership attack"
    )
    for platform, found in scenario.platforms.items():
        for place, line in enumerate(found.lines):
            attack = line.attack
            made.add_row(
                Text("" if place else platform),
                Text(words.WAYS[line.way]),
                Text("" if line.epsilon is None else f"{line.epsilon:g}"),
                Text(formats.metric(line.ndcg)),
                Text(words.kept(line.kept)),
                Text(words.percent(attack.tpr if attack else None, 2)),
                Text(words.number(attack.auc if attack else None, 3)),
            )
    return made


def _noise(name: str, scenario: ScenarioPrice) -> Table:
    """What each training adds, sends and computes."""
    headings = ("Parameters", "Sigma", "Noise", "Rounds", "MB", "CPU s")
    made = _plain(f"{name}: noise and cost", "Training", headings)
    made.caption = (
        "sigma: noise multiplier; noise: norm of a round's over the clipping norm, "
        f"useful below about {USEFUL:g}"
    )
    for run in scenario.runs:
        made.add_row(*_noise_row(run))
    return made


def _noise_row(run: RunPrice) -> tuple[Text, ...]:
    what = words.way_at(run.way, run.epsilon, run.platform)
    if run.impossible is not None:
        return (Text(what), Text("impossible", style="red"))
    schedule = run.privacy.run if run.privacy is not None else None
    return (
        Text(what),
        Text(f"{run.parameters:,}"),
        Text(words.number(schedule.noise_multiplier if schedule else None)),
        Text(
            words.number(schedule.noise_norm if schedule else None),
            style="" if run.useful is not False else "red",
        ),
        Text(f"{run.rounds:.0f}"),
        Text(f"{run.bytes / 1e6:.1f}"),
        Text(words.number(run.seconds, 0)),
    )


def _claims(name: str, scenario: ScenarioPrice) -> Table:
    """What epsilon is for whom."""
    made = _plain(f"{name}: epsilon for whom", "Training", ("Persons", "Colluders"))
    made.caption = (
        "persons: epsilon of who is on 1, 2, … platforms; colluders: against 0, 1, … platforms "
        "that work with the server"
    )
    for run in scenario.runs:
        schedule = run.privacy.run if run.privacy is not None else None
        if schedule is not None and run.platform is None:
            what = Text(words.way_at(run.way, run.epsilon))
            made.add_row(what, Text(_listed(schedule.overlap)), Text(_listed(schedule.collusion)))
    return made


def _listed(epsilons: dict[int, float]) -> str:
    return " ".join(f"{value:.3g}" for _, value in sorted(epsilons.items())) or formats.MISSING


def _goals(results: PriceResults) -> Table:
    title = "Goals, judged on all users of one scenario with the full plan"
    made = Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for name in ("Goal", "Target", "Found", "", "Note"):
        made.add_column(name, justify="right" if name in {"Target", "Found"} else "left")
    for goal in results.goals:
        style = {True: "green", False: "red", None: "dim"}[goal.met]
        found, state = Text(words.goal_found(goal)), Text(words.MET[goal.met], style=style)
        made.add_row(Text(goal.name), Text(goal.target), found, state, Text(goal.note))
    return made
