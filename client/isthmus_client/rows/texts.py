"""Columns of any type as text: ids and words, compared byte by byte.

An id is text or a whole number. Text stays as it is, blanks at its ends and leading zeros
included: whoever asks to forget a user must hit the very id. Empty text is none. A whole number
that a file keeps as a float or decimal is written without its ".0"; a float that is not whole, or
so large that neighbours could have become one number (2^53), is no id. Dates and nested values
are none either.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

EXACT: Final = 2.0**53  # up to here a float64 holds every whole number


def as_text(column: pa.Array) -> pa.Array:
    """The column as `string`; null where it holds no id or word. (rows,)."""
    return _without_empty(_plain_text(decoded(column)))


def readable(column: pa.Array) -> pa.Array:
    """The column as text to read, not to compare; null where there is none. (rows,).

    Numbers of any kind are written as they are; nested values and a float column's NaN, which some
    writers put for "unknown", are null.
    """
    plain = decoded(column)
    if pa.types.is_floating(plain.type) or pa.types.is_decimal(plain.type):
        plain = plain.cast(pa.string())
        plain = pc.if_else(pc.equal(plain, "nan"), pa.scalar(None, pa.string()), plain)
    return as_text(plain)


def trimmed(column: pa.Array) -> pa.Array:
    """Text without white space at its ends; null where nothing is left. (rows,)."""
    return _without_empty(pc.utf8_trim_whitespace(column))


def decoded(column: pa.Array) -> pa.Array:
    """The column without a dictionary or an extension around its values, as one text type."""
    if isinstance(column, pa.ExtensionArray):
        whole = pa.types.is_fixed_size_binary(column.storage.type)
        return _extension_text(column) if whole else decoded(column.storage)
    if pa.types.is_dictionary(column.type):
        return decoded(column.dictionary_decode())
    if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        return column.cast(pa.string())
    return column


def _plain_text(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_string(kind):
        return column
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return column.cast(pa.string())
    if pa.types.is_floating(kind):
        return _whole_floats(column.cast(pa.float64()))
    if pa.types.is_decimal(kind):
        return _whole_decimals(column)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.array([_utf8(value) for value in column.to_pylist()], pa.string())
    return pa.nulls(len(column), pa.string())


def _without_empty(column: pa.Array) -> pa.Array:
    """Null instead of ""; most columns hold none and are not copied."""
    empty = pc.equal(column, "")
    if not pc.any(empty).as_py():
        return column
    return pc.if_else(empty, pa.scalar(None, pa.string()), column)


def _whole_floats(column: pa.Array) -> pa.Array:
    whole = pc.and_(pc.equal(column, pc.floor(column)), pc.less(pc.abs(column), EXACT))
    kept = pc.if_else(whole, column, pa.scalar(None, pa.float64()))
    return kept.cast(pa.int64()).cast(pa.string())


def _whole_decimals(column: pa.Array) -> pa.Array:
    text = pc.replace_substring_regex(column.cast(pa.string()), r"\.0+$", "")
    whole = pc.match_substring_regex(text, r"^-?\d+$")
    return pc.if_else(whole, text, pa.scalar(None, pa.string()))


def _extension_text(column: pa.Array) -> pa.Array:
    """UUIDs as they are usually written."""
    values = (None if value is None else value for value in column.to_pylist())
    return pa.array([None if v is None or isinstance(v, bytes) else str(v) for v in values])


def _utf8(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None
