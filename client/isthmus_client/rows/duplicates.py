"""Rows that say the same again, found over all batches of a feed or of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import duckdb

from isthmus_client.contract.model import Contract

EVENT_KEY: Final = (
    "user_id",
    "item_id",
    "time",
    "behaviour",
    "surface",
    "price",
    "quantity",
    "rating",
    "order_id",
)
ITEM_KEY: Final = ("item_id",)

# Only rows whose hash comes twice are compared; two NULLs are the same.
_MARK: Final = """
    UPDATE {table} SET reason = '{code}', "column" = '{column}'
    FROM (
        SELECT mark, row_number() OVER (PARTITION BY {key} ORDER BY {order}) AS nth
        FROM (SELECT rowid AS mark, * FROM {table} WHERE reason IS NULL)
        WHERE hash({key}) IN (
            SELECT hash({key}) FROM {table} WHERE reason IS NULL GROUP BY ALL HAVING count(*) > 1)
    ) AS repeated
    WHERE {table}.rowid = repeated.mark AND repeated.nth > 1
"""


def compares_events(contract: Contract) -> bool:
    """Whether events are looked at for repeats.

    Where events have no times they never are: a user who did the same thing twice would look like
    a repeated row.
    """
    return contract.events.duplicates == "reject" and contract.events.timed


def mark_duplicate_events(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    table: str,
    *,
    key: Sequence[str] = EVENT_KEY,
    order: Sequence[str] = ("feed", "line"),
) -> None:
    """Give accepted events that repeat an earlier one the reason `duplicate_event`.

    Nothing happens where `compares_events` says so.

    Args:
        connection: holds the table.
        contract: rejects or keeps duplicates.
        table: a table of judged events with a column for each part of `key` and `order`.
        key: what must be equal.
        order: the first row by these columns stays.
    """
    if compares_events(contract):
        _mark(connection, table, ("duplicate_event", ""), key, order)


def mark_duplicate_items(
    connection: duckdb.DuckDBPyConnection, table: str, *, order: Sequence[str] = ("feed", "line")
) -> None:
    """Give accepted items whose id an earlier one has the reason `duplicate_item`.

    Args:
        connection: holds the table.
        table: a table of judged items with a column for each part of `order`.
        order: the first row by these columns stays.
    """
    _mark(connection, table, ("duplicate_item", "item_id"), ITEM_KEY, order)


def _mark(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    reason: tuple[str, str],
    key: Sequence[str],
    order: Sequence[str],
) -> None:
    code, column = reason
    connection.execute(
        _MARK.format(
            table=table, code=code, column=column, key=", ".join(key), order=", ".join(order)
        )
    )
