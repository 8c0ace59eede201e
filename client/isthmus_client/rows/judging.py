"""The one query that parses and judges a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import duckdb
import pyarrow as pa

from isthmus.errors import DataInvalidError
from isthmus_client.rows.rules import Rule, broken

_BATCH: Final = "batch_to_judge"


def parse(
    connection: duckdb.DuckDBPyConnection,
    raw: Mapping[str, pa.Array],
    parsed: Mapping[str, str],
    rules: Sequence[Rule],
    values: Mapping[str, int],
) -> pa.Table:
    """The parsed columns, `reason` and `column`, in the order of the batch's rows.

    A projection without a join keeps the order of rows. Rules are numbers inside the query: their
    words cost more than all the rest of it.

    Args:
        connection: runs the query.
        raw: columns by name. (rows,)
        parsed: SQL over `raw` by column; a column of the same name shadows the raw one. Those
            whose names end in "_given" are for the rules alone.
        rules: in their order; their conditions are over both.
        values: of the placeholders in the conditions.

    Raises:
        DataInvalidError: a column cannot be read.

    Guarantees:
        The error names no value: the library's own message, which may, is left out.
    """
    outer = [name for name in raw if name not in parsed]
    inner = ", ".join([*outer, *(f"{sql} AS {name}" for name, sql in parsed.items())])
    wanted = ", ".join(name for name in parsed if not name.endswith("_given"))
    rule = f"{broken(rules, values)} AS rule"
    query = f"SELECT {wanted}, {rule} FROM (SELECT {inner} FROM {_BATCH})"  # noqa: S608 - of ours alone
    table = pa.table(dict(raw))
    try:
        table.validate(full=True)  # text that is no UTF-8 would bring the whole database down
        connection.register(_BATCH, table)
        return _named(connection.sql(query).to_arrow_table(), rules)
    except (duckdb.Error, pa.ArrowException) as error:
        kind = type(error).__name__
    finally:
        connection.unregister(_BATCH)
    raise DataInvalidError(
        f"a batch of rows cannot be read ({kind})",
        hint="columns must be text, numbers, dates or times",
    )


def _named(judged: pa.Table, rules: Sequence[Rule]) -> pa.Table:
    """The rules' places as `reason` and `column`."""
    place = judged["rule"].combine_chunks()
    if place.null_count == len(place):
        none = pa.nulls(len(place), pa.string())
        return judged.append_column("reason", none).append_column("column", none)
    codes = pa.array([rule.code for rule in rules])
    columns = pa.array([rule.column for rule in rules])
    reasoned = judged.append_column("reason", codes.take(place))
    return reasoned.append_column("column", columns.take(place))
