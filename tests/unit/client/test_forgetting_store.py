"""A person out of the store: what is left equals a store that never had them."""

import os

import numpy as np
import pytest
from forgetting_cases import (
    ROWS,
    erased,
    filled,
    full_contract,
    hashed,
    opened_bytes,
    optional_tables,
    write_tables,
)
from ingest_cases import KEYS, NOW, rows_of, tables, take_in, write_events

from isthmus.errors import DataInvalidError, StoreBusyError, StoreError
from isthmus.progress import Silent
from isthmus_client.store import Store
from isthmus_client.store.forget import erase, stored_rows


@pytest.fixture
def folder(tmp_path):
    filled(tmp_path)
    return tmp_path


def manifest_of(folder):
    with Store.open(folder / "store", KEYS, writable=False) as store:
        return store.manifest


def same_tables(one, other):
    assert one.catalogue.item_ids == other.catalogue.item_ids
    assert one.histories.user_ids == other.histories.user_ids
    for name in ("offsets", "items", "behaviours", "times"):
        left, right = getattr(one.histories, name), getattr(other.histories, name)
        np.testing.assert_array_equal(left, right)
        assert left.dtype == right.dtype
    assert one.warnings == other.warnings


@pytest.mark.parametrize("gone", [("ann",), ("dan",), ("bob", "cid"), ("bob", "dan", "ann")])
def test_what_is_left_is_a_store_that_never_had_them(folder, gone):
    erased(folder, *gone)
    filled(folder / "other", without=gone)
    same_tables(tables(folder), tables(folder / "other"))
    assert rows_of(folder) == rows_of(folder / "other")
    assert optional_tables(folder) == optional_tables(folder / "other")
    here, there = manifest_of(folder), manifest_of(folder / "other")
    for name in ("events", "user_count", "single_users", "item_count"):
        assert getattr(here, name) == getattr(there, name)
    assert [(s.month, s.rows, s.first, s.last) for s in here.segments] == [
        (s.month, s.rows, s.first, s.last) for s in there.segments
    ]


def test_every_row_is_counted_by_its_table(folder):
    with Store.open(folder / "store", KEYS, writable=False) as store:
        stored = stored_rows(store, hashed("ann", "eve", "nobody"))
    removed = erased(folder, "ann", "eve", "nobody").rows
    assert stored == removed
    assert removed[0] == {"events": 3, "service_texts": 1, "redemptions": 2, "social_edges": 3}
    assert removed[1:] == ({"service_texts": 1}, {})


def test_an_edge_between_two_who_go_counts_for_both(folder):
    found = erased(folder, "ann", "bob").rows
    assert [each["social_edges"] for each in found] == [3, 2]
    assert optional_tables(folder)["social_edges"] == []


def test_the_pseudonym_is_nowhere_but_among_those_kept_away(folder):
    (ann,) = hashed("ann")
    assert any(ann in part or ann.hex().encode() in part for part in opened_bytes(folder))
    erased(folder, "ann")
    *files, manifest = opened_bytes(folder)
    assert not any(ann in part or ann.hex().encode() in part for part in files)
    assert manifest.count(ann.hex().encode()) == 1
    assert manifest_of(folder).forgotten == (ann.hex(),)


def test_only_months_with_the_person_or_a_mover_are_written_anew(folder):
    before = {s.month: s.file for s in manifest_of(folder).segments}
    found = erased(folder, "dan")  # the last user: nobody moves
    after = {s.month: s.file for s in manifest_of(folder).segments}
    changed = {month for month in before if before[month] != after[month]}
    assert changed == {12 * (2024 - 1970) + 11}
    names = {path.name for path in (folder / "store/segments").iterdir()}
    assert names == manifest_of(folder).files()
    assert not names & set(found.replaced)
    assert {before[month] for month in changed} < set(found.replaced)


def test_numbers_stay_without_a_gap(folder):
    erased(folder, "ann")
    with Store.open(folder / "store", KEYS, writable=False) as store:
        people = store.pseudonyms()
        months = [store.segments.read_events(s.file) for s in store.manifest.segments]
    users = np.unique(np.concatenate([month.user for month in months]))
    assert users.tolist() == list(range(len(people)))
    for month in months:
        order = np.lexsort((month.time, month.user))
        np.testing.assert_array_equal(order, np.arange(len(month)))


def test_one_generation_for_many_and_none_for_those_known(folder):
    assert erased(folder, "ann", "bob", "nobody").manifest.generation == 2
    again = erased(folder, "nobody", "ann")
    assert (again.changes, again.known, again.rows) == (False, (True, True), ({}, {}))
    assert manifest_of(folder).generation == 2


def test_nothing_is_rewritten_for_a_person_of_whom_nothing_is_stored(folder):
    before = manifest_of(folder)
    found = erased(folder, "nobody")
    after = manifest_of(folder)
    assert (found.rows, found.replaced) == (({},), ())
    assert after.files() == before.files()
    assert (after.generation, len(after.forgotten)) == (2, 1)


def test_everybody_may_go(folder):
    gone = ("ann", "bob", "cid", "dan")
    erased(folder, *gone)
    assert rows_of(folder) == []
    assert (manifest_of(folder).events, manifest_of(folder).user_count) == (0, 0)
    with pytest.raises(DataInvalidError):
        tables(folder)
    take_in(folder, full_contract(folder), rebuild=True, accept_rejected=True)
    assert rows_of(folder) == []


def test_an_empty_store_remembers(tmp_path):
    found = erased(tmp_path, "ann")
    assert (found.manifest.generation, found.rows) == (1, ({},))
    assert manifest_of(tmp_path).forgotten == (hashed("ann")[0].hex(),)


@pytest.mark.parametrize("how", ["same", "grown", "renamed", "rebuild"])
def test_feeds_do_not_bring_a_person_back(folder, how):
    erased(folder, "ann")
    its_contract, options = full_contract(folder), {}
    if how == "grown":
        write_events(folder, [*ROWS, ("ann", "vase", NOW - 5), ("dan", "vase", NOW - 5)])
        write_tables(folder, without=("eve",))
    if how == "renamed":
        (folder / "events.parquet").rename(folder / "new.parquet")
        its_contract = full_contract(folder, source="new.parquet")
    if how == "rebuild":
        options["rebuild"] = True
    result = take_in(folder, its_contract, **options)
    (ann,) = hashed("ann")
    assert ann.hex() not in {row[0] for row in rows_of(folder)}
    assert not any(ann in part for part in opened_bytes(folder)[:-1])
    read = optional_tables(folder)
    assert not any(repr(ann) in row for table in read.values() for row in table)
    feed = next(each for each in result.feeds if each.table == "events")
    expected = {
        "same": None,
        "renamed": None,
        "grown": {"forgotten": 4},
        "rebuild": {"forgotten": 3},
    }
    assert (None if feed.known else feed.rejected) == expected[how]
    assert len(rows_of(folder)) == 7 if how == "grown" else 6


def test_a_store_that_another_process_writes_to_is_left_alone(folder):
    with (
        Store.open(folder / "store", KEYS, writable=True),
        pytest.raises(StoreBusyError, match=str(os.getpid())),
    ):
        erased(folder, "ann")


def test_until_it_is_committed_nothing_changes(folder):
    before = rows_of(folder)
    with Store.open(folder / "store", KEYS, writable=True) as store:
        found = erase(store, hashed("ann"), Silent())
        assert found.changes
    assert rows_of(folder) == before
    with Store.open(folder / "store", KEYS, writable=True) as store:
        assert {p.name for p in store.segments.folder.iterdir()} == store.manifest.files()


def test_a_damaged_month_stops_it(folder):
    segment = manifest_of(folder).segments[0]
    path = folder / "store/segments" / segment.file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=segment.file):
        erased(folder, "ann")
    assert manifest_of(folder).generation == 1


def test_a_reader_who_has_the_old_tables_keeps_them(folder):
    old = tables(folder)
    items = old.histories.items.copy()
    with Store.open(folder / "store", KEYS, writable=False) as reader:
        erased(folder, "ann")
        np.testing.assert_array_equal(old.histories.items, items)
        assert len(reader.tables().histories.user_ids) == 3
