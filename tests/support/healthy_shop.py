"""A healthy platform's files, and the list of faults that break them.

The base has 60 users with some 25 events each on 40 items over 63 days, 24 a day. Times are text
with a zone, lines count from 1 with the header: the row at place n of a list is line n + 2.
"""

from __future__ import annotations

import csv
import io
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from isthmus_client.contract.model import Contract

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
START = datetime(2024, 3, 25, tzinfo=UTC)
USERS, ITEMS, DAYS, A_DAY = 60, 40, 63, 24
EVENTS = DAYS * A_DAY


def stamp(moment: datetime) -> str:
    """Text of a time with its zone."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def moment_of(row) -> datetime:
    """A row's time."""
    return datetime.fromisoformat(row["timestamp"])


def healthy_items():
    """Rows of the healthy items table, to be changed at will."""
    return [dict(row) for row in _items()]


def healthy_events():
    """Rows of the healthy events table, by time, to be changed at will."""
    return [dict(row) for row in _events()]


@cache
def _items():
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


@cache
def _events():
    chance = random.Random(7)  # noqa: S311 - made-up data
    prices = {row["item_id"]: row["price"] for row in _items()}
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


def as_csv(rows, names=None):
    """Rows as the bytes of a CSV file; a key that a row lacks is empty."""
    names = names or list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


@dataclass
class Shop:
    """A platform's rows and contract; whatever a fault changes.

    Attributes:
        more: {optional table: rows}.
        parts: of the contract, by table or part.
        files: {name: bytes} that are written as they are, instead of a table's own.
    """

    events: list = field(default_factory=healthy_events)
    items: list = field(default_factory=healthy_items)
    more: dict = field(default_factory=dict)
    parts: dict = field(default_factory=dict)
    files: dict = field(default_factory=dict)
    server_time: datetime | None = None

    def set_events(self, name, value, *places):
        """Change one column in some rows."""
        for place in places:
            self.events[place][name] = value

    def say(self, part, **keys):
        """More keys of one part of the contract."""
        self.parts.setdefault(part, {}).update(keys)

    def write(self, folder) -> Contract:
        """Write the files and give the contract."""
        tables = {"events": self.events, "items": self.items, **self.more}
        parts = {name: dict(keys) for name, keys in self.parts.items()}
        for table, rows in tables.items():
            part = parts.setdefault(table, {})
            source = part.setdefault("source", f"{table}.csv")
            if rows and source not in self.files and "*" not in source:
                (folder / source).write_bytes(as_csv(rows))
        for name, data in self.files.items():
            (folder / name).write_bytes(data)
        return Contract.model_validate({**parts, "folder": folder})


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and exactly what the check finds.

    Attributes:
        expected: {(code, table): (count, line of the example; None without a line)}.
    """

    name: str
    break_it: object
    expected: dict
    verdict: str = "usable with warnings"


FAULTS: list[Fault] = []


def fault(expected, verdict="usable with warnings"):
    """Add a function that breaks a shop to the corpus."""

    def add(function):
        FAULTS.append(Fault(function.__name__, function, expected, verdict))
        return function

    return add


REFUSED = "refused"
READY = "ready"
