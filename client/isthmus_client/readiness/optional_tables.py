"""The optional tables: service texts, impressions, redemptions, social edges, images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import duckdb
import pyarrow as pa

from isthmus_client.contract.model import Contract
from isthmus_client.readiness.database import rows
from isthmus_client.readiness.findings import Draft, Seen, draft
from isthmus_client.readiness.intake import Intake, OpenFeed, feed_facts, raw_values
from isthmus_client.readiness.results import TableFacts
from isthmus_client.rows import OPTIONAL_RULES, OptionalJudge

OPTIONAL: Final = tuple(OPTIONAL_RULES)
_JUDGED: Final = "readiness_optional"

# Semi-joins, written as such so that they are hash joins.
_UNKNOWN_USER: Final = "hash(user_id) NOT IN (SELECT u.user_id FROM user_ids u)"
_UNKNOWN_ITEM: Final = (
    "item_id IS NOT NULL AND item_id NOT IN (SELECT k.item_id FROM known_items k)"
)
_ON_USERS: Final = ("unknown_user", "user_id", _UNKNOWN_USER)
_ON_ITEMS: Final = ("unknown_item", "item_id", _UNKNOWN_ITEM)

# (code, our column, condition): rows that can be used, but that a person should know of.
_NOTED: Final[Mapping[str, tuple[tuple[str, str, str], ...]]] = {
    "service_texts": (),
    "impressions": (_ON_USERS, _ON_ITEMS),
    "redemptions": (_ON_USERS, _ON_ITEMS),
    "social_edges": (_ON_USERS,),
    "images": (_ON_ITEMS,),
}
_WORDS: Final = {
    "unknown_user": "rows are on users that have no events",
    "unknown_item": "rows are on items that the items table lacks",
}


@dataclass
class OptionalTable:
    """One optional table while it is read; only counts are kept.

    Attributes:
        rejected: {feed number: {reason, "" for accepted: rows}}.
        noted: {(code, our column): rows}.
        labels: up to two different ones.
    """

    connection: duckdb.DuckDBPyConnection
    contract: Contract
    intake: Intake
    rejected: dict[int, Counter[str]] = field(default_factory=dict)
    noted: Counter[tuple[str, str]] = field(default_factory=Counter)
    labels: set[str] = field(default_factory=set, repr=False)

    def take(self, opened: OpenFeed, batch: pa.RecordBatch) -> None:
        """Judge and count one batch."""
        table, has = self.intake.table, opened.feed.columns
        judge = OptionalJudge(self.connection, self.contract, table, has)
        self.connection.register(_JUDGED, judge.judge(batch))
        try:
            self._count_rejected(opened, batch)
            self._count_noted(opened, batch)
            if table == "service_texts" and len(self.labels) < 2:  # noqa: PLR2004
                query = f"SELECT DISTINCT label FROM {_JUDGED} WHERE reason IS NULL LIMIT 2"
                self.labels.update(label for (label,) in rows(self.connection, query))
        finally:
            self.connection.unregister(_JUDGED)

    def _count_rejected(self, opened: OpenFeed, batch: pa.RecordBatch) -> None:
        counts = self.rejected.setdefault(opened.number, Counter())
        query = f'SELECT reason, "column", count(*), min(line) FROM {_JUDGED} GROUP BY ALL'
        for reason, column, count, line in rows(self.connection, query):
            counts[reason or ""] += count
            if reason:
                self._see((reason, column), opened, batch, line)

    def _count_noted(self, opened: OpenFeed, batch: pa.RecordBatch) -> None:
        """Of a row that is noted twice the first note counts."""
        noted = _NOTED[self.intake.table]
        if not noted:
            return
        cases = " ".join(f"WHEN {test} THEN {place}" for place, (_, _, test) in enumerate(noted))
        query = (
            f"SELECT CASE {cases} END AS note, count(*), min(line) FROM {_JUDGED} "
            "WHERE reason IS NULL GROUP BY note HAVING note IS NOT NULL"
        )
        for place, count, line in rows(self.connection, query):
            code, column, _ = noted[place]
            self.noted[code, column] += count
            self._see((code, column), opened, batch, line)

    def _see(
        self, key: tuple[str, str], opened: OpenFeed, batch: pa.RecordBatch, line: int
    ) -> None:
        """Keep the first row of every reason or note, as it came."""
        if key not in self.intake.seen:
            values = raw_values(batch, opened.theirs, line)
            self.intake.seen[key] = Seen(opened.feed.name, line, values)

    def facts(self) -> TableFacts:
        """Counts of every feed."""
        none: Counter[str] = Counter()
        feeds = (feed_facts(o, self.rejected.get(o.number, none)) for o in self.intake.feeds)
        return TableFacts(name=self.intake.table, feeds=tuple(feeds))

    def findings(self) -> list[Draft]:
        """What is noted of rows that can be used."""
        table, facts = self.intake.table, self.facts()
        findings = [
            draft(
                code,
                table,
                f"{count:,} of {facts.read:,} {_WORDS[code]}",
                column=column,
                count=count,
                of=facts.read,
                seen=self.intake.seen.get((code, column)),
            )
            for (code, column), count in sorted(self.noted.items())
        ]
        if len(self.labels) == 1 and facts.accepted > 1:
            what = "all texts have the same label"
            findings.append(draft("one_label", table, what, column="label", count=facts.accepted))
        return findings
