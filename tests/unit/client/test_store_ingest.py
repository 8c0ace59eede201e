import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingest_cases import (
    ITEMS,
    KEYS,
    NOW,
    adds_up,
    contract,
    of,
    rows_of,
    tables,
    take_in,
    write_events,
    write_items,
)

from isthmus.errors import ContractError, DataMissingError, FeedRefusedError, KeysError, StoreError
from isthmus_client import relations
from isthmus_client.feeds import open_feeds
from isthmus_client.reading import read_platform
from isthmus_client.store import Store
from isthmus_client.vault import Keyring, pseudonym

DAY = 86_400
ROWS = [
    ("ann", "lamp", NOW - 90 * DAY),
    ("bob", "chair", NOW - 40 * DAY),
    ("ann", "chair", NOW - 40 * DAY),
    ("ann", "rug", NOW - 9),
    ("bob", "lamp", NOW - 95 * DAY),
    ("cid", "vase", NOW - 95 * DAY),
]


@pytest.fixture
def folder(tmp_path):
    write_items(tmp_path)
    write_events(tmp_path, ROWS)
    return tmp_path


def test_a_feed_becomes_a_catalogue_and_histories(folder):
    result = take_in(folder, contract(folder))
    assert (result.users, result.items, result.events, result.generation) == (3, 5, 6, 1)
    found = tables(folder)
    ann = pseudonym(KEYS.pseudonym, "ann").hex()
    at = found.histories.user_ids.index(ann)
    mine = slice(found.histories.offsets[at], found.histories.offsets[at + 1])
    names = [found.catalogue.item_ids[i] for i in found.histories.items[mine]]
    assert names == ["lamp", "chair", "rug"]
    assert found.histories.times[mine].tolist() == [NOW - 90 * DAY, NOW - 40 * DAY, NOW - 9]
    assert found.warnings == ("own: 1 of 3 users have a single event and were left out",)
    assert np.allclose(found.catalogue.prices, 9.5)


def test_histories_are_those_of_the_one_builder(folder):
    random = np.random.default_rng(5)
    rows = [
        (f"u{random.integers(30)}", str(random.choice(["lamp", "rug"])), NOW - int(t) * 7 * DAY)
        for t in random.integers(50, size=400)
    ]
    write_events(folder, rows)
    take_in(folder, contract(folder, duplicates="keep"))
    named = [(pseudonym(KEYS.pseudonym, u).hex(), i, t) for u, i, t in rows]
    events = pa.table(
        {
            "user_id": [u for u, _, _ in named],
            "item_id": [i for _, i, _ in named],
            "time": [t for _, _, t in named],
            "behaviour": pa.array([5] * len(rows), pa.int8()),
            "row": range(len(rows)),
        }
    )
    items = pa.table({"item_id": ["chair", "lamp", "rug", "table", "vase"]})
    for name in ("text", "category"):
        items = items.append_column(name, pa.array([""] * 5))
    items = items.append_column("price", pa.array([0.0] * 5, pa.float32()))
    with relations.connect() as connection:
        connection.register("events", events)
        connection.register("items", items)
        expected = relations.collect(connection, name="x", timed=True).histories
    found = tables(folder).histories
    assert found.user_ids == expected.user_ids
    for name in ("offsets", "items", "behaviours", "times"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        assert getattr(found, name).dtype == getattr(expected, name).dtype


def test_the_same_twice_adds_nothing(folder):
    take_in(folder, contract(folder))
    before = sorted(path.name for path in (folder / "store").rglob("*"))
    again = take_in(folder, contract(folder))
    assert all(feed.known for feed in again.feeds)
    assert (again.changed, again.added, again.generation) == (False, 0, 1)
    assert sorted(path.name for path in (folder / "store").rglob("*")) == before


@pytest.mark.parametrize("duplicates", ["reject", "keep"])
def test_a_grown_feed_adds_what_is_new(folder, duplicates):
    its_contract = contract(folder, duplicates=duplicates)
    rows = [*ROWS, ROWS[0]] if duplicates == "keep" else ROWS
    write_events(folder, rows)
    take_in(folder, its_contract)
    write_events(folder, [*rows, ("dan", "rug", NOW - 5), ("ann", "rug", NOW - 9)])
    result = take_in(folder, its_contract, accept_rejected=True)
    assert adds_up(result)
    expected = {"reject": (1, 6, 1), "keep": (2, 7, 0)}[duplicates]
    assert (of(result).added, of(result).already, of(result).rejections) == expected
    assert result.events == len(rows) + of(result).added


def test_a_copy_under_another_name_is_known(folder):
    take_in(folder, contract(folder))
    (folder / "events.parquet").rename(folder / "other.parquet")
    result = take_in(folder, contract(folder, source="other.parquet"))
    assert (of(result).known, result.changed) == (True, False)


def test_a_month_that_nothing_is_added_to_keeps_its_file(folder):
    take_in(folder, contract(folder))
    old = {path.name for path in (folder / "store/segments").iterdir()}
    write_events(folder, [*ROWS, ("ann", "vase", NOW - 8)])
    take_in(folder, contract(folder))
    new = {path.name for path in (folder / "store/segments").iterdir()}
    kept = {name[:7] for name in old & new if name[0] == "2"}
    assert kept == {"2024-09", "2024-10", "2024-11"}


def test_rejected_rows_are_named_without_their_values(folder):
    odd = [("ann", "sofa", NOW - 5), ("", "lamp", NOW - 5), ("ann", "lamp", 5), ROWS[0]]
    write_events(folder, ROWS + odd)
    result = take_in(folder, contract(folder), accept_rejected=True)
    assert adds_up(result)
    assert of(result).rejected == {
        "unknown_item": 1,
        "no_user_id": 1,
        "time_before_1990": 1,
        "duplicate_event": 1,
    }
    with result.quarantine.open() as file:
        found = list(csv.DictReader(file))
    assert [(row["line"], row["reason"], row["column"]) for row in found] == [
        ("7", "unknown_item", "item_id"),
        ("8", "no_user_id", "user_id"),
        ("9", "time_before_1990", "timestamp"),
        ("10", "duplicate_event", ""),
    ]
    assert {row["feed"] for row in found} == {"events.parquet"}
    assert result.quarantine.stat().st_mode & 0o777 == 0o600


def test_a_bad_feed_is_refused_and_nothing_changes(folder):
    take_in(folder, contract(folder))
    before = rows_of(folder)
    write_events(folder, [*ROWS, ("eva", "sofa", NOW), ("eva", "rug", NOW)])
    with pytest.raises(FeedRefusedError, match=r"unknown_item: 1, first line 7") as caught:
        take_in(folder, contract(folder))
    assert "eva" not in str(caught.value)
    assert rows_of(folder) == before


def test_a_feed_without_a_needed_column_is_refused(folder):
    pq.write_table(pa.table({"user": ["ann"], "item_id": ["lamp"]}), folder / "events.parquet")
    with pytest.raises(FeedRefusedError, match=r"user_id.*\n.*timestamp"):
        take_in(folder, contract(folder))


def test_an_item_that_comes_later_brings_its_events(folder):
    write_events(folder, [*ROWS, ("ann", "sofa", NOW - 5)])
    first = take_in(folder, contract(folder), accept_rejected=True)
    write_items(folder, ["lamp", "chair", "table", "vase", "rug", "sofa"])
    second = take_in(folder, contract(folder))
    assert (first.events, second.events) == (6, 7)
    assert (of(second).added, of(second).already) == (1, 6)


def test_items_are_added_updated_and_kept(folder):
    take_in(folder, contract(folder))
    write_items(folder, ["sofa", "lamp"], price=11.0)
    result = take_in(folder, contract(folder))
    found = of(result, "items")
    assert (found.read, found.added, found.updated, found.already) == (2, 1, 1, 0)
    catalogue = tables(folder).catalogue
    assert catalogue.item_ids == ("chair", "lamp", "rug", "sofa", "table", "vase")
    assert catalogue.prices.tolist() == [9.5, 11.0, 9.5, 11.0, 9.5, 9.5]
    assert rows_of(folder)[0][1] in catalogue.item_ids


def test_an_item_twice_counts_once(folder):
    write_items(folder, ["lamp", "chair", "table", "vase", "rug", "lamp"])
    result = take_in(folder, contract(folder), accept_rejected=True)
    assert of(result, "items").rejected == {"duplicate_item": 1}
    assert adds_up(result)


def test_order_ids_group_and_are_not_stored(folder):
    rows = [(u, i, t, 1.5, 2, f"order-{n // 2}") for n, (u, i, t) in enumerate(ROWS)]
    write_events(folder, rows)
    take_in(folder, contract(folder))
    with Store.open(folder / "store", KEYS, writable=False) as store:
        files = [segment.file for segment in store.manifest.segments]
        orders = np.concatenate([store.segments.read_events(file).order for file in files])
    assert sorted(np.unique(orders, return_counts=True)[1].tolist()) == [2, 2, 2]


def test_retention_removes_what_grew_old(folder):
    take_in(folder, contract(folder))
    later = take_in(folder, contract(folder, retention=60))
    assert (later.expired, later.events) == (3, 3)
    assert min(row[2] for row in rows_of(folder)) >= NOW - 60 * DAY


def people_of(folder):
    with Store.open(folder / "store", KEYS, writable=False) as store:
        return store.pseudonyms().to_pylist()


def test_whoever_has_no_event_left_is_no_user(folder):
    take_in(folder, contract(folder, retention=100))
    before = people_of(folder)
    assert len(before) == 3
    later = take_in(folder, contract(folder, retention=100), now=NOW + 6 * DAY)
    assert (later.expired, later.users) == (2, 2)
    ann, bob, cid = (pseudonym(KEYS.pseudonym, user) for user in ("ann", "bob", "cid"))
    assert set(before) - {cid} == {ann, bob} == set(people_of(folder))
    assert rows_of(folder)[0][0] in {ann.hex(), bob.hex()}
    write_events(folder, [*ROWS, ("cid", "rug", NOW)])
    take_in(folder, contract(folder, retention=100), now=NOW + 6 * DAY, accept_rejected=True)
    assert set(people_of(folder)) == {ann, bob, cid}
    everything = take_in(folder, contract(folder, retention=100), now=NOW + 500 * DAY)
    assert (everything.users, everything.events, people_of(folder)) == (0, 0, [])


def test_events_without_times_keep_their_order(folder):
    rows = [
        ("ann", "rug", None),
        ("bob", "lamp", None),
        ("ann", "lamp", None),
        ("ann", "rug", None),
    ]
    write_events(folder, rows)
    take_in(folder, contract(folder, timed=False))
    found = tables(folder)
    at = found.histories.user_ids.index(pseudonym(KEYS.pseudonym, "ann").hex())
    mine = slice(found.histories.offsets[at], found.histories.offsets[at + 1])
    assert [found.catalogue.item_ids[i] for i in found.histories.items[mine]] == [
        "rug",
        "lamp",
        "rug",
    ]
    assert found.histories.times[mine].tolist() == [0, 1, 2]


def test_another_reading_of_stored_rows_is_refused_and_rebuilt(folder):
    take_in(folder, contract(folder))
    other = contract(folder, default_behaviour="view")
    with pytest.raises(ContractError, match=r"\[events\]") as caught:
        take_in(folder, other)
    assert "--rebuild" in caught.value.hint
    result = take_in(folder, other, rebuild=True)
    assert (result.generation, result.events) == (2, 6)
    assert {row[3] for row in rows_of(folder)} == {1}


def test_what_does_not_fit_in_memory_waits_sealed(folder):
    take_in(folder, contract(folder), most=1)
    other = folder / "other"
    other.mkdir()
    write_items(other)
    write_events(other, ROWS)
    take_in(other, contract(other))
    assert rows_of(folder) == rows_of(other)
    assert not list((folder / "store/segments").glob("staged-*"))


def test_an_empty_store_says_so(folder):
    with pytest.raises(DataMissingError) as caught:
        tables(folder)
    assert "ingest" in caught.value.hint


def test_other_keys_do_not_open_it(folder):
    take_in(folder, contract(folder))
    with pytest.raises(KeysError):
        tables(folder, Keyring.fresh())


def test_a_file_in_the_place_of_another_is_seen(folder):
    take_in(folder, contract(folder))
    with Store.open(folder / "store", KEYS, writable=False) as store:
        place, other = store.manifest.sequences, store.manifest.users
    segments = folder / "store/segments"
    (segments / place).write_bytes((segments / other).read_bytes())
    with pytest.raises(StoreError):
        tables(folder)


def test_the_store_gives_what_reading_without_one_gives(folder):
    random = np.random.default_rng(23)
    rows = [
        (f"u{random.integers(9)}", str(random.choice(ITEMS)), NOW - int(t) * DAY)
        for t in random.integers(70, size=200)
    ]
    for name in ("b.parquet", "a.parquet"):  # not in the order of their names
        write_events(folder, rows[::2] if name == "a.parquet" else rows[1::2], f"feeds/{name}")
        its_contract = contract(folder, source="feeds", duplicates="keep")
        take_in(folder, its_contract)
    feeds = open_feeds(its_contract.events, folder), open_feeds(its_contract.items, folder)
    direct, found = read_platform(its_contract, *feeds, now=NOW), tables(folder)
    assert found.catalogue.item_ids == direct.catalogue.item_ids
    assert found.catalogue.texts == direct.catalogue.texts
    assert by_user(found.histories) == {
        pseudonym(KEYS.pseudonym, user).hex(): events
        for user, events in by_user(direct.histories).items()
    }


def by_user(histories):
    columns = (histories.items, histories.behaviours, histories.times)
    bounds = zip(histories.offsets[:-1], histories.offsets[1:], strict=True)
    return {
        user: [column[start:stop].tolist() for column in columns]
        for user, (start, stop) in zip(histories.user_ids, bounds, strict=True)
    }


@pytest.mark.parametrize("duplicates", ["keep", "reject"])
def test_a_copy_adds_nothing_whether_it_comes_along_or_later(tmp_path, duplicates):
    for name in ("at-once", "later"):
        (tmp_path / name).mkdir()
        write_items(tmp_path / name)
        write_events(tmp_path / name, [*ROWS, ROWS[0]], name="days/1.parquet")
    write_events(tmp_path / "at-once", [*ROWS, ROWS[0]], name="days/2.parquet")
    for name in ("at-once", "later"):
        its_contract = contract(tmp_path / name, source="days", duplicates=duplicates)
        result = take_in(tmp_path / name, its_contract, accept_rejected=True)
        assert adds_up(result)
    write_events(tmp_path / "later", [*ROWS, ROWS[0]], name="days/2.parquet")
    assert not take_in(tmp_path / "later", its_contract, accept_rejected=True).changed
    assert rows_of(tmp_path / "at-once") == rows_of(tmp_path / "later")
    assert len(rows_of(tmp_path / "later")) == len(ROWS) + (duplicates == "keep")
