"""Writes the tables of two invented shops; run it to get the very same files again.

The books of one shop and the wares of the other have six hobbies in common. A person has one or
two of them and mostly stays with the last one, which is what a model can learn and carry over.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

HOBBIES = {
    "gardening": (
        ["roses", "vegetables", "compost", "balcony herbs", "fruit trees", "wild flowers"],
        [
            "watering can",
            "pruning shears",
            "seed tray",
            "garden gloves",
            "hand trowel",
            "plant pot",
        ],
    ),
    "cooking": (
        ["bread", "noodle soups", "curries", "pasta", "pickles", "one-pot dinners"],
        ["chef's knife", "saucepan", "rolling pin", "wok", "mixing bowl", "pepper mill"],
    ),
    "music": (
        ["jazz piano", "guitar chords", "violin practice", "choir singing", "drumming", "opera"],
        ["guitar strings", "music stand", "metronome", "drum sticks", "headphones", "ukulele"],
    ),
    "hiking": (
        ["alpine trails", "map reading", "coast paths", "hut tours", "bird watching", "camping"],
        ["backpack", "trekking poles", "water bottle", "tent", "head torch", "hiking socks"],
    ),
    "painting": (
        ["water colours", "portraits", "colour theory", "calligraphy", "sketching", "oil painting"],
        ["brush set", "easel", "sketch book", "acrylic paints", "palette knife", "canvas"],
    ),
    "babies": (
        [
            "first foods",
            "bedtime stories",
            "sleep",
            "baby sign language",
            "toddler play",
            "nursing",
        ],
        ["rattle", "baby bottle", "bib", "cot sheet", "teething ring", "night light"],
    ),
}
BOOKS = ("A first book of {}", "The complete guide to {}")
WARES = ("Small {}", "Professional {}")
START = datetime(2025, 1, 1, 8, tzinfo=UTC)

Row = Sequence[object]
Item = tuple[str, str]  # id, hobby


def main(folder: Path) -> None:
    """Write `books` and `home` below `folder`."""
    for name, side, titles, users in (("books", 0, BOOKS, 240), ("home", 1, WARES, 120)):
        dice = random.Random(name)  # noqa: S311 - an example needs no secrets
        rows = list(items(name, side, titles, dice))
        write(folder / f"{name}-items.csv", ("item_id", "title", "category", "price"), rows)
        stock = [(str(row[0]), str(row[2])) for row in rows]
        header = ("customer", "article", "when", "action")
        write(folder / f"{name}-events.csv", header, events(name, users, stock, dice))


def items(name: str, side: int, titles: Sequence[str], dice: random.Random) -> Iterator[Row]:
    """Two items for each word of each hobby."""
    words = [(hobby, word) for hobby, sides in HOBBIES.items() for word in sides[side]]
    for hobby, word in words:
        for title in titles:
            yield f"{name}-{dice.randrange(10**5):05}", title.format(word), hobby, price(dice)


def price(dice: random.Random) -> str:
    """Some price with two decimals."""
    return f"{dice.uniform(4, 60):.2f}"


def events(name: str, users: int, stock: Sequence[Item], dice: random.Random) -> Iterator[Row]:
    """Six to nine looks and purchases of each user, some days apart."""
    for number in range(users):
        moment = START + timedelta(days=dice.uniform(0, 120))
        loved = dice.sample(sorted(HOBBIES), k=2)
        for _ in range(dice.randint(6, 9)):
            loved = loved if dice.random() < 0.8 else loved[::-1]  # noqa: PLR2004 - a taste
            item = dice.choice([item for item, hobby in stock if hobby == loved[0]])
            action = dice.choice(("looked", "bought"))
            yield f"{name}-{number:03}", item, f"{moment:%Y-%m-%dT%H:%M:%SZ}", action
            moment += timedelta(days=dice.expovariate(1 / 25))


def write(path: Path, header: Row, rows: Iterable[Row]) -> None:
    """A CSV file."""
    with path.open("w", newline="") as handle:
        csv.writer(handle, lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    main(Path(__file__).parent)
