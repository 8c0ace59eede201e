"""Two small tables of an invented shop, always the same, to try things out on."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

_WARES: Final = {
    "Garden": ("watering can", "pruning shears", "seed tray", "garden gloves", "plant pot"),
    "Kitchen": ("chef's knife", "saucepan", "rolling pin", "wok", "mixing bowl"),
    "Music": ("guitar strings", "music stand", "metronome", "drum sticks", "headphones"),
    "Hiking": ("backpack", "trekking poles", "water bottle", "tent", "head torch"),
    "Painting": ("brush set", "easel", "sketch book", "acrylic paints", "palette knife"),
    "Baby": ("rattle", "baby bottle", "bib", "cot sheet", "night light"),
}
_BRANDS: Final = ("Alder", "Brightwater", "Corvina")
_USERS: Final = 200
_START: Final = datetime(2025, 1, 1, tzinfo=UTC)
_DAYS: Final = 120
_VISITS: Final = (2, 9)  # of a user, fewest and most
_FAITHFUL: Final = 0.9  # share of visits to an interest of the user's own

Row = Sequence[object]


def example_items() -> str:
    """`items.csv`: article, title, category, brand, price; 90 rows."""
    return _csv([("article", "title", "category", "brand", "price"), *_items()])


def example_events() -> str:
    """`events.csv`: customer, article, when, action, price, quantity; in the order of time.

    Customers have one or two interests; what they buy they have looked at before.
    """
    drawn = random.Random(20250101)  # noqa: S311 - an example, no secret
    rows = [row for user in range(_USERS) for row in _history(user, drawn)]
    head = ("customer", "article", "when", "action", "price", "quantity")
    return _csv([head, *sorted(rows, key=lambda row: (str(row[2]), str(row[0])))])


def _items() -> Iterator[tuple[str, str, str, str, str]]:
    number = 100
    for category, wares in _WARES.items():
        for ware in wares:
            for place, brand in enumerate(_BRANDS):
                number += 1
                price = 4 + number % 37 * 1.5 + place * 2.25
                yield f"A{number}", f"{brand} {ware}", category, brand, f"{price:.2f}"


def _history(user: int, drawn: random.Random) -> Iterator[Row]:
    """The events of one customer: some are looks, some end in a basket, some in a purchase."""
    interests = drawn.sample(sorted(_WARES), drawn.choice((1, 2)))
    for _ in range(drawn.randint(*_VISITS)):
        faithful = drawn.random() < _FAITHFUL
        interest = drawn.choice(interests if faithful else sorted(_WARES))
        wares = [item for item in _items() if item[2] == interest]
        at = _START + timedelta(seconds=drawn.randrange(_DAYS * 86_400))
        for article, _, _, _, price in drawn.sample(wares, drawn.randint(1, 3)):
            for action in ("looked", "basket", "bought")[: drawn.choice((1, 1, 2, 3))]:
                quantity = 1 if action == "looked" else drawn.choice((1, 1, 1, 2))
                yield f"C{1000 + user}", article, at.isoformat(), action, price, quantity
                at += timedelta(seconds=drawn.randint(20, 300))


def _csv(rows: Iterable[Row]) -> str:
    held = io.StringIO()
    csv.writer(held, lineterminator="\n").writerows(rows)
    return held.getvalue()
