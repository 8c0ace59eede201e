"""SQL for whole Unix seconds out of a column of times, whatever its type.

What a column says decides how it is read: a typed timestamp with a zone as it is, one without in
the platform's zone, numbers in the contract's unit, text as ISO 8601 or by the contract's pattern.
Parts of a second are dropped. Where a clock is set back, the repeated hour is its second pass;
where it is set forward, a time that never was is read as if the clock had not moved yet.
"""

from __future__ import annotations

from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from isthmus_client.rows.numbers import NUMBER, number_column
from isthmus_client.rows.texts import as_text, decoded, trimmed

_Kind = Literal["moments", "local", "whole", "real", "text"]

UNITS: Final = {"auto": 1, "s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_MICROSECONDS: Final = 1_000_000  # a second
_FIRST: Final = -62_135_596_800  # 0001-01-01 and
_LAST: Final = 253_402_300_799  # 9999-12-31 in seconds of the local clock
_WHOLE: Final = r"[+-]?[0-9]+"
_CLOCK: Final = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?"
_NAIVE: Final = rf"[12][0-9]{{3}}-[01][0-9]-[0-3][0-9]([T ]{_CLOCK})?"
_ZONE: Final = r"(Z| UTC|[+-][01][0-9](:?[0-5][0-9])?)"
_ZONED: Final = rf"[12][0-9]{{3}}-[01][0-9]-[0-3][0-9][T ]{_CLOCK}{_ZONE}"


class Moments:
    """How one column of times is read.

    Args:
        column: as the feed gives it. (rows,)
        time_format: of the contract: "auto", a unit of `UNITS`, or a pattern as of `strptime`.
        zone: IANA name; of times that name none.

    Attributes:
        values: the column as `sql` wants it; null where no time is given. (rows,)
    """

    def __init__(self, column: pa.Array, *, time_format: str, zone: str) -> None:
        self._zone = zone
        self._pattern = "" if time_format in UNITS else time_format
        self._unit = UNITS.get(time_format, 1)
        self._kind, self.values = _prepared(decoded(column), numbers=not self._pattern)

    def sql(self, column: str) -> str:
        """SQL for BIGINT seconds; NULL where `column`, which holds `values`, is no time."""
        if self._kind == "moments":
            return column
        if self._kind == "local" and self._zone == "UTC":
            return column
        if self._kind == "local":
            inside = f"CASE WHEN {column} BETWEEN {_FIRST} AND {_LAST} THEN {column} END"
            return self._local(f"make_timestamp({inside} * {_MICROSECONDS})")
        if self._kind == "whole":
            # `//` cuts towards zero; that only concerns times before 1970, which are refused.
            return f"TRY_CAST({column} // {self._unit} AS BIGINT)"
        if self._kind == "real":
            return f"TRY_CAST(floor({column} / {self._unit}) AS BIGINT)"
        return self._by_pattern(column) if self._pattern else self._by_text(column)

    def _local(self, moment: str) -> str:
        """Seconds of a time in the platform's zone."""
        if self._zone != "UTC":
            moment = f"timezone({quoted(self._zone)}, {moment})"
        return f"(epoch_us({moment}) // {_MICROSECONDS})"

    def _by_text(self, column: str) -> str:
        zoned = f"epoch_us(TRY_CAST({column} AS TIMESTAMPTZ)) // {_MICROSECONDS}"
        whole = f"TRY_CAST({column} AS BIGINT) // {self._unit}"  # nanoseconds want all 64 bits
        real = f"TRY_CAST(floor(TRY_CAST({column} AS DOUBLE) / {self._unit}) AS BIGINT)"
        return (
            f"CASE WHEN regexp_full_match({column}, '{_NAIVE}') "
            f"THEN {self._local(f'TRY_CAST({column} AS TIMESTAMP)')} "
            f"WHEN regexp_full_match({column}, '{_ZONED}') THEN {zoned} "
            f"WHEN regexp_full_match({column}, '{_WHOLE}') THEN coalesce({whole}, {real}) "
            f"WHEN regexp_full_match({column}, '{NUMBER}') THEN {real} END"
        )

    def _by_pattern(self, column: str) -> str:
        parsed = f"try_strptime({column}, {quoted(self._pattern)})"
        if any(sign in self._pattern for sign in ("%z", "%Z")):
            return f"(epoch_us({parsed}) // {_MICROSECONDS})"
        return self._local(parsed)


def quoted(text: str) -> str:
    """Text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _prepared(column: pa.Array, *, numbers: bool) -> tuple[_Kind, pa.Array]:
    """What a column holds, in a type that DuckDB can always read."""
    kind = column.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return _typed(column)
    if pa.types.is_null(kind):
        return "whole", column.cast(pa.int64())
    if pa.types.is_integer(kind):
        return ("whole", column) if numbers else ("text", column.cast(pa.string()))
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return ("real", number_column(column)) if numbers else ("text", _whole_as_text(column))
    if pa.types.is_string(kind):
        return "text", trimmed(column)
    # Of any other type: given, but no time.
    return "text", pc.if_else(column.is_valid(), "?", pa.scalar(None, pa.string()))


def _whole_as_text(column: pa.Array) -> pa.Array:
    """Days such as 20240331.0, as a column of whole numbers with gaps is often written."""
    text = as_text(column)
    unread = pc.and_(number_column(column).is_valid(), text.is_null())
    return pc.if_else(unread, "?", text)


def _typed(column: pa.Array) -> tuple[_Kind, pa.Array]:
    """Dates and timestamps of any unit as whole seconds, of Unix or of the local clock."""
    zone = column.type.tz if pa.types.is_timestamp(column.type) else None
    seconds = column.cast(pa.timestamp("s", zone), safe=False).cast(pa.int64())
    return ("local" if zone is None else "moments"), seconds
