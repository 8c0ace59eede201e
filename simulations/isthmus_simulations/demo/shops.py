"""Three platforms with the embedded data, as an engineer would find them: a folder with tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from isthmus.behaviours import BEHAVIOURS
from isthmus.files import write_text
from isthmus.progress import Progress
from isthmus_client.home import CONTRACT, Home
from isthmus_client.new_platform import create_platform
from isthmus_client.relations import PlatformTables
from isthmus_simulations.scenarios.loading import load_scenario
from isthmus_simulations.scenarios.prepare import read_platforms

SCENARIO: Final = "journey"


def open_shops(folder: Path, progress: Progress, *, seed: int = 7) -> tuple[Home, ...]:
    """Make a platform's folder, keys and tables for each platform of the scenario's small variant.

    Args:
        folder: of all; each platform gets one of its name.
        progress: shows the reading.
        seed: draws the users.

    Raises:
        DataMissingError: the embedded data's package is not installed.
        ScenarioError, StoreError: a folder is there already, or cannot be written.
    """
    plans = load_scenario(SCENARIO).quickened().platforms
    found = read_platforms(plans, None, seed, progress)
    return tuple(
        _open(folder / plan.name, tables) for plan, tables in zip(plans, found, strict=True)
    )


def _open(folder: Path, tables: PlatformTables) -> Home:
    """One platform; its contract's defaults name just these two files and columns."""
    home = Home(folder / CONTRACT)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    create_platform(home, name=folder.name)
    write_text(folder / "items.csv", _items(tables))
    write_text(folder / "events.csv", _events(tables))
    return home


def _items(tables: PlatformTables) -> str:
    catalogue = tables.catalogue
    rows = zip(catalogue.item_ids, catalogue.texts, catalogue.categories, strict=True)
    return _csv(("item_id", "title", "category"), rows)


def _events(tables: PlatformTables) -> str:
    histories, items = tables.histories, tables.catalogue.item_ids
    starts = histories.offsets
    users = (
        user
        for place, user in enumerate(histories.user_ids)
        for _ in range(int(starts[place + 1] - starts[place]))
    )
    columns = (histories.items, histories.behaviours, histories.times)
    rows = (
        (user, items[item], BEHAVIOURS[code - 1], time)
        for user, item, code, time in zip(users, *(c.tolist() for c in columns), strict=True)
    )
    return _csv(("user_id", "item_id", "behaviour", "timestamp"), rows)


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()
