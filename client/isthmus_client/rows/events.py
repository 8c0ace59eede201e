"""Judge events: their columns under our names, parsed, each row with the reason why it is out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Final, get_args

import duckdb
import pyarrow as pa

from isthmus.behaviours import BEHAVIOURS, behaviour_code
from isthmus_client.contract.model import Contract, Surface
from isthmus_client.feeds.feed import LINE
from isthmus_client.rows.columns import COLUMNS, available
from isthmus_client.rows.judging import parse
from isthmus_client.rows.lookup import Lookup
from isthmus_client.rows.moments import Moments
from isthmus_client.rows.numbers import number_column, number_sql
from isthmus_client.rows.rules import DAY, EVENT_RULES, Rule
from isthmus_client.rows.texts import as_text

SURFACES: Final = get_args(Surface)
"""A surface's code is its place here plus one; 0 is "not said"."""

NUMBERS: Final = ("price", "quantity", "rating")


class EventJudge:
    """Judges batches of one feed of events by the one set of rules.

    Args:
        connection: of `relations.connect`, with a table
            `known_items(item_id VARCHAR, item INTEGER)`; only read from.
        contract: says how the columns are called and what their words and times mean.
        has: the feed's columns.
        now: Unix seconds; what lies a day after it is in the future, and retention ends here.

    Attributes:
        SCHEMA: of what `judge` gives.
    """

    SCHEMA: ClassVar = pa.schema(
        {
            "line": pa.int64(),
            "user_id": pa.string(),
            "item_id": pa.string(),
            "item": pa.int32(),
            "time": pa.int64(),
            "behaviour": pa.int8(),
            "surface": pa.int8(),
            "price": pa.float32(),
            "quantity": pa.float32(),
            "rating": pa.float32(),
            "order_id": pa.string(),
            "reason": pa.string(),
            "column": pa.string(),
        }
    )

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        contract: Contract,
        has: Collection[str],
        *,
        now: int,
    ) -> None:
        self._connection = connection
        self._contract = contract
        self._theirs = available(contract.events, COLUMNS["events"].all, has)
        days = contract.history.retention_days
        self._values = {"now": now, "oldest": now - days * DAY}
        self._rules = _rules(contract, self._theirs)
        known = connection.sql("SELECT item_id, item FROM known_items").to_arrow_table()
        self._items = Lookup(*(column.combine_chunks() for column in known.columns))
        words = {**{word: word for word in BEHAVIOURS}, **contract.events.behaviours}
        self._behaviours = Lookup.of({w: behaviour_code(ours) for w, ours in words.items()})
        self._surfaces = Lookup.of({word: code for code, word in enumerate(SURFACES, start=1)})

    @property
    def columns(self) -> Sequence[str]:
        """Their columns that `judge` reads, each once; what a feed is asked for."""
        return tuple(dict.fromkeys(self._theirs.values()))

    def judge(self, batch: pa.RecordBatch) -> pa.Table:
        """Every row of the batch, in order, parsed; `reason` is NULL where it is accepted.

        Columns are those of `SCHEMA`; `time` is in Unix seconds, 0 where events have no times;
        `column` is ours that is at fault.

        Args:
            batch: holds `columns` and `_line`. (rows,)

        Raises:
            DataInvalidError: the batch is not what an Arrow reader should give; names no value.
        """
        user_id, item_id = self._text(batch, "user_id"), self._text(batch, "item_id")
        item = self._items.find(item_id)
        raw = {
            "no_user": user_id.is_null(),
            "no_item": item_id.is_null(),
            "item": item,
            "behaviour": self._behaviour(batch),
        }
        sql = self._sql(batch, raw)
        parsed = parse(self._connection, raw, sql, self._rules, self._values)
        return pa.table(
            {
                "line": batch.column(LINE).cast(pa.int64()),
                "user_id": user_id,
                "item_id": item_id,
                "item": item,
                "time": parsed["time"],
                "behaviour": raw["behaviour"],
                "surface": self._surface(batch),
                **{name: _number(parsed, name) for name in NUMBERS},
                "order_id": self._text(batch, "order_id"),
                "reason": parsed["reason"],
                "column": parsed["column"],
            },
            schema=self.SCHEMA,
        )

    def _sql(self, batch: pa.RecordBatch, raw: dict[str, pa.Array]) -> Mapping[str, str]:
        """SQL of what is parsed, by column; the columns that it reads are put into `raw`."""
        parsed = {"time": "0::BIGINT"}
        if self._contract.events.timed:
            moments = Moments(
                self._column(batch, "timestamp"),
                time_format=self._contract.events.time_format,
                zone=self._contract.platform.time_zone,
            )
            raw["stamp"] = moments.values
            parsed = {"time": moments.sql("stamp"), "time_given": "stamp IS NOT NULL"}
        for name in (name for name in NUMBERS if name in self._theirs):
            raw[name] = column = number_column(self._column(batch, name))
            number, given = number_sql(name, text=pa.types.is_string(column.type))
            parsed |= {name: number, f"{name}_given": given}
        return parsed

    def _behaviour(self, batch: pa.RecordBatch) -> pa.Array:
        if "behaviour" in self._theirs:
            return self._behaviours.find_trimmed(self._text(batch, "behaviour"))
        code = behaviour_code(self._contract.events.default_behaviour)
        return pa.repeat(pa.scalar(code, pa.int8()), batch.num_rows)

    def _surface(self, batch: pa.RecordBatch) -> pa.Array:
        """0 where it is not said, or said in a word that is none of `SURFACES`."""
        if "surface" not in self._theirs:
            return pa.repeat(pa.scalar(0, pa.int8()), batch.num_rows)
        return self._surfaces.find_trimmed(self._text(batch, "surface")).fill_null(0)

    def _text(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        return as_text(self._column(batch, name))

    def _column(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        """Our column, NULL throughout where the feed has none."""
        their = self._theirs.get(name)
        return pa.nulls(batch.num_rows) if their is None else batch.column(their)


def _number(parsed: pa.Table, name: str) -> pa.Array | pa.ChunkedArray:
    """NULL throughout where the feed has no such column."""
    if name in parsed.column_names:
        return parsed[name]
    return pa.nulls(parsed.num_rows, pa.float32())


def _rules(contract: Contract, has: Collection[str]) -> Sequence[Rule]:
    """Those that the contract and the columns at hand leave in force."""
    off = set() if contract.history.retention_days else {"out_of_retention"}
    absent = {name for name in NUMBERS if name not in has}
    if not contract.events.timed:
        absent.add("timestamp")
    return [rule for rule in EVENT_RULES if rule.code not in off and rule.column not in absent]
