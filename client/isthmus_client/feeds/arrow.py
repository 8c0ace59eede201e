"""Arrow tables: types that every reader of a feed can rely on, and a feed that lies in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isthmus.errors import DataInvalidError
from isthmus_client.feeds.batching import check_columns, in_batches, numbered
from isthmus_client.feeds.feed import BATCH_ROWS, OnMalformed
from isthmus_client.feeds.text_check import valid_text


@dataclass(frozen=True)
class ArrowFeed:
    """A table in memory as a feed; its first row is line 1, as of a Parquet file.

    Attributes:
        name: what messages call it.
        table: its rows.
    """

    name: str
    table: pa.Table

    def __post_init__(self) -> None:
        """Refuse names that are there twice.

        Raises:
            DataInvalidError: a column's name is repeated.
        """
        check_names(self.name, self.table.column_names)

    @property
    def columns(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(self.table.column_names)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the schema and the rows, however they are cut into chunks."""
        state = hashlib.sha256(self.table.schema.serialize())
        for batch in self.table.combine_chunks().to_batches():
            state.update(batch.serialize())
        return state.hexdigest()

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """Nothing: it was not read from anywhere."""
        return ()

    def batches(
        self,
        columns: Sequence[str],
        on_malformed: OnMalformed,
        *,
        rows: int = BATCH_ROWS,
    ) -> Iterator[pa.RecordBatch]:
        """As `Feed.batches` says; text that is not UTF-8 is malformed.

        Raises:
            DataInvalidError: a wanted column is not there.
        """
        check_columns(self.name, self.columns, columns)
        lines = np.arange(1, self.table.num_rows + 1, dtype=np.int64)
        chosen = numbered(plain(self.table.select(list(columns))), lines)
        yield from in_batches([valid_text(chosen, on_malformed)], rows)


def check_names(name: str, columns: Sequence[str]) -> None:
    """That no column's name is blank or there twice.

    Guarantees:
        What is said holds no name: in a file without a header they are values of its first row.

    Raises:
        DataInvalidError: one is; tells the columns' places.
    """
    wrong = [
        str(place)
        for place, each in enumerate(columns, start=1)
        if not each.strip() or columns.count(each) > 1
    ]
    if wrong:
        raise DataInvalidError(
            f"{name}: a column has no name, or two have the same: columns {', '.join(wrong)} "
            f"of {len(columns)}",
            hint="give each column a name of its own; is there a header at all?",
        )


def plain(table: pa.Table) -> pa.Table:
    """The table without the types that hold the same values in another way.

    Large text, text views and dictionaries of text become text, and so do bytes of any length,
    which is how some writers of Parquet store text; extension types become what they store. It is
    not looked at whether the text is UTF-8.
    """
    kinds = [_plain_type(field.type) for field in table.schema]
    columns = [
        column if column.type == kind else column.cast(options=_unseen(kind))
        for column, kind in zip(table.columns, kinds, strict=True)
    ]
    return pa.table(columns, names=table.column_names) if columns else table


def _unseen(kind: pa.DataType) -> pc.CastOptions:
    return pc.CastOptions(kind, allow_invalid_utf8=True)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return _plain_type(kind.storage_type)
    is_text = (
        pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
    )
    return pa.string() if is_text else kind
