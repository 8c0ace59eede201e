"""Platforms from the UCI Online Retail shop: one market is one platform.

An event is one product in one order, bought or returned. A market's catalogue holds the items
that its own events touch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import duckdb

from isthmus.errors import DataInvalidError
from isthmus_client.relations import PlatformTables, connect
from isthmus_simulations.scenarios.data_folder import data_file, data_set
from isthmus_simulations.scenarios.scenario import OnlineRetailPlatform
from isthmus_simulations.scenarios.sources.feeding import read_selected

FOLDER: Final = "online_retail_uk"

_MARKET: Final = """
    CREATE TEMP TABLE market AS
    SELECT * FROM event_file WHERE country IN (SELECT unnest($countries))
"""
_EVENTS: Final = """
    SELECT "user" AS user_id, item AS item_id, min(ts) AS timestamp,
        CASE behaviour WHEN 'return' THEN 'return' ELSE 'purchase' END AS behaviour
    FROM market
    GROUP BY "user", item, "order", market.behaviour
    ORDER BY min(file_row_number)
"""
_ITEMS: Final = """
    SELECT item AS item_id, coalesce(nullif(trim(title), ''), 'unnamed item') AS text, price
    FROM item_file WHERE item IN (SELECT item FROM market)
"""


def read_online_retail(plan: OnlineRetailPlatform, data: Path | None) -> PlatformTables:
    """One market's purchases and returns.

    Raises:
        DataMissingError: the set is not there.
        DataInvalidError: a country does not exist in it.
    """
    folder = data_set(data, FOLDER)
    with connect() as connection:
        for view, file in (("event_file", "events"), ("item_file", "items")):
            path = data_file(folder, f"{file}.parquet")
            connection.read_parquet(str(path), file_row_number=True).create_view(view)
        connection.execute(_MARKET, {"countries": _countries(connection, plan)})
        return read_selected(connection, name=plan.name, events=_EVENTS, items=_ITEMS)


def _countries(connection: duckdb.DuckDBPyConnection, plan: OnlineRetailPlatform) -> Sequence[str]:
    """The market's countries, after a check that those named exist."""
    rows = connection.execute("SELECT DISTINCT country FROM event_file").fetchall()
    known = sorted(row[0] for row in rows)
    unknown = sorted({*plan.countries, *plan.all_but} - set(known))
    if unknown:
        raise DataInvalidError(
            f"platform {plan.name}: the shop has no country {', '.join(unknown)}",
            hint=f"countries are: {', '.join(known)}",
        )
    return plan.countries or [country for country in known if country not in plan.all_but]
