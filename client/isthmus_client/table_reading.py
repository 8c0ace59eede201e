"""Files to raw relations: a platform's columns under our names, times and words parsed.

Nothing is judged here: what cannot be parsed becomes NULL and is found by `table_checks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
from duckdb import ColumnExpression, ConstantExpression, Expression, SQLExpression, StarExpression

from isthmus.behaviours import behaviour_code
from isthmus_client.table_scan import scan, unreadable

_INTEGERS: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_NUMBERS: Final = ("DOUBLE", "FLOAT", "DECIMAL")

# SQL for whole Unix seconds out of a column `stamp`; {unit} = how many stamps are a second.
_FROM_INTEGER: Final = "TRY_CAST(stamp // {unit} AS BIGINT)"
_FROM_NUMBER: Final = "TRY_CAST(floor(stamp / {unit}) AS BIGINT)"
_FROM_DATE: Final = "TRY_CAST(floor(epoch(stamp)) AS BIGINT)"
_FROM_TEXT: Final = """coalesce(
    TRY_CAST(floor(TRY_CAST(stamp AS DOUBLE) / {unit}) AS BIGINT),
    TRY_CAST(floor(epoch(TRY_CAST(stamp AS TIMESTAMPTZ))) AS BIGINT))"""
_TEXT: Final = """coalesce(nullif(trim("text"), ''), nullif(concat_ws('. ',
    nullif(trim(title), ''), nullif(trim(brand), ''), nullif(trim(category), ''),
    nullif(trim(description), '')), ''))"""


@dataclass(frozen=True)
class Table:
    """An open file.

    Attributes:
        rows: its rows, with a last column `_row` that counts from 1.
        names: {our name: their name} of the columns that it has.
        has: all its columns.
    """

    path: Path
    rows: duckdb.DuckDBPyRelation
    names: Mapping[str, str]
    has: tuple[str, ...]

    def column(self, name: str) -> Expression:
        """Our column as text under our name; NULL where the file has none."""
        found = self.names.get(name)
        value = ConstantExpression(None) if found is None else ColumnExpression(found)
        return value.cast("VARCHAR").alias(name)


def open_table(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    mapping: Mapping[str, str],
    ours: Sequence[str],
) -> Table:
    """The file with its columns found; rows are read when they are needed.

    Args:
        connection: reads it.
        path: a CSV or Parquet file.
        mapping: {our name: their name}; what is not named is looked up by our name.
        ours: the columns that we know.

    Raises:
        DataInvalidError: the file is neither CSV nor Parquet, or is not well formed.
    """
    try:
        rows = scan(connection, path)
    except duckdb.Error as error:
        raise unreadable(path, error) from error
    has = tuple(rows.columns)
    theirs = {name: mapping.get(name, name) for name in ours}
    names = {name: their for name, their in theirs.items() if their in has}
    numbered = rows.select(StarExpression(), SQLExpression("row_number() OVER ()").alias("_row"))
    return Table(path, numbered, names, has)


def define_items(table: Table) -> None:
    """Make `raw_items(item_id, text, category, price_text, price, row)`.

    The text is the file's `text`, or else its title, brand, category and description.

    Raises:
        DataInvalidError: a row is not well formed.
    """
    ours = ("item_id", "title", "text", "description", "category", "brand", "price")
    named = table.rows.select(*(table.column(name) for name in ours), _row())
    _create(
        table.path,
        named.select(
            ColumnExpression("item_id"),
            SQLExpression(_TEXT).alias("text"),
            ColumnExpression("category"),
            ColumnExpression("price").alias("price_text"),
            SQLExpression("TRY_CAST(price AS FLOAT)").alias("price"),
            ColumnExpression("row"),
        ),
        "raw_items",
    )


def define_events(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    words: Mapping[str, str],
    *,
    default: str,
    unit: str,
) -> None:
    """Make `raw_events(user_id, item_id, stamp, time, word, behaviour, row)`.

    Args:
        connection: where the relation is made.
        table: the events file.
        words: {their word: our behaviour}.
        default: our behaviour of every event where the file has no such column.
        unit: "s" or "ms", of numeric timestamps.

    Raises:
        DataInvalidError: a row is not well formed.
    """
    has_word = "behaviour" in table.names
    word = table.column("behaviour") if has_word else ConstantExpression(default)
    named = table.rows.select(
        table.column("user_id"), table.column("item_id"), word.alias("word"), _stamp(table), _row()
    )
    time = _seconds(named).format(unit=1000 if unit == "ms" else 1)
    parsed = named.select(
        ColumnExpression("user_id"),
        ColumnExpression("item_id"),
        ColumnExpression("stamp").cast("VARCHAR").alias("stamp"),
        SQLExpression(time).alias("time"),
        ColumnExpression("word"),
        ColumnExpression("row"),
    )
    _create(table.path, parsed, "worded_events")
    known = {**words, default: default}
    codes = pa.array([behaviour_code(name) for name in known.values()], pa.int8())
    connection.register("words", pa.table({"word": list(known), "behaviour": codes}))
    connection.execute(
        "CREATE TEMP VIEW raw_events AS SELECT * FROM worded_events LEFT JOIN words USING (word)"
    )


def _row() -> Expression:
    return ColumnExpression("_row").alias("row")


def _stamp(table: Table) -> Expression:
    """The timestamp column in its own type; NULL where the file has none."""
    found = table.names.get("timestamp")
    value = ConstantExpression(None) if found is None else ColumnExpression(found)
    return value.alias("stamp")


def _seconds(rows: duckdb.DuckDBPyRelation) -> str:
    """The SQL that fits the type of `stamp`."""
    kind = str(rows.types[rows.columns.index("stamp")]).removeprefix("U")
    if kind.startswith(_INTEGERS):
        return _FROM_INTEGER
    if kind.startswith(_NUMBERS):
        return _FROM_NUMBER
    return _FROM_DATE if kind.startswith(("DATE", "TIMESTAMP")) else _FROM_TEXT


def _create(path: Path, rows: duckdb.DuckDBPyRelation, name: str) -> None:
    """Read the rows into a table of our own."""
    try:
        rows.create(name)
    except duckdb.Error as error:
        raise unreadable(path, error) from error
