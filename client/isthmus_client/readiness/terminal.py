"""A report for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from isthmus_client.readiness import words
from isthmus_client.readiness.results import Finding, Readiness

_LEVELS = " ▁▂▃▄▅▆▇█"
_SPARKS = 54  # columns of the line of events per day
_BAR = 30  # columns of the longest bar
_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}
_VERDICTS = {"ready": "bold green", "usable with warnings": "bold yellow", "refused": "bold red"}


def render(report: Readiness) -> RenderableType:
    """Verdict, tables, figures, behaviours and days, findings, what next."""
    parts: list[RenderableType] = [
        Text(words.verdict_sentence(report), style=_VERDICTS[report.verdict]),
        Text(""),
        _tables(report),
    ]
    if report.statistics.events:
        parts += [_facts(report), _behaviours(report)]
    if report.statistics.by_day:
        parts += [_days(report), Text("")]
    parts += [_finding(finding) for finding in report.findings]
    if not report.findings:
        parts.append(Text("No findings."))
    parts += [Text(f"Next: {step}", style="dim") for step in report.next_steps]
    return Group(*parts)


def sparkline(values: Sequence[int], width: int) -> str:
    """Values as blocks, summed into at most `width` of them; "" for none."""
    if not values:
        return ""
    wide = -(-len(values) // width)
    sums = [sum(values[start : start + wide]) for start in range(0, len(values), wide)]
    if len(values) % wide:  # the last block has fewer days
        sums[-1] = round(sums[-1] * wide / (len(values) % wide))
    top = max(sums) or 1
    return "".join(_LEVELS[-(-each * (len(_LEVELS) - 1) // top)] for each in sums)


def _plain(*headings: str) -> Table:
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        made.add_column(heading, justify="left" if heading in {"", "Reasons"} else "right")
    return made


def _tables(report: Readiness) -> Table:
    made = _plain("", "Files", "Rows", "Accepted", "Rejected", "Reasons")
    for table in report.tables:
        made.add_row(
            words.table_name(table.name),
            f"{len(table.feeds):,}",
            f"{table.read:,}",
            f"{table.accepted:,}",
            f"{table.read - table.accepted:,}",
            words.rejected(table),
        )
    return made


def _facts(report: Readiness) -> Table:
    made = Table.grid(padding=(0, 2))
    for name, figure in words.facts_of(report).items():
        made.add_row(Text(name, style="dim"), Text(figure))
    return made


def _behaviours(report: Readiness) -> Table:
    found = report.statistics.behaviours
    top = max(found.values())
    made = Table.grid(padding=(0, 2))
    made.add_row("", "", "")
    for name, count in found.items():
        bar = "█" * max(round(_BAR * count / top), 1)
        made.add_row(Text(name, style="dim"), Text(f"{count:,}", justify="right"), Text(bar))
    return made


def _days(report: Readiness) -> Text:
    days = report.statistics.by_day
    first, last = date.fromisoformat(days[0].day), date.fromisoformat(days[-1].day)
    counts = {day.day: day.total for day in days}
    every = [
        counts.get((first + timedelta(days=place)).isoformat(), 0)
        for place in range((last - first).days + 1)
    ]
    line = sparkline(every, _SPARKS)
    return Text.assemble("\n", (f"{first}  ", "dim"), line, (f"  {last}", "dim"))


def _finding(finding: Finding) -> Text:
    told = Text.assemble(
        (f"{finding.severity}: ", _STYLES[finding.severity]),
        (f"{words.place(finding)}: ", "bold"),
        finding.what,
        (f"  [{finding.code}]", "dim"),
    )
    if finding.example is not None:
        told.append(f"\n    seen: {words.seen_at(finding.example)}", style="dim")
    return told.append(f"\n    do:   {finding.advice}")
