"""SQL for numbers: prices, quantities, ratings."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from isthmus_client.rows.texts import decoded

# What is a number as text: 12, -0.5, .5, 1.7e9. No thousands' separators, no currency, no "nan".
NUMBER: Final = r"[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,3})?"


def number_column(column: pa.Array) -> pa.Array:
    """The column as text, float64 or null: all that `number_sql` has to know. (rows,).

    NaN in a column of floats is what some writers put for "unknown": it becomes null.
    """
    plain = decoded(column)
    kind = plain.type
    if pa.types.is_string(kind):
        return plain
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _without_nan(plain.cast(pa.float64(), safe=False))
    if pa.types.is_null(kind):
        return plain.cast(pa.float64())
    # Of any other type: given, but no number. The empty pattern matches no number.
    return pa.compute.if_else(plain.is_valid(), "?", pa.scalar(None, pa.string()))


def number_sql(column: str, *, text: bool) -> tuple[str, str]:
    """SQL for a FLOAT, NULL where it is none or not finite; and for whether one is given.

    Args:
        column: its name in the relation.
        text: whether it is text.
    """
    if not text:
        number = f"TRY_CAST({column} AS FLOAT)"
        return f"CASE WHEN isfinite({number}) THEN {number} END", f"{column} IS NOT NULL"
    stripped = f"trim({column}, E' \\t\\r\\n')"
    number = f"CASE WHEN regexp_full_match({stripped}, '{NUMBER}') "
    number += f"THEN TRY_CAST({stripped} AS FLOAT) END"
    return f"CASE WHEN isfinite({number}) THEN {number} END", f"coalesce({stripped}, '') <> ''"


def _without_nan(column: pa.Array) -> pa.Array:
    nan = pa.compute.is_nan(column)
    if not pa.compute.any(nan).as_py():
        return column
    return pa.compute.if_else(nan, pa.scalar(None, pa.float64()), column)
