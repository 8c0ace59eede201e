"""The optional tables: service texts, impressions, redemptions, social edges, images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from isthmus_client.contract.model import Contract
from isthmus_client.feeds.feed import LINE
from isthmus_client.readiness.database import rows
from isthmus_client.readiness.findings import Draft, Seen, draft
from isthmus_client.readiness.intake import Intake, OpenFeed, feed_facts, raw_values
from isthmus_client.readiness.results import TableFacts
from isthmus_client.rows.moments import Moments
from isthmus_client.rows.texts import as_text

OPTIONAL: Final = ("service_texts", "impressions", "redemptions", "social_edges", "images")
_VIEW: Final = "readiness_optional"
_BLANK: Final = "coalesce(trim({}), '') = ''"

# (reason, our column, condition): rows that cannot be used.
_REJECTED: Final[Mapping[str, tuple[tuple[str, str, str], ...]]] = {
    "service_texts": (
        ("no_text", "text", _BLANK.format("text")),
        ("bad_time", "timestamp", "stamped AND time IS NULL"),
    ),
    "impressions": (
        ("no_user_id", "user_id", "user_id IS NULL"),
        ("no_time", "timestamp", "NOT stamped"),
        ("bad_time", "timestamp", "time IS NULL"),
    ),
    "redemptions": (
        ("no_user_id", "user_id", "user_id IS NULL"),
        ("no_time", "timestamp", "NOT stamped"),
        ("bad_time", "timestamp", "time IS NULL"),
    ),
    "social_edges": (
        ("no_user_id", "user_id", "user_id IS NULL OR other_id IS NULL"),
        ("self_edge", "other_id", "user_id = other_id"),
    ),
    "images": (
        ("no_item_id", "item_id", "item_id IS NULL"),
        ("missing_image", "path", "path IS NULL OR list_contains($absent, path)"),
    ),
}
# The same of rows that can be used, but that a person should know of.
_NOTED: Final[Mapping[str, tuple[tuple[str, str, str], ...]]] = {
    "service_texts": (("no_label", "label", _BLANK.format("label")),),
    "impressions": (("unknown_user", "user_id", "NOT known"), ("unknown_item", "item_id", "stray")),
    "redemptions": (("unknown_user", "user_id", "NOT known"), ("unknown_item", "item_id", "stray")),
    "social_edges": (("unknown_user", "user_id", "NOT known"),),
    "images": (("unknown_item", "item_id", "stray"),),
}
WORDS: Final = {
    "no_text": "texts are empty",
    "no_label": "texts have no label",
    "no_user_id": "rows have no user_id",
    "no_item_id": "rows have no item_id",
    "no_time": "rows have no time",
    "bad_time": "rows have a time that cannot be read",
    "self_edge": "edges join a user to itself",
    "missing_image": "images have no file",
    "unknown_user": "rows are on users that have no events",
    "unknown_item": "rows are on items that the items table lacks",
}
_COLUMNS: Final = ("text", "label", "user_id", "other_id", "item_id", "path")


@dataclass
class OptionalTable:
    """One optional table while it is read; only counts are kept.

    Attributes:
        rejected: {feed number: {reason, "" for accepted: rows}}.
        noted: {code: rows}.
        labels: up to two different ones.
    """

    connection: duckdb.DuckDBPyConnection
    contract: Contract
    intake: Intake
    rejected: dict[int, Counter[str]] = field(default_factory=dict)
    noted: Counter[str] = field(default_factory=Counter)
    labels: set[str] = field(default_factory=set, repr=False)

    def take(self, opened: OpenFeed, batch: pa.RecordBatch) -> None:
        """Count one batch."""
        counts = self.rejected.setdefault(opened.number, Counter())
        columns, sql = self._columns(opened, batch)
        self.connection.register(_VIEW, pa.table(columns))
        try:
            self._count(opened, batch, sql, counts, _absent(self.contract.folder, columns["path"]))
            if self.intake.table == "service_texts" and len(self.labels) < 2:  # noqa: PLR2004
                query = f"SELECT DISTINCT label FROM {_VIEW} WHERE label IS NOT NULL LIMIT 2"
                self.labels.update(label for (label,) in rows(self.connection, query))
        finally:
            self.connection.unregister(_VIEW)

    def _columns(self, opened: OpenFeed, batch: pa.RecordBatch) -> tuple[dict[str, Any], str]:
        """Our columns of the batch, and SQL for its times."""

        def column(ours: str) -> Any:
            name = opened.theirs.get(ours)
            return pa.nulls(batch.num_rows) if name is None else batch.column(name)

        moments = Moments(
            column("timestamp"),
            time_format=self.contract.events.time_format,
            zone=self.contract.platform.time_zone,
        )
        columns: dict[str, Any] = {ours: as_text(column(ours)) for ours in _COLUMNS}
        return {**columns, "stamp": moments.values, LINE: batch.column(LINE)}, moments.sql("stamp")

    def _count(
        self,
        opened: OpenFeed,
        batch: pa.RecordBatch,
        time: str,
        counts: Counter[str],
        absent: list[str],
    ) -> None:
        table = self.intake.table
        reasons = " ".join(f"WHEN {test} THEN '{code}'" for code, _, test in _REJECTED[table])
        notes = " ".join(f"WHEN {test} THEN '{code}'" for code, _, test in _NOTED[table])
        parameters = {"absent": absent} if table == "images" else {}
        query = (
            f"SELECT CASE {reasons} END AS reason, "
            f"CASE WHEN reason IS NULL THEN CASE {notes} END END AS note, count(*), min({LINE}) "
            f"FROM (SELECT v.*, {time} AS time, stamp IS NOT NULL AS stamped, {_KNOWN} AS known, "
            f"{_STRAY} AS stray FROM {_VIEW} v) GROUP BY ALL ORDER BY ALL"
        )
        found = self.connection.execute(query, parameters).fetchall()
        for reason, note, count, line in found:
            counts[reason or ""] += count
            if note:
                self.noted[note] += count
            for code in filter(None, (reason, note)):
                key = (code, _column_of(table, code))
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
                f"{count:,} of {facts.read:,} {WORDS[code]}",
                column=_column_of(table, code),
                count=count,
                of=facts.read,
                seen=self.intake.seen.get((code, _column_of(table, code))),
            )
            for code, count in sorted(self.noted.items())
        ]
        if len(self.labels) == 1 and facts.accepted > 1:
            what = "all texts that have a label have the same"
            findings.append(draft("one_label", table, what, column="label", count=facts.accepted))
        return findings


# Semi-joins, written as such so that they are hash joins.
_KNOWN: Final = "user_id IS NOT NULL AND hash(user_id) IN (SELECT u.user_id FROM user_ids u)"
_STRAY: Final = "item_id IS NOT NULL AND item_id NOT IN (SELECT k.item_id FROM known_items k)"


def _column_of(table: str, code: str) -> str:
    known = (*_REJECTED[table], *_NOTED[table])
    return next((column for found, column, _ in known if found == code), "")


def _absent(folder: Path, paths: pa.Array) -> list[str]:
    """Those of a batch's paths that are no files, seen from the contract's folder."""
    found = paths.unique().to_pylist()
    return [path for path in found if path is not None and not _is_file(folder, path)]


def _is_file(folder: Path, path: str) -> bool:
    try:
        return (folder / path).is_file()
    except (OSError, ValueError):  # a name that is too long, or holds a NUL
        return False
