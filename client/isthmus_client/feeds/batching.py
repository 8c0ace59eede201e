"""From tables of any length to batches of one length, with a line number to each row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from isthmus.errors import DataInvalidError
from isthmus_client.feeds.feed import LINE


def check_columns(name: str, has: Sequence[str], wanted: Sequence[str]) -> None:
    """That a feed has the columns which a caller wants, and that none is called as lines are.

    Raises:
        DataInvalidError: it has not; names them.
    """
    if any(column.lower() == LINE for column in wanted):
        raise DataInvalidError(
            f"{name}: a column called {LINE} cannot be read: lines are counted under that name",
            hint="give it another name, in a database by a query",
        )
    absent = [column for column in wanted if column not in has]
    if absent:
        raise DataInvalidError(
            f"{name} has no column {', '.join(map(repr, absent))}",
            hint=f"it has {len(has)} others; map columns in platform.toml",
        )


def numbered(table: pa.Table, lines: npt.NDArray[np.int64]) -> pa.Table:
    """The table with a last column of line numbers; lines: (rows,)."""
    if not table.num_columns:  # Arrow gives no row to a table without columns
        return pa.table({LINE: pa.array(lines, pa.int64())})
    return table.append_column(LINE, pa.array(lines, pa.int64()))


def in_batches(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows in the same order, `rows` to a batch; the last has what is left.

    Memory: one batch and one table.
    """
    waiting: list[pa.Table] = []
    held = 0
    for table in tables:
        waiting.append(table)
        held += table.num_rows
        if held >= rows:
            whole = pa.concat_tables(waiting)
            full = held - held % rows
            yield from _cut(whole.slice(0, full), rows)
            waiting, held = [whole.slice(full)], held - full
    if held:
        yield from _cut(pa.concat_tables(waiting), rows)


def _cut(table: pa.Table, rows: int) -> Iterator[pa.RecordBatch]:
    """Batches of contiguous memory: `rows` each, the last one shorter."""
    for start in range(0, table.num_rows, rows):
        part = table.slice(start, rows).combine_chunks()
        yield from part.to_batches()
