"""Platforms with something to forget, for tests of `isthmus client forget`."""

import pyarrow as pa
import pyarrow.parquet as pq
from ingest_cases import KEYS, NOW, contract, take_in, write_events, write_items

from isthmus.progress import Silent
from isthmus_client.contract.model import EdgesTable, RedemptionsTable, TextsTable
from isthmus_client.forgetting import Places, Request, forget
from isthmus_client.home import Home
from isthmus_client.store import Store
from isthmus_client.store.forget import commit, erase
from isthmus_client.vault import pseudonym

DAY = 86_400
ROWS = [
    ("ann", "lamp", NOW - 90 * DAY),
    ("bob", "chair", NOW - 40 * DAY),
    ("ann", "chair", NOW - 40 * DAY),
    ("ann", "rug", NOW - 9),
    ("bob", "lamp", NOW - 95 * DAY),
    ("cid", "vase", NOW - 95 * DAY),
    ("cid", "rug", NOW - 4 * DAY),
    ("dan", "rug", NOW - 3 * DAY),
    ("dan", "lamp", NOW - 2 * DAY),
]
TEXTS = [("ann", "where is my lamp", "delivery"), ("eve", "it broke", "return")]
COUPONS = [("bob", "may", NOW - DAY), ("ann", "may", NOW - DAY), ("ann", "june", NOW)]
EDGES = [("ann", "bob"), ("cid", "ann"), ("bob", "cid"), ("dan", "ann")]


def write_tables(folder, without=()):
    """The optional tables, without some persons' rows."""
    named = {
        "texts": (["user_id", "text", "label"], TEXTS),
        "coupons": (["user_id", "campaign", "timestamp"], COUPONS),
        "edges": (["user_id", "other_id"], EDGES),
    }
    for name, (columns, rows) in named.items():
        sides = 2 if name == "edges" else 1
        kept = [row for row in rows if not set(row[:sides]) & set(without)]
        table = {column: [row[n] for row in kept] for n, column in enumerate(columns)}
        pq.write_table(pa.table(table), folder / f"{name}.parquet")


def full_contract(folder, **options):
    return contract(folder, **options).model_copy(
        update={
            "service_texts": TextsTable(source="texts.parquet"),
            "redemptions": RedemptionsTable(source="coupons.parquet"),
            "social_edges": EdgesTable(source="edges.parquet"),
        }
    )


def filled(folder, rows=ROWS, without=()):
    """A platform whose feeds are taken in; its contract."""
    folder.mkdir(exist_ok=True)
    write_items(folder)
    write_events(folder, [row for row in rows if row[0] not in without])
    write_tables(folder, without)
    found = full_contract(folder)
    take_in(folder, found, accept_rejected=True)
    return found


def hashed(*ids):
    return [pseudonym(KEYS.pseudonym, each) for each in ids]


def erased(folder, *ids, keys=KEYS):
    """Persons out of the store, without a receipt; what was removed."""
    with Store.open(folder / "store", keys, writable=True) as store:
        found = erase(store, hashed(*ids), Silent())
        commit(store, found)
    return found


def places(folder, **named):
    found = {"ledger": folder / "none.sqlite", "outbox": None, "heads": folder / "heads"}
    return Places(**{"ledger_named": "ledger" in named, **found, **named})


def request(folder, *ids, keys=KEYS, wait=0.0):
    return Request(Home(folder / "platform.toml"), keys, hashed(*ids), wait)


def forgotten(folder, *ids, now=NOW, wait=0.0, **named):
    return forget(request(folder, *ids, wait=wait), places(folder, **named), Silent(), now=now)


def optional_tables(folder, keys=KEYS):
    """{table: its rows, sorted}."""
    with Store.open(folder / "store", keys, writable=False) as store:
        manifest = store.manifest
        read = {name: store.segments.read_table(file) for name, file in manifest.tables.items()}
    return {name: sorted(map(repr, table.to_pylist())) for name, table in read.items()}


def opened_bytes(folder, keys=KEYS):
    """Every sealed file of the store, opened, and its manifest."""
    with Store.open(folder / "store", keys, writable=False) as store:
        found = [store.segments.read(name) for name in sorted(store.manifest.files())]
        return [*found, store.manifest.model_dump_json().encode()]
