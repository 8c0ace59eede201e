"""A healthy platform's tables, and how each fault changes them.

The base has 60 users with 2 to 13 events each on 40 items over 63 days; times are text with zone.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from isthmus_client.contract.model import Contract, EventsTable, ItemsTable

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
START = datetime(2024, 3, 25, tzinfo=UTC)
USERS, ITEMS, DAYS, A_DAY = 60, 40, 63, 24


def items():
    """Rows of the healthy items table."""
    chance = random.Random(3)  # noqa: S311 - made-up data
    return [
        {
            "item_id": f"sku-{number:03d}",
            "title": f"Product number {number} {chance.choice(['red', 'green', 'blue'])}",
            "category": chance.choice(["tea", "coffee", "cocoa"]),
            "price": f"{2 + number * 0.75:.2f}",
        }
        for number in range(ITEMS)
    ]


def events():
    """Rows of the healthy events table, by time; 24 a day."""
    chance = random.Random(7)  # noqa: S311 - made-up data
    prices = {row["item_id"]: row["price"] for row in items()}
    rows = []
    for day in range(DAYS):
        for _ in range(A_DAY):
            moment = START + timedelta(days=day, seconds=chance.randrange(6 * 3600, 22 * 3600))
            item = f"sku-{chance.randrange(ITEMS):03d}"
            rows.append(
                {
                    "user_id": f"person-{chance.randrange(USERS):04d}x",
                    "item_id": item,
                    "timestamp": stamp(moment),
                    "behaviour": chance.choice(["view", "view", "cart", "purchase"]),
                    "price": prices[item],
                    "quantity": str(chance.randrange(1, 4)),
                }
            )
    return sorted(rows, key=lambda row: row["timestamp"])


def stamp(moment: datetime) -> str:
    """Text of a time with its zone."""
    return moment.isoformat().replace("+00:00", "Z")


def table(rows):
    """Rows as an Arrow table of text; a key that a row lacks is null."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: [row.get(name) for row in rows] for name in names})


def contract(*, events=None, items=None, **parts):
    """A contract whose sources are never opened, with more keys where they are given."""
    return Contract(
        events=EventsTable(source="events.csv", **(events or {})),
        items=ItemsTable(source="items.csv", **(items or {})),
        **parts,
    )
