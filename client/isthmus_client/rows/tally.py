"""What was read of a feed and what was left out of it, as counts and first lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from isthmus_client.feeds.feed import Malformed
from isthmus_client.rows.rules import EVENT_RULES, ITEM_RULES, MALFORMED_RULES, Rule

POLICY: Final = frozenset({"out_of_retention"})
"""Reasons that are no fault of the feed: they never count towards its refusal."""


@dataclass
class Rejected:
    """Rows of one feed that are out for one reason; `first` is the lowest of their lines."""

    count: int
    first: int


@dataclass
class Tally:
    """One feed as it is read.

    Attributes:
        table: "events" or "items".
        name: of the feed.
        read: rows, malformed lines among them.
        rejected: {code of the reason: its rows}.
    """

    table: str
    name: str
    read: int = 0
    rejected: dict[str, Rejected] = field(default_factory=dict)

    @property
    def accepted(self) -> int:
        """Rows that are in."""
        return self.read - sum(one.count for one in self.rejected.values())

    def take(self, judged: pa.Table) -> pa.Table:
        """Count a judged batch; what is accepted of it."""
        self.read += judged.num_rows
        good = pc.is_null(judged["reason"])
        if pc.all(good).as_py():
            return judged
        bad = judged.filter(pc.invert(good)).group_by("reason")
        counted = bad.aggregate([("line", "count"), ("line", "min")])
        for row in counted.to_pylist():
            self.reject(row["reason"], row["line_count"], row["line_min"])
        return judged.filter(good)

    def malformed(self, fault: Malformed) -> None:
        """Count a line that has no columns."""
        self.read += 1
        self.reject(fault.reason, 1, fault.line)

    def reject(self, code: str, count: int, first: int) -> None:
        """Count rows that were read before."""
        known = self.rejected.setdefault(code, Rejected(0, first))
        known.count += count
        known.first = min(known.first, first)

    def beyond(self, share: float) -> bool:
        """Whether more rows than this share are at fault."""
        faults = sum(one.count for code, one in self.rejected.items() if code not in POLICY)
        return faults > share * self.read

    def lines(self) -> list[str]:
        """One line a reason: how many, what, where first, and what to do. No value is in them."""
        return [self._line(code, one) for code, one in self.rejected.items()]

    def _line(self, code: str, one: Rejected) -> str:
        rule = _rule(self.table, code)
        what, advice = (rule.what, f" {rule.advice}") if rule else (f"lines are out: {code}", "")
        return f"{one.count} {what} ({code}); first: line {one.first}.{advice}"


def _rule(table: str, code: str) -> Rule | None:
    """The rule of a reason; None where a feed has reasons of its own."""
    rules = ITEM_RULES if table == "items" else EVENT_RULES
    return next((rule for rule in (*rules, *MALFORMED_RULES) if rule.code == code), None)
