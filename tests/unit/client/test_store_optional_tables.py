"""Tables besides events and items on their way into the store."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingest_cases import ITEMS, KEYS, NOW, adds_up, contract, of, take_in, write_events, write_items

from isthmus_client.contract.model import Contract, EdgesTable, ImagesTable, RedemptionsTable
from isthmus_client.store import Store
from isthmus_client.vault import pseudonym


@pytest.fixture
def folder(tmp_path):
    write_items(tmp_path)
    write_events(tmp_path, [(user, "lamp", NOW - 9) for user in ("ann", "bob", "cid")])
    return tmp_path


def test_optional_tables_hold_pseudonyms(folder):
    spent = {
        "user_id": ["ann", "bob", None],
        "campaign": ["spring"] * 3,
        "timestamp": ["2024-05-01T10:00:00Z"] * 3,
    }
    pq.write_table(pa.table(spent), folder / "spent.parquet")
    values = contract(folder).model_dump()
    its_contract = Contract(
        **{**values, "redemptions": RedemptionsTable(source="spent.parquet")}, folder=folder
    )
    result = take_in(folder, its_contract, accept_rejected=True)
    assert adds_up(result)
    assert of(result, "redemptions").rejected == {"no_user_id": 1}
    with Store.open(folder / "store", KEYS, writable=False) as store:
        rows = store.segments.read_table(store.manifest.tables["redemptions"]).to_pylist()
    assert [row["user_id"] for row in rows] == [
        pseudonym(KEYS.pseudonym, user) for user in ("ann", "bob")
    ]
    assert rows[0]["timestamp"] == 1_714_557_600
    assert not take_in(folder, its_contract).changed


def with_table(folder, table, model):
    values = contract(folder).model_dump()
    return Contract(**{**values, table: model}, folder=folder)


def stored_table(folder, table):
    with Store.open(folder / "store", KEYS, writable=False) as store:
        return store.segments.read_table(store.manifest.tables[table]).to_pylist()


def test_an_image_counts_once_its_file_is_there(folder):
    paths = ["a.png", "b.png", "s3://shop/c.png"]
    pq.write_table(pa.table({"item_id": ITEMS[:3], "path": paths}), folder / "images.parquet")
    its_contract = with_table(folder, "images", ImagesTable(source="images.parquet"))
    (folder / "a.png").write_bytes(b"png")
    result = take_in(folder, its_contract, accept_rejected=True)
    assert of(result, "images").rejected == {"missing_image": 1}
    again = take_in(folder, its_contract, accept_rejected=True)
    assert not again.changed
    assert of(again, "images").already == 2
    (folder / "b.png").write_bytes(b"png")
    result = take_in(folder, its_contract)
    assert (of(result, "images").updated, of(result, "images").rejected) == (3, {})
    assert [row["path"] for row in stored_table(folder, "images")] == paths
    assert of(take_in(folder, its_contract), "images").known


def test_a_table_whose_bytes_alone_changed_stays_as_it_is(folder):
    edges = pa.table({"user_id": ["ann", "bob", "cid"], "other_id": ["bob", "bob", ""]})
    pq.write_table(edges, folder / "edges.parquet")
    its_contract = with_table(folder, "social_edges", EdgesTable(source="edges.parquet"))
    result = take_in(folder, its_contract, accept_rejected=True)
    assert of(result, "social_edges").rejected == {"self_edge": 1, "no_other_id": 1}
    pq.write_table(edges, folder / "edges.parquet", compression="gzip")
    result = take_in(folder, its_contract, accept_rejected=True)
    assert adds_up(result)
    assert (of(result, "social_edges").already, of(result, "social_edges").updated) == (1, 0)
    pq.write_table(edges.slice(0, 1), folder / "edges.parquet")
    result = take_in(folder, its_contract)
    assert (of(result, "social_edges").already, of(result, "social_edges").read) == (1, 1)
    assert len(stored_table(folder, "social_edges")) == 1
