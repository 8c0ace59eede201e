"""A platform's tables in which every value is a canary: nobody writes such words by accident."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from isthmus_client.home import Home

BEHAVIOURS = {"looked": "quill_looked_zq", "basket": "quill_basket_zq", "bought": "quill_bought_zq"}


@dataclass(frozen=True)
class Canaries:
    """What must not be seen anywhere else."""

    users: list[str]
    items: list[str]
    texts: list[str]
    prices: list[str]
    behaviours: list[str]


def plant_tables(home: Home) -> Canaries:
    """Rewrite the example's tables and contract."""
    items, events = home.folder / "items.csv", home.folder / "events.csv"
    rows = _read(items)
    for place, row in enumerate(rows):
        row["title"] += f" Vexmoor{place:04d}"
        row["price"] = f"{271828.25 + place:.2f}"
    changed = [{**row, "article": _item(row["article"])} for row in rows]
    _write(items, changed)
    happened = [
        {
            **row,
            "customer": _user(row["customer"]),
            "article": _item(row["article"]),
            "action": BEHAVIOURS[row["action"]],
            "price": f"{314159.25 + place:.2f}",
        }
        for place, row in enumerate(_read(events))
    ]
    _write(events, happened)
    text = home.contract.read_text()
    for word, canary in BEHAVIOURS.items():
        text, found = re.subn(rf"(?m)^{word} = ", f"{canary} = ", text)
        assert found == 1
    home.contract.write_text(text)
    return Canaries(
        users=sorted({row["customer"] for row in happened}),
        items=[row["article"] for row in changed],
        texts=[row["title"] for row in changed],
        prices=[row["price"] for row in (*changed, *happened)],
        behaviours=[*BEHAVIOURS.values()],
    )


def _user(name: str) -> str:
    return f"Zoë Quillfeather+{name}"


def _item(name: str) -> str:
    return f"sku/Quöndle {name}"


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as stream:
        written = csv.DictWriter(stream, list(rows[0]))
        written.writeheader()
        written.writerows(rows)
