"""A trial in words and as tables for a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from isthmus_client.figures import BucketMetrics, Metrics, PairedDifference
from isthmus_client.trial_results import MAIN_DIFFERENCE, TrialResults, TrialSize

MINUS = "\N{MINUS SIGN}"
MISSING = "\N{EN DASH}"
LABELS = {
    "popularity": "Popularity",
    "recent_popularity": "Recent pop.",
    "item_knn": "Item-kNN",
    "prior": "Text prior",
    "sasrec": "SASRec",
    "local": "Own model",
    "release": "Release",
    "personalised": "Fitted release",
}
IN_WORDS = {
    "popularity": "popularity",
    "recent_popularity": "recent popularity",
    "item_knn": "item-kNN",
    "prior": "the untrained text prior",
    "sasrec": "your own SASRec",
    "local": "your own trained model",
    "release": "the release as it is",
    "personalised": "the release fitted on your users",
}
COMPARISONS = {
    "release - prior": "Release over text prior",
    "release - best own": "Release over best own",
    "personalised - local": "Fitted release over own model",
    MAIN_DIFFERENCE: "Fitted release over best own",
}
_STYLES = {"gain": "green", "loss": "red", "unclear": "dim"}


def render(results: TrialResults) -> RenderableType:
    """The verdict, the learning table, differences, and cold and warm items."""
    parts: list[RenderableType] = [Text(verdict(results), style="bold"), Text("")]
    parts += [_learning(results), _differences(results), _items(results)]
    parts += [Text(f"Warning: {warning}") for warning in results.warnings]
    parts.append(Text(f"{results.shared}."))
    return Group(*parts)


def models_of(results: TrialResults) -> tuple[str, ...]:
    """Every model's name, in the order of a report."""
    found = {name for size in results.sizes for name in size.models}
    return tuple([name for name in LABELS if name in found] + sorted(found - LABELS.keys()))


def label(model: str) -> str:
    """A model's name for a heading."""
    return LABELS.get(model, model)


def verdict(results: TrialResults) -> str:
    """What the trial found, in plain words."""
    whole, gate = results.whole, results.whole.gate
    main = whole.differences.get(MAIN_DIFFERENCE)
    if gate is None or main is None:
        return "The trial had no users to decide by."
    best = IN_WORDS.get(whole.best_own, whole.best_own)
    said = {
        "gain": f"gains {lift(main)} over {best}, the best that you have alone",
        "loss": f"falls behind {best}, the best that you have alone: {lift(main)}",
        "unclear": f"shows no clear difference to {best}, the best that you have alone: "
        f"{lift(main)}",
    }[kind(main)]
    served = IN_WORDS.get(gate.served, gate.served)
    return f"{IN_WORDS['personalised'].capitalize()} {said}. Your gate would serve {served}."


def kind(difference: PairedDifference) -> str:
    """Which side of 0 the interval lies on."""
    if difference.low > 0:
        return "gain"
    return "loss" if difference.high < 0 else "unclear"


def metric(value: float | None) -> str:
    """A metric between 0 and 1."""
    return MISSING if value is None else f"{value:.4f}"


def lift(difference: PairedDifference) -> str:
    """Relative difference with interval, "+12.3 % [+3.1, +21.9]"; absolute without a ratio."""
    if difference.relative is None:
        ends = ", ".join(_signed(end, 4) for end in (difference.low, difference.high))
        return f"{_signed(difference.difference, 4)} [{ends}]"
    found = (difference.relative_low, difference.relative_high)
    ends = ", ".join(MISSING if end is None else _signed(100 * end, 1) for end in found)
    return f"{_signed(100 * difference.relative, 1)} % [{ends}]"


def _signed(value: float, digits: int) -> str:
    text = f"{abs(value):.{digits}f}"
    return text if not float(text) else (MINUS if value < 0 else "+") + text


def _plain(title: str, first: str, headings: list[str]) -> Table:
    made = Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    made.add_column(first)
    for heading in headings:
        made.add_column(heading, justify="right")
    return made


def _learning(results: TrialResults) -> Table:
    """NDCG@10 by the number of own users; the best of a column is bold."""
    made = _plain("NDCG@10 on new-to-user items, by own users", "", _size_names(results))
    for model in models_of(results):
        made.add_row(label(model), *(_cell(size, model) for size in results.sizes))
    served = [label(size.gate.served) if size.gate else MISSING for size in results.sizes]
    made.add_section()
    made.add_row("Gate serves", *served)
    return made


def _size_names(results: TrialResults) -> list[str]:
    return [f"{size.users:,}" if size.users else "catalogue" for size in results.sizes]


def _cell(size: TrialSize, model: str) -> Text:
    found: Metrics | None = size.models.get(model)
    best = max(size.models, key=lambda name: size.models[name].ndcg or 0.0)
    return Text(metric(found.ndcg if found else None), style="bold" if model == best else "")


def _differences(results: TrialResults) -> Table:
    """On the first day and with all users; the page has every size."""
    shown = results.sizes[:1] + results.sizes[1:][-1:]
    headings = [f"{size.users:,} users" if size.users else "catalogue" for size in shown]
    made = _plain("Differences with 95 % intervals", "", headings)
    for name, title in COMPARISONS.items():
        found = [size.differences.get(name) for size in shown]
        made.add_row(title, *(_lift(each) for each in found))
    return made


def _lift(difference: PairedDifference | None) -> Text:
    if difference is None:
        return Text(MISSING)
    return Text(lift(difference), style=_STYLES[kind(difference)])


def _items(results: TrialResults) -> Table:
    """Cold and warm items, with all own users."""
    users = [next(iter(row.values())).users for row in results.items.values()]
    names = [
        f"{name.partition(' (')[0]} ({count:,})"
        for name, count in zip(results.items, users, strict=True)
    ]
    made = _plain("NDCG@10 by target item (users with one), all own users", "", names)
    for model in models_of(results):
        found: list[BucketMetrics | None] = [row.get(model) for row in results.items.values()]
        made.add_row(label(model), *(metric(each.ndcg if each else None) for each in found))
    return made
