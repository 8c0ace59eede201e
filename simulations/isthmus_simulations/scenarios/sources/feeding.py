"""A data set's rows as a platform's feeds: what DuckDB selects, judged by the platform's rules."""

from __future__ import annotations

from typing import Final

import duckdb

from isthmus_client.contract.model import Contract
from isthmus_client.feeds import ArrowFeed
from isthmus_client.reading import read_platform
from isthmus_client.relations import PlatformTables

# A data set that is known row by row: one that breaks a rule means that our query is wrong.
_NONE_REJECTED: Final = 1e-9


def read_selected(
    connection: duckdb.DuckDBPyConnection, *, name: str, events: str, items: str, timed: bool = True
) -> PlatformTables:
    """A platform from two queries over a data set.

    Args:
        connection: runs them.
        name: of the platform.
        events: gives user_id, item_id, behaviour and, where timed, timestamp in Unix seconds; in
            the order that counts where times are equal or unknown.
        items: gives item_id, text and where there are category, price.
        timed: whether events have times.

    Raises:
        FeedRefusedError: a row breaks a rule.
        DataInvalidError: no user has two events.
    """
    contract = Contract.model_validate(
        {
            "platform": {"name": name},
            "limits": {"rejected_share": _NONE_REJECTED},
            "events": {"source": name, "timed": timed, "duplicates": "keep"},
            "items": {"source": name},
        }
    )
    return read_platform(
        contract,
        [ArrowFeed(name, connection.sql(events).to_arrow_table())],
        [ArrowFeed(f"{name}-items", connection.sql(items).to_arrow_table())],
    )
