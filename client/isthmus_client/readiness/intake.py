"""One pass over each feed: rows are judged by the rules and kept in compact form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus_client.feeds.feed import LINE, Feed, Malformed
from isthmus_client.readiness.database import rows
from isthmus_client.readiness.findings import Seen
from isthmus_client.readiness.results import FeedFacts, TableFacts

BATCH: Final = "readiness_batch"  # the view of the rows as they came
JUDGED: Final = "readiness_judged"  # the view of the same rows, judged
_MOST_UNMAPPED: Final = 30  # columns beside the mapped ones that are looked at


class Judge(Protocol):
    """`rows.EventJudge` or `rows.ItemJudge`."""

    def judge(self, batch: pa.RecordBatch) -> pa.Table:
        """The rows judged."""
        ...


@dataclass
class OpenFeed:
    """A feed, and what was met in it so far.

    Attributes:
        number: its place among the feeds of its table, from 0.
        theirs: {our column: their column} of the mapped columns that it has.
        is_header: whether its columns' names are names, as far as one can tell; else they may be
            a row, and are told to nobody.
        malformed: {reason: lines}.
        broken: why it could not be read to its end; "" where it could.
    """

    number: int
    feed: Feed
    theirs: Mapping[str, str]
    is_header: bool = True
    malformed: Counter[str] = field(default_factory=Counter)
    broken: str = ""

    @property
    def unmapped(self) -> tuple[str, ...]:
        """Their columns that nothing is mapped to."""
        mapped = set(self.theirs.values())
        return tuple(name for name in self.feed.columns if name not in mapped)


Look = Callable[[OpenFeed, pa.RecordBatch], None]
"""Called for each batch."""


@dataclass
class Intake:
    """A table's feeds while they are read.

    Attributes:
        table: of the contract.
        seen: {(reason, our column): the first row that was rejected for it}.
    """

    connection: duckdb.DuckDBPyConnection
    table: str
    feeds: Sequence[OpenFeed]
    seen: dict[tuple[str, str], Seen] = field(default_factory=dict)

    def read(self, opened: OpenFeed, judge: Judge, keep: str, looks: Sequence[Look] = ()) -> None:
        """Take in one feed of events or items.

        Args:
            opened: the feed.
            judge: tells each row's reason.
            keep: SQL that inserts `JUDGED` into a table of ours; `{feed}` is the feed's number.
            looks: called for each batch while `BATCH` and `JUDGED` are there.
        """
        statements = keep.format(feed=opened.number).split(";")

        def take(opened: OpenFeed, batch: pa.RecordBatch) -> None:
            self.connection.register(BATCH, viewed(batch))
            self.connection.register(JUDGED, judge.judge(batch))
            try:
                for statement in statements:
                    self.connection.execute(statement)
                self._first_rejected(opened, batch)
                for look in looks:
                    look(opened, batch)
            finally:
                self.connection.unregister(BATCH)
                self.connection.unregister(JUDGED)

        self.stream(opened, [take])

    def stream(self, opened: OpenFeed, looks: Sequence[Look]) -> None:
        """Give a feed's batches to `looks`; what stops it is kept as `opened.broken`."""
        columns = {*opened.theirs.values(), *opened.unmapped[:_MOST_UNMAPPED]}
        columns -= {name for name in opened.unmapped if name.lower() == LINE}  # that is ours
        wanted = [name for name in opened.feed.columns if name in columns]
        try:
            for batch in opened.feed.batches(wanted, self._on_malformed(opened)):
                for look in looks:
                    look(opened, batch)
        except (DataMissingError, DataInvalidError) as error:
            opened.broken = str(error)
        except duckdb.OutOfMemoryException:
            raise
        except (duckdb.Error, pa.ArrowException) as error:  # whose text may quote a row
            opened.broken = f"{opened.feed.name} cannot be read further ({type(error).__name__})"

    def _on_malformed(self, opened: OpenFeed) -> Callable[[Malformed], None]:
        def note(found: Malformed) -> None:
            opened.malformed[found.reason] += 1
            values = {"fault": found.detail}
            self.seen.setdefault((found.reason, ""), Seen(opened.feed.name, found.line, values))

        return note

    def _first_rejected(self, opened: OpenFeed, batch: pa.RecordBatch) -> None:
        """Keep the first row of every reason, as it came."""
        query = (
            f"SELECT reason, coalesce(\"column\", ''), min(line) FROM {JUDGED} "
            "WHERE reason IS NOT NULL GROUP BY ALL"
        )
        for reason, column, line in rows(self.connection, query):
            if (reason, column) not in self.seen:
                values = raw_values(batch, opened.theirs, line)
                self.seen[reason, column] = Seen(opened.feed.name, line, values)

    def facts(self, kept: str) -> TableFacts:
        """Counts of every feed.

        Args:
            kept: the table of ours that `read` filled.
        """
        query = f"SELECT feed, coalesce(reason, ''), count(*) FROM {kept} GROUP BY ALL ORDER BY ALL"
        counts: dict[int, Counter[str]] = {each.number: Counter() for each in self.feeds}
        for number, reason, count in rows(self.connection, query):
            counts[number][reason] = count
        return TableFacts(
            name=self.table,
            feeds=tuple(feed_facts(each, counts[each.number]) for each in self.feeds),
        )


def feed_facts(opened: OpenFeed, counts: Mapping[str, int]) -> FeedFacts:
    """One feed's counts out of {reason: rows}, "" for those accepted."""
    rejected = Counter({reason: n for reason, n in counts.items() if reason}) + opened.malformed
    accepted = counts.get("", 0)
    return FeedFacts(
        name=opened.feed.name,
        columns=tuple(opened.feed.columns) if opened.is_header else (),
        read=accepted + rejected.total(),
        accepted=accepted,
        rejected=dict(sorted(rejected.items())),
        notes=tuple(text for _, text in opened.feed.notes),
    )


def raw_values(
    batch: pa.RecordBatch, theirs: Mapping[str, str], line: int
) -> dict[str, str | None]:
    """{our column: what stands in a line}."""
    place = pc.index(batch.column(LINE), line).as_py()
    return {
        ours: _text(batch.column(name).slice(place, 1))
        for ours, name in theirs.items()
        if name in batch.schema.names
    }


def viewed(batch: pa.RecordBatch) -> pa.Table:
    """The batch in types that DuckDB reads whatever they hold.

    Times and dates become whole Unix seconds, which have no bounds; a column of a type that holds
    neither text nor numbers becomes NULL.
    """
    names = batch.schema.names
    return pa.table({name: _viewed(batch.column(name)) for name in names})


def _viewed(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zone = kind.tz if pa.types.is_timestamp(kind) else None
        return column.cast(pa.timestamp("s", zone), safe=False).cast(pa.int64())
    if pa.types.is_float16(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.float64(), safe=False)
    plain = pa.types.is_string(kind) or pa.types.is_boolean(kind)
    if plain or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return column
    return pa.nulls(len(column), pa.string())


def _text(cell: pa.Array) -> str | None:
    """A single cell as text; None where it is empty. (1,)."""
    if pa.types.is_binary(cell.type) or pa.types.is_nested(cell.type):
        return f"({cell.type})" if cell.null_count == 0 else None
    try:
        shown: str | None = cell.cast(pa.string())[0].as_py()
    except pa.ArrowException:  # such as a time beyond the year 9999
        return f"({cell.type})"
    return shown
