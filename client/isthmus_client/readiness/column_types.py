"""Columns whose type cannot hold what is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from isthmus_client.readiness.findings import Draft, Seen, draft
from isthmus_client.readiness.intake import OpenFeed
from isthmus_client.readiness.results import TableFacts

_NUMBERS: Final = frozenset({"price", "quantity", "rating", "value"})
_MOST: Final = 0.5  # of the rows, whose values cannot be read: then it is the column
_UNREADABLE: Final = {
    "bad_price": "price",
    "bad_quantity": "quantity",
    "bad_rating": "rating",
    "bad_time": "timestamp",
}


@dataclass
class WrongTypes:
    """Wrong types of a table's columns.

    Attributes:
        found: {(feed, our column): the type's name}.
    """

    found: dict[tuple[str, str], str] = field(default_factory=dict)

    def look(self, opened: OpenFeed, batch: pa.RecordBatch) -> None:
        """Look at a batch's types."""
        for ours, name in opened.theirs.items():
            kind = batch.schema.field(name).type
            if not _fits(ours, kind):
                self.found[opened.feed.name, ours] = str(kind)

    def findings(self, table: str, facts: TableFacts) -> list[Draft]:
        """Types that are wrong, and columns of text most of which cannot be read."""
        typed = [
            draft(
                "wrong_type",
                table,
                f"{feed}: {ours} is of type {kind}",
                column=ours,
                count=1,
                seen=Seen(feed),
            )
            for (feed, ours), kind in self.found.items()
        ]
        named = {ours for _, ours in self.found}
        return typed + [
            draft(
                "wrong_type",
                table,
                f"{count:,} of {facts.read:,} rows cannot be read in {column}",
                column=column,
                count=count,
                of=facts.read,
            )
            for code, column in _UNREADABLE.items()
            if (count := facts.rejected.get(code, 0)) > _MOST * facts.read and column not in named
        ]


def _fits(ours: str, kind: Any) -> bool:
    types = pa.types
    if types.is_null(kind) or types.is_string(kind):
        return True
    if types.is_nested(kind):
        return False
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    if ours in _NUMBERS:
        return bool(is_number)
    if ours == "timestamp":
        return bool(is_number or types.is_timestamp(kind) or types.is_date(kind))
    return not (types.is_timestamp(kind) or types.is_date(kind) or types.is_time(kind))
