"""Small platforms on disk, and what their stores hold, for tests of ingest."""

import pyarrow as pa
import pyarrow.parquet as pq

from isthmus.progress import Silent
from isthmus_client.contract.model import Contract, EventsTable, HistoryPart, ItemsTable
from isthmus_client.store import Store, ingest
from isthmus_client.vault import Keyring

NOW = 1_735_689_600  # 2025-01-01
KEYS = Keyring(*(bytes([n]) * 32 for n in (3, 5, 7, 11)))
ITEMS = ["lamp", "chair", "table", "vase", "rug"]


def write_items(folder, ids=ITEMS, name="items.parquet", price=9.5):
    table = {"item_id": ids, "title": [f"A fine {i}" for i in ids], "price": [price] * len(ids)}
    pq.write_table(pa.table(table), folder / name)


def write_events(folder, rows, name="events.parquet"):
    """Rows are (user, item, time) or (user, item, time, price, quantity, order)."""
    names = ["user_id", "item_id", "timestamp", "price", "quantity", "order_id"]
    width = max((len(row) for row in rows), default=3)
    kinds = [pa.string(), pa.string(), pa.int64(), pa.float64(), pa.int64(), pa.string()]
    columns = [pa.array([row[n] for row in rows], kinds[n]) for n in range(width)]
    (folder / name).parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns, names=names[:width]), folder / name)


def contract(folder, *, source="events.parquet", retention=0, **events):
    return Contract(
        events=EventsTable(source=source, **events),
        items=ItemsTable(source="items.parquet"),
        history=HistoryPart(retention_days=retention),
        folder=folder,
    )


def take_in(folder, its_contract, *, keys=KEYS, wait=0.0, **options):
    with Store.open(folder / "store", keys, writable=True, wait=wait) as store:
        return ingest(its_contract, folder, store, Silent(), **{"now": NOW, **options})


def tables(folder, keys=KEYS):
    with Store.open(folder / "store", keys, writable=False) as store:
        return store.tables()


def rows_of(folder, keys=KEYS):
    """Every stored event as a tuple of its content, sorted; users by pseudonym."""
    found = []
    with Store.open(folder / "store", keys, writable=False) as store:
        people = [value.hex() for value in store.pseudonyms().to_pylist()]
        items = store.items()["item_id"].to_pylist() if store.manifest.items else []
        for segment in store.manifest.segments:
            table = pa.table(store.segments.read_events(segment.file).present()).to_pylist()
            found += [
                (
                    people[row["user"]],
                    items[row["item"]],
                    row["time"],
                    row["behaviour"],
                    *(repr(row.get(n)) for n in ("price", "quantity", "rating")),
                    row.get("order", 0),
                )
                for row in table
            ]
    return sorted(found)


def adds_up(result):
    return all(
        feed.read == feed.added + feed.updated + feed.already + feed.rejections
        for feed in result.feeds
    )


def of(result, table="events"):
    """What became of one table's feed."""
    return next(feed for feed in result.feeds if feed.table == table)
