"""What a feed's header tells before a row is read.

Guarantees:
    A file without a header has a row in its place. Names of columns are therefore told only where
    at least one of them is known: else they could be somebody's id.
"""

from __future__ import annotations

from typing import Final

from isthmus_client.contract.model import Contract
from isthmus_client.feeds.feed import Feed
from isthmus_client.readiness.findings import Draft, Seen, draft
from isthmus_client.rows import COLUMNS, ColumnFault, is_header, require_columns

_DELIMITERS: Final = ",;\t|"
_MOST_NAMES: Final = 20  # that one finding lists


def read_header(contract: Contract, table: str, feed: Feed) -> list[Draft]:
    """What is wrong with it; an error among that means that rows cannot be judged."""
    theirs = mapped(contract, table, feed)
    faults = require_columns(contract, table, feed.columns)
    if faults and is_one_column(feed):
        return [_wrong_delimiter(table, feed)]
    if faults and not is_header(contract, table, feed.columns):
        return [_no_header(table, feed)]
    known = {*theirs.values(), *(fault.suggestion for fault in faults), *_asked(contract, table)}
    found = [_fault(table, feed, fault) for fault in faults]
    return [*found, *_labels(contract, table, feed), *_extra(table, feed, known)]


def mapped(contract: Contract, table: str, feed: Feed) -> dict[str, str]:
    """{our column: their column} of the columns that a feed has."""
    columns = getattr(contract, table).columns
    theirs = {ours: columns.get(ours, ours) for ours in COLUMNS[table].all}
    return {ours: their for ours, their in theirs.items() if their in feed.columns}


def notes(table: str, feed: Feed) -> list[Draft]:
    """How a feed was read, where that is worth a word; encodings are told with their lines."""
    return [
        draft(
            "bom" if kind == "bom" else "source_note",
            table,
            f"{feed.name}: {text}",
            count=1,
            seen=Seen(feed.name),
        )
        for kind, text in feed.notes
        if kind != "encoding"
    ]


def differing(table: str, feeds: list[tuple[str, dict[str, str]]]) -> list[Draft]:
    """Columns that some of a table's feeds have and others lack.

    Args:
        table: of the contract.
        feeds: (name, {our column: theirs}) of each.
    """
    everywhere = {ours for _, theirs in feeds for ours in theirs}
    lacking = {
        ours: [name for name, theirs in feeds if ours not in theirs] for ours in sorted(everywhere)
    }
    return [
        draft(
            "column_in_some_feeds",
            table,
            f"{len(names):,} of {len(feeds):,} files have no column {ours}",
            column=ours,
            count=len(names),
            of=len(feeds),
            seen=Seen(names[0]),
        )
        for ours, names in lacking.items()
        if names
    ]


def is_one_column(feed: Feed) -> bool:
    """Whether a header was not taken apart."""
    return len(feed.columns) == 1 and any(sign in feed.columns[0] for sign in _DELIMITERS)


def _wrong_delimiter(table: str, feed: Feed) -> Draft:
    sign = max(_DELIMITERS, key=feed.columns[0].count)
    shown = {"\t": "a tab", ",": "a comma", ";": "a semicolon", "|": "a bar"}[sign]
    return draft(
        "wrong_delimiter",
        table,
        f"{feed.name} was read as a single column whose name holds {shown}",
        count=1,
        seen=Seen(feed.name, 1),
    )


def _no_header(table: str, feed: Feed) -> Draft:
    return draft(
        "no_header",
        table,
        f"{feed.name}: none of its {len(feed.columns):,} columns is one that platform.toml names",
        count=len(feed.columns),
        seen=Seen(feed.name, 1),
    )


def _fault(table: str, feed: Feed, fault: ColumnFault) -> Draft:
    if fault.suggestion:
        what = f"{feed.name} has no column {fault.theirs}, but {fault.suggestion} looks like it"
        ours = fault.column.partition(" ")[0]
        advice = f'Write columns = {{ {ours} = "{fault.suggestion}" }} under [{table}].'
        return draft(
            "renamed_column", table, what, column=fault.column, count=1, seen=Seen(feed.name),
            advice=advice,
        )  # fmt: skip
    what = f"{feed.name} has no column {fault.theirs}; it has {_listed(feed.columns)}"
    return draft("missing_column", table, what, column=fault.column, count=1, seen=Seen(feed.name))


def _asked(contract: Contract, table: str) -> list[str]:
    """Columns of the events that `labels` names, each once."""
    labels = contract.events.labels if table == "events" else {}
    return list(dict.fromkeys(name for pair in labels.items() for name in pair))


def _labels(contract: Contract, table: str, feed: Feed) -> list[Draft]:
    """Columns that `labels` names and the feed lacks."""
    return [
        draft(
            "missing_column",
            table,
            f"{feed.name} has no column {name}, which `labels` names; "
            f"it has {_listed(feed.columns)}",
            column=name,
            count=1,
            seen=Seen(feed.name),
        )
        for name in _asked(contract, table)
        if name not in feed.columns
    ]


def _extra(table: str, feed: Feed, known: set[str]) -> list[Draft]:
    extra = [name for name in feed.columns if name not in known]
    if not extra:
        return []
    what = f"{feed.name} has columns that are not mapped: {_listed(extra)}"
    return [
        draft(
            "extra_column", table, what, column=extra[0], count=len(extra), of=len(feed.columns),
            seen=Seen(feed.name),
        )
    ]  # fmt: skip


def _listed(names: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    return shown + (f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else "")
