"""Judge rows of the optional tables: service texts, impressions, redemptions, edges, images."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from isthmus_client.contract.model import Contract
from isthmus_client.feeds.feed import LINE
from isthmus_client.rows.columns import COLUMNS, available
from isthmus_client.rows.judging import parse
from isthmus_client.rows.moments import Moments
from isthmus_client.rows.rules import OPTIONAL_RULES
from isthmus_client.rows.texts import as_text, readable, trimmed

IDS: Final = ("user_id", "other_id", "item_id")
TIME: Final = "timestamp"


class OptionalJudge:
    """Judges batches of one feed of an optional table by the one set of rules.

    Args:
        connection: of `relations.connect`.
        contract: has the table; says how its columns are called, and how times are written.
        table: a key of `OPTIONAL_RULES`.
        has: the feed's columns.

    Attributes:
        schema: of what `judge` gives: `line`, all of our columns, `reason` and `column`.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        contract: Contract,
        table: str,
        has: Collection[str],
    ) -> None:
        self._connection = connection
        self._contract = contract
        self._table = table
        self._theirs = available(getattr(contract, table), COLUMNS[table].all, has)
        self.schema = judged_schema(table)

    @property
    def columns(self) -> Sequence[str]:
        """Their columns that `judge` reads, each once; what a feed is asked for."""
        return tuple(dict.fromkeys(self._theirs.values()))

    def judge(self, batch: pa.RecordBatch) -> pa.Table:
        """Every row of the batch, in order; `reason` is NULL where it is accepted.

        Ids and words are text, `timestamp` is in Unix seconds; `column` is ours that is at fault.

        Args:
            batch: holds `columns` and `_line`. (rows,)

        Raises:
            DataInvalidError: the batch is not what an Arrow reader should give; names no value.
        """
        names = [name for name in COLUMNS[self._table].all if name != TIME]
        texts = {name: self._text(batch, name) for name in names}
        moments = Moments(
            self._column(batch, TIME),
            time_format=self._contract.events.time_format,
            zone=self._contract.platform.time_zone,
        )
        raw = {**self._flags(texts), "stamp": moments.values}
        sql = {"time": moments.sql("stamp"), "time_given": "stamp IS NOT NULL"}
        parsed = parse(self._connection, raw, sql, OPTIONAL_RULES[self._table], {})
        columns = {
            "line": batch.column(LINE).cast(pa.int64()),
            **texts,
            TIME: parsed["time"],
            "reason": parsed["reason"],
            "column": parsed["column"],
        }
        return pa.table({name: columns[name] for name in self.schema.names}, schema=self.schema)

    def _flags(self, texts: dict[str, pa.Array]) -> dict[str, pa.Array]:
        """What the rules ask of a row's texts. (rows,) each"""
        needed = (name for name in COLUMNS[self._table].needed if name != TIME)
        flags = {f"no_{name}": _absent(name, texts[name]) for name in needed}
        if self._table == "social_edges":
            flags["self_edge"] = pc.equal(texts["user_id"], texts["other_id"])
        if self._table == "images":
            flags["missing_image"] = _missing(self._contract.folder, texts["path"])
        return flags

    def _text(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        column = self._column(batch, name)
        return as_text(column) if name in IDS else readable(column)

    def _column(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        """Our column, NULL throughout where the feed has none."""
        their = self._theirs.get(name)
        return pa.nulls(batch.num_rows) if their is None else batch.column(their)


def judged_schema(table: str) -> pa.Schema:
    """Of a judged optional table."""
    kinds = {name: pa.int64() if name == TIME else pa.string() for name in COLUMNS[table].all}
    return pa.schema({"line": pa.int64(), **kinds, "reason": pa.string(), "column": pa.string()})


def _absent(name: str, column: pa.Array) -> pa.Array:
    """Where there is no id, or nothing but white space in another column. (rows,)"""
    return column.is_null() if name in IDS else trimmed(column).is_null()


def _missing(folder: Path, paths: pa.Array) -> pa.Array:
    """Where a path is no file, seen from the contract's folder; a URL is not looked for. (rows,)"""
    distinct = [path for path in paths.unique().to_pylist() if path is not None]
    gone = [path for path in distinct if "://" not in path and not _is_file(folder, path)]
    return pc.is_in(paths, value_set=pa.array(gone, pa.string()))


def _is_file(folder: Path, path: str) -> bool:
    try:
        return (folder / path).is_file()
    except (OSError, ValueError):  # a name that is too long, or holds a NUL
        return False
