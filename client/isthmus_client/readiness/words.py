"""A report's figures in words, the same in the terminal and on the page."""

from __future__ import annotations

from isthmus_client.readiness.results import Example, Finding, Readiness, TableFacts

MISSING = "\N{EN DASH}"
TABLES = {
    "items": "Items",
    "events": "Events",
    "service_texts": "Service texts",
    "impressions": "Impressions",
    "redemptions": "Redemptions",
    "social_edges": "Social edges",
    "images": "Images",
}


def verdict_sentence(report: Readiness) -> str:
    """What the verdict means."""
    errors, warnings = len(report.of("error")), len(report.of("warning"))
    if report.verdict == "ready":
        return "The data is ready: nothing stands in the way of training."
    if report.verdict == "refused":
        also = f", {_counted(warnings, 'warning')} should be looked at" if warnings else ""
        return f"The data is refused: {_counted(errors, 'error')} must be corrected{also}."
    return f"The data can be used, with {_counted(warnings, 'warning')} that should be looked at."


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def table_name(name: str) -> str:
    """A table's name for a heading."""
    return TABLES.get(name, name)


def place(finding: Finding) -> str:
    """Table and column: "events.price"."""
    return f"{finding.table}.{finding.column}" if finding.column else finding.table


def seen_at(example: Example) -> str:
    """File and line, and what stands there: "events.csv, line 17: price = twelve"."""
    where = f"{example.feed}, line {example.line:,}" if example.line else example.feed
    shown = ", ".join(f"{name} = {value}" for name, value in example.values.items())
    return f"{where}: {shown}" if shown else where


def share(value: float) -> str:
    """A share in per cent, "" for none."""
    if not value:
        return ""
    return f"{100 * value:.1f} %" if value >= 0.001 else "< 0.1 %"  # noqa: PLR2004 - 0.1 per cent


def number(value: float | None) -> str:
    """A figure with at most four significant digits, whole above a thousand."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"  # noqa: PLR2004


def rejected(facts: TableFacts) -> str:
    """Reasons with their counts: "bad_price 3, no_user_id 1"."""
    return ", ".join(f"{reason} {count:,}" for reason, count in facts.rejected.items())


def facts_of(report: Readiness) -> dict[str, str]:
    """{what: figure} of the accepted rows."""
    found = report.statistics
    lengths = found.lengths.quantiles
    coverage = share(found.items_with_events / found.items) if found.items else ""
    median, most = number(lengths.get("median")), number(lengths.get("max"))
    return {
        "Users": f"{found.users:,}",
        "Items": f"{found.items:,}, {found.items_with_events:,} of them with events"
        + (f" ({coverage})" if coverage else ""),
        "Events": f"{found.events:,}",
        "Span": f"{found.first} to {found.last}, {found.days:,} days" if found.first else MISSING,
        "Events of a user": f"{median} at the median, {most} at most" if lengths else MISSING,
        "On the top 1 % of items": share(found.top_share) or MISSING,
        "Text of an item": f"{number(found.texts.quantiles['median'])} characters at the median"
        if found.texts.quantiles
        else MISSING,
        "Price": _price(report),
    }


def _price(report: Readiness) -> str:
    quantiles = report.statistics.prices.quantiles
    if not quantiles:
        return MISSING
    low, median, high = (number(quantiles[name]) for name in ("p5", "median", "p95"))
    unit = f" {report.currency}" if report.currency else ""
    return f"{median}{unit} at the median, {low} to {high} for nine in ten"
