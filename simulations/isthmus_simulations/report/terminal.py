"""The main result as a table for a terminal."""

from __future__ import annotations

from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from isthmus_simulations.report import formats, tables, verdicts
from isthmus_simulations.report.tables import Cell, Row
from isthmus_simulations.report.verdicts import Kind
from isthmus_simulations.results import ModelName, Results

_ENDLESS = 1000  # columns
_LONGEST_NAME = 18  # columns
_SHORTER_NAME = 14  # columns; with eight figures that fills a terminal's eighty
_SHORT: dict[ModelName, str] = {
    "popularity": "Pop.",
    "own_history": "Own",
    "item_knn": "kNN",
    "prior": "Prior",
    "content": "Cont.",
    "federated": "Fed.",
    "personalised": "Pers.",
}
_STYLES: dict[Kind, str] = {"gain": "green", "loss": "red", "unclear": "dim", "unknown": "dim"}


def render(results: Results) -> RenderableType:
    """Platforms by models in NDCG@10, the lift with its interval, and what each gate serves.

    Names come from data, so all text is plain: Rich's markup in a platform's name stays text.
    """
    main = next(iter(tables.metric_tables(results)), None)
    parts: list[RenderableType] = [] if main is None else [_Main(main)]
    if results.newcomer is not None:
        parts.append(_newcomer(results))
    parts += [Text(line) for line in _closing(results)]
    return Group(*parts)


@dataclass(frozen=True)
class _Main:
    """One table where the terminal is wide enough for it, otherwise two."""

    main: tables.Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        whole = _table(self.main, figures=True, lift=True)
        needed = console.measure(whole, options=options.update(width=_ENDLESS)).maximum
        if needed <= options.max_width:
            yield whole
        else:
            yield _table(self.main, figures=True)
            yield _table(self.main, lift=True)
        yield Text("bold: best that can be served, underlined: served, pooled: upper bound\n")


def _table(main: tables.Table, *, figures: bool = False, lift: bool = False) -> Table:
    """The main table of the report: the models' figures, the lift and the gate, or both."""
    title = "NDCG@10 on new-to-user items, full ranking" if figures else None
    made = _plain(title)
    narrow = figures and not lift
    made.add_column("", no_wrap=True, max_width=_SHORTER_NAME if narrow else _LONGEST_NAME)
    for model in main.columns if figures else ():
        style = "dim" if model == "pooled" else ""
        name = formats.label(model) if lift else _SHORT.get(model, formats.label(model))
        made.add_column(name, justify="right", style=style, no_wrap=True)
    if lift:
        made.add_column("Lift over best baseline", justify="right", no_wrap=True)
        made.add_column("Gate")
    for row in main.rows:
        cells = map(_figure, row.cells) if figures else ()
        made.add_row(Text(row.name), *cells, *((_lift(row), Text(row.gate)) if lift else ()))
    return made


def _plain(title: str | None) -> Table:
    """An empty table in the house style."""
    return Table(
        title=None if title is None else Text(title),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        pad_edge=False,
        collapse_padding=True,
    )


def _figure(cell: Cell) -> Text:
    """A figure; one that is marked on the page is marked here."""
    marks = ("bold" if cell.best else "", "underline" if cell.served else "")
    # A span, not the style of the whole text: padding must not be underlined.
    return Text.assemble((cell.text, " ".join(filter(None, marks))))


def _lift(row: Row) -> Text:
    return Text(row.lift, style=_STYLES[row.kind])


def _newcomer(results: Results) -> Table:
    """What a newcomer gets, by the number of its own users."""
    newcomer = results.newcomer
    assert newcomer is not None
    made = _plain(f"Newcomer {newcomer.platform}: NDCG@10 by the number of its own users")
    made.add_column("Own users", justify="right")
    models = list(dict.fromkeys(model for size in newcomer.sizes for model in size.models))
    for model in models:
        made.add_column(formats.label(model), justify="right")
    for size in newcomer.sizes:
        figures = (size.models.get(model) for model in models)
        made.add_row(
            formats.count(size.users),
            *(formats.metric(found.ndcg if found else None) for found in figures),
        )
    return made


def _closing(results: Results) -> list[str]:
    """The counts in a sentence, then every warning."""
    found = verdicts.summary(results)
    counts = (
        f"{found.gains} of {found.platforms} platforms gain beyond the interval, "
        f"{found.served} serve a federated model, {found.harmed} of these tested worse beyond it."
    )
    return [counts, *(f"Warning: {warning}" for warning in results.warnings)]
