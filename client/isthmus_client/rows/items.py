"""Judge items: what the text encoder reads, category, price, and the reason why a row is out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar, Final

import duckdb
import pyarrow as pa

from isthmus_client.contract.model import Contract
from isthmus_client.feeds.feed import LINE
from isthmus_client.rows.columns import COLUMNS, available
from isthmus_client.rows.judging import parse
from isthmus_client.rows.numbers import number_column, number_sql
from isthmus_client.rows.rules import ITEM_RULES
from isthmus_client.rows.texts import as_text, readable

# The item's own text, or else its title, brand, category and description. Text vectors are cached
# by this very text: another comma would encode every catalogue anew.
_TEXT: Final = """coalesce(nullif(trim(own_text), ''), nullif(concat_ws('. ',
    nullif(trim(title), ''), nullif(trim(brand), ''), nullif(trim(category), ''),
    nullif(trim(description), '')), ''))"""
_WORDS: Final = ("title", "description", "category", "brand", "image")


class ItemJudge:
    """Judges batches of one feed of items by the one set of rules.

    Args:
        connection: of `relations.connect`.
        contract: says how the columns are called.
        has: the feed's columns.

    Attributes:
        SCHEMA: of what `judge` gives.
    """

    SCHEMA: ClassVar = pa.schema(
        {
            "line": pa.int64(),
            "item_id": pa.string(),
            "text": pa.string(),
            "category": pa.string(),
            "brand": pa.string(),
            "price": pa.float32(),
            "image": pa.string(),
            "reason": pa.string(),
            "column": pa.string(),
        }
    )

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, contract: Contract, has: Collection[str]
    ) -> None:
        self._connection = connection
        self._theirs = available(contract.items, COLUMNS["items"].all, has)

    @property
    def columns(self) -> Sequence[str]:
        """Their columns that `judge` reads, each once; what a feed is asked for."""
        return tuple(dict.fromkeys(self._theirs.values()))

    def judge(self, batch: pa.RecordBatch) -> pa.Table:
        """Every row of the batch, in order, parsed; `reason` is NULL where it is accepted.

        Columns are those of `SCHEMA`; `column` is ours that is at fault.

        Args:
            batch: holds `columns` and `_line`. (rows,)

        Raises:
            DataInvalidError: the batch is not what an Arrow reader should give; names no value.
        """
        item_id = as_text(self._column(batch, "item_id"))
        raw = {name: readable(self._column(batch, name)) for name in _WORDS}
        raw["own_text"] = readable(self._column(batch, "text"))
        raw["no_item"] = item_id.is_null()
        raw["price"] = price = number_column(self._column(batch, "price"))
        number, given = number_sql("price", text=pa.types.is_string(price.type))
        sql = {"text": _TEXT, "price": number, "price_given": given}
        parsed = parse(self._connection, raw, sql, ITEM_RULES, {})
        return pa.table(
            {
                "line": batch.column(LINE).cast(pa.int64()),
                "item_id": item_id,
                "text": parsed["text"],
                "category": raw["category"],
                "brand": raw["brand"],
                "price": parsed["price"],
                "image": raw["image"],
                "reason": parsed["reason"],
                "column": parsed["column"],
            },
            schema=self.SCHEMA,
        )

    def _column(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        """Our column, NULL throughout where the feed has none."""
        their = self._theirs.get(name)
        return pa.nulls(batch.num_rows) if their is None else batch.column(their)
