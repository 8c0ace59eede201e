"""What only the rows as they came can tell: words, zones, units, labels, columns that leak.

Everything is counted batch by batch; what is kept does not grow with the number of rows, but for
labels (16 bytes each) and for columns that are constant within users (24 bytes a user).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import duckdb
import pyarrow as pa

from isthmus_client.contract.model import Contract
from isthmus_client.feeds.feed import LINE
from isthmus_client.readiness.database import quoted, row, rows
from isthmus_client.readiness.findings import Seen
from isthmus_client.readiness.intake import BATCH, JUDGED, OpenFeed
from isthmus_client.rows.moments import Moments
from isthmus_client.rows.rules import DAY, EARLIEST
from isthmus_client.rows.texts import as_text

_MOST_WORDS: Final = 1000  # distinct words of behaviours that are remembered
_CLOCK: Final = r"\d:\d{2}(?::\d{2}(?:[.,]\d+)?)? ?(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?$"
_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
DATES: Final = "%Y%m%d"


class Words:
    """Their words for behaviours, and how often each occurs."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self.counts: Counter[str] = Counter()

    def look(self, opened: OpenFeed, batch: pa.RecordBatch) -> None:
        """Count a batch's words."""
        name = opened.theirs.get("behaviour")
        if name is None or _is_nested(batch.schema.field(name).type):
            return
        query = (
            f"SELECT trim({quoted(name)}::VARCHAR) AS word, count(*) AS n FROM {BATCH} "
            "WHERE word IS NOT NULL GROUP BY ALL ORDER BY n DESC, word LIMIT 1000"
        )
        for word, count in rows(self._connection, query):
            if word in self.counts or len(self.counts) < _MOST_WORDS:
                self.counts[word] += count


class Zones:
    """Whether times name a zone.

    Attributes:
        named: {zone as written, "" for none: times}.
        first: {zone: the first row with it}.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self.named: Counter[str] = Counter()
        self.first: dict[str, Seen] = {}

    def look(self, opened: OpenFeed, batch: pa.RecordBatch) -> None:
        """Count a batch's times by the zone that they name."""
        name = opened.theirs.get("timestamp")
        if name is None:
            return
        column = batch.column(name)
        if pa.types.is_timestamp(column.type):
            self._note(column.type.tz or "", len(column) - column.null_count, opened, 0)
        if pa.types.is_string(column.type):
            stamp = f"trim({quoted(name)})"
            query = (
                f"SELECT regexp_extract({stamp}, '{_CLOCK}', 1) AS zone, count(*), min({LINE}) "
                f"FROM {BATCH} WHERE regexp_matches({stamp}, '{_CLOCK}') GROUP BY ALL ORDER BY ALL"
            )
            for zone, count, line in rows(self._connection, query):
                self._note(zone, count, opened, line)

    def _note(self, zone: str, count: int, opened: OpenFeed, line: int) -> None:
        if count:
            self.named[zone] += count
            self.first.setdefault(zone, Seen(opened.feed.name, line))


class Units:
    """In which units numeric times would be plausible dates.

    Attributes:
        numbers: times that are numbers.
        fits: {unit or pattern: times that lie between 1990 and a day after now in it}.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, now: int) -> None:
        self._connection, self._latest = connection, now + DAY
        self.numbers = 0
        self.fits: Counter[str] = Counter()

    def look(self, opened: OpenFeed, batch: pa.RecordBatch) -> None:
        """Count a batch's numbers by the units that fit."""
        name = opened.theirs.get("timestamp")
        if name is None or not _may_be_number(batch.schema.field(name).type):
            return
        counts = ", ".join(
            f"count(*) FILTER (n / {per} BETWEEN {EARLIEST} AND {self._latest})"
            for per in _PER_SECOND.values()
        )
        date = f"try_strptime(TRY_CAST(n AS BIGINT)::VARCHAR, '{DATES}')"
        dates = f"count(CASE WHEN n BETWEEN 19900101 AND 21001231 THEN {date} END)"
        numbers = f"SELECT TRY_CAST({quoted(name)} AS DOUBLE) AS n FROM {BATCH}"
        total, *fits = row(
            self._connection,
            f"SELECT count(n), {counts}, {dates} FROM ({numbers}) WHERE isfinite(n)",
        )
        self.numbers += total
        self.fits.update(dict(zip((*_PER_SECOND, DATES), fits, strict=True)))


class Leaks:
    """Columns that are constant within users, with each user's value.

    Attributes:
        columns: their names, by the number that `leak_values` knows them by.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(
            'CREATE TEMP TABLE leak_values ("column" SMALLINT, user_id UBIGINT, low DOUBLE, '
            "high DOUBLE)"
        )
        self._connection = connection
        self._varying: set[str] = set()
        self.columns: list[str] = []

    def look(self, opened: OpenFeed, batch: pa.RecordBatch) -> None:
        """Add a batch's values of each user; give up columns that vary within users."""
        never = {opened.theirs.get(ours) for ours in ("user_id", "item_id", "timestamp")}
        for name in batch.schema.names:
            if name not in never and name != LINE and name not in self._varying:
                value = _as_number(name, batch.schema.field(name).type)
                if value:
                    self._add(name, value)

    def _add(self, name: str, value: str) -> None:
        if name not in self.columns:
            self.columns.append(name)
        number = self.columns.index(name)
        self._connection.execute(
            f"INSERT INTO leak_values SELECT {number}, user_id, min(v), max(v) FROM ("
            f"SELECT hash(j.user_id) AS user_id, {value} AS v FROM {BATCH} b JOIN {JUDGED} j "
            f"ON b.{LINE} = j.line WHERE j.reason IS NULL) WHERE isfinite(v) GROUP BY ALL"
        )
        users, varying = row(
            self._connection,
            'SELECT count(*), count(*) FILTER (low < high) FROM leak_values WHERE "column" = ?',
            number,
        )
        if not users or varying > 0.05 * users:
            self._varying.add(name)
            self._connection.execute('DELETE FROM leak_values WHERE "column" = ?', [number])


class Labels:
    """When labels became known, next to the time of their event."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, contract: Contract) -> None:
        connection.execute(
            "CREATE TEMP TABLE label_rows (label SMALLINT, feed SMALLINT, line BIGINT, "
            "time BIGINT, known BIGINT)"
        )
        self._connection, self._contract = connection, contract
        self.labels: Mapping[str, str] = contract.events.labels

    def look(self, opened: OpenFeed, batch: pa.RecordBatch) -> None:
        """Add a batch's labels that are given."""
        for number, (label, known) in enumerate(self.labels.items()):
            if {label, known} <= set(batch.schema.names):
                self._add(number, opened, batch.column(label), batch.column(known), batch)

    def _add(
        self, number: int, opened: OpenFeed, label: Any, known: Any, batch: pa.RecordBatch
    ) -> None:
        moments = Moments(
            known,
            time_format=self._contract.events.time_format,
            zone=self._contract.platform.time_zone,
        )
        given = as_text(label).is_valid()
        table = pa.table({LINE: batch.column(LINE), "given": given, "known": moments.values})
        self._connection.register("readiness_labels", table)
        try:
            self._connection.execute(
                f"INSERT INTO label_rows SELECT {number}, {opened.number}, j.line, j.time, "
                f"{moments.sql('known')} FROM readiness_labels l JOIN {JUDGED} j "
                f"ON l.{LINE} = j.line WHERE l.given AND j.reason IS NULL"
            )
        finally:
            self._connection.unregister("readiness_labels")


def _is_nested(kind: Any) -> bool:
    return bool(pa.types.is_nested(kind) or pa.types.is_binary(kind))


def _may_be_number(kind: Any) -> bool:
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return bool(is_number or pa.types.is_string(kind))


def _as_number(name: str, kind: Any) -> str:
    """SQL for a column as a number, times as Unix seconds; "" where it is neither."""
    column = f"b.{quoted(name)}"
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    is_time = pa.types.is_timestamp(kind) or pa.types.is_date(kind)  # in seconds by now
    if is_number or is_time or pa.types.is_decimal(kind):
        return f"{column}::DOUBLE"
    if pa.types.is_string(kind):
        moment = f"TRY_CAST({column} AS TIMESTAMP)"  # "infinity" is one, too
        seconds = f"CASE WHEN isfinite({moment}) THEN epoch({moment}) END"
        return f"coalesce(TRY_CAST({column} AS DOUBLE), {seconds})"
    return ""
