"""Text that Arrow was given unseen, of a file or a database, is looked at: it must be UTF-8."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isthmus_client.feeds.feed import LINE, Malformed, OnMalformed


def valid_text(table: pa.Table, on_malformed: OnMalformed) -> pa.Table:
    """The rows whose text is UTF-8; the others are told on.

    Args:
        table: with a column `_line`.
        on_malformed: is told of each row that is left out.
    """
    try:
        table.validate(full=True)
    except pa.ArrowInvalid:
        return _without_bad_text(table, on_malformed)
    return table


def _without_bad_text(table: pa.Table, on_malformed: OnMalformed) -> pa.Table:
    good = np.ones(table.num_rows, dtype=np.bool_)
    for column in table.columns:
        if pa.types.is_string(column.type):
            good &= [_is_text(value) for value in column.cast(pa.binary()).to_pylist()]
    lines = table.column(LINE).to_numpy()
    for line in lines[~good]:
        on_malformed(Malformed(int(line), "encoding", "text that is not UTF-8"))
    return table.filter(pc.fill_null(pa.array(good), False))


def _is_text(value: bytes | None) -> bool:
    try:
        _ = value is None or value.decode()
    except UnicodeDecodeError:
        return False
    return True
