"""Platforms from the data folder's Amazon sets: ordered sequences (2014) and ratings (2018)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import duckdb

from isthmus_client.relations import PlatformTables, connect
from isthmus_simulations.scenarios.data_folder import data_file, data_set
from isthmus_simulations.scenarios.scenario import Amazon2018Platform, AmazonP5Platform
from isthmus_simulations.scenarios.sources.feeding import read_selected

_ITEMS: Final = """
    SELECT item AS item_id, coalesce(nullif(trim(title), ''), 'unnamed item') AS text FROM item_file
"""
_SEQUENCES: Final = """
    SELECT "user" AS user_id, unnest(items) AS item_id, 'rate' AS behaviour FROM event_file
    ORDER BY file_row_number, generate_subscripts(items, 1)
"""
_RATINGS: Final = """
    SELECT "user" AS user_id, item AS item_id, ts AS timestamp, 'rate' AS behaviour FROM event_file
    ORDER BY file_row_number
"""


def read_amazon_p5(plan: AmazonP5Platform, data: Path | None) -> PlatformTables:
    """An ordered-sequence set: reviews, whose order is known and whose times are not.

    Raises:
        DataMissingError: the set is not there.
    """
    folder = data_set(data, plan.folder)
    return _read(folder, "sequences.parquet", _SEQUENCES, plan.name, timed=False)


def read_amazon_2018(plan: Amazon2018Platform, data: Path | None) -> PlatformTables:
    """A set of ratings with days.

    Raises:
        DataMissingError: the set is not there.
    """
    folder = data_set(data, plan.folder)
    return _read(folder, "events.parquet", _RATINGS, plan.name, timed=True)


def _read(folder: Path, events: str, query: str, name: str, *, timed: bool) -> PlatformTables:
    with connect() as connection:
        _view(connection, "item_file", data_file(folder, "items.parquet"))
        _view(connection, "event_file", data_file(folder, events))
        return read_selected(connection, name=name, events=query, items=_ITEMS, timed=timed)


def _view(connection: duckdb.DuckDBPyConnection, name: str, path: Path) -> None:
    connection.read_parquet(str(path), file_row_number=True).create_view(name)
