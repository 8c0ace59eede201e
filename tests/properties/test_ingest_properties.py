"""Ingest of random tables: counts add up, twice is once, and no id is in the store."""

import base64
import contextlib
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_cases import (
    ITEMS,
    KEYS,
    NOW,
    adds_up,
    contract,
    rows_of,
    tables,
    take_in,
    write_events,
    write_items,
)

from isthmus_client.contract.model import RedemptionsTable
from isthmus_client.store import Store
from isthmus_client.store.calendar import month_name, months
from isthmus_client.vault import pseudonym

FEW = settings(max_examples=15, deadline=None)
DAY = 86_400
USERS = ["ann", "bob", "c\u00e9line", "0042", "42", "x" * 70]
TIMES = [NOW - days * DAY for days in (0, 1, 31, 32, 400)]

GOOD = st.tuples(st.sampled_from(USERS), st.sampled_from(ITEMS[:2]), st.sampled_from(TIMES))
ANY = st.tuples(
    st.one_of(st.none(), st.just(""), st.sampled_from(USERS), st.text(max_size=5)),
    st.one_of(st.none(), st.sampled_from([*ITEMS, "unknown"])),
    st.one_of(st.none(), st.sampled_from([*TIMES, 0, -1, 2**60])),
    st.one_of(st.none(), st.sampled_from([1.5, -2.0, float("nan"), float("inf")])),
    st.one_of(st.none(), st.sampled_from([1, 0, -3])),
    st.one_of(st.none(), st.sampled_from(["o1", "o2", ""])),
)


@contextlib.contextmanager
def place():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_items(folder)
        yield folder


@FEW
@given(rows=st.lists(ANY, min_size=1, max_size=40), duplicates=st.sampled_from(["reject", "keep"]))
def test_counts_add_up_and_twice_is_once(rows, duplicates):
    with place() as folder:
        its_contract = contract(folder, duplicates=duplicates)
        write_events(folder, rows)
        first = take_in(folder, its_contract, accept_rejected=True)
        assert adds_up(first)
        events = next(feed for feed in first.feeds if feed.table == "events")
        assert (events.read, first.events) == (len(rows), events.added)
        held = rows_of(folder)
        assert len(held) == first.events
        assert not take_in(folder, its_contract, accept_rejected=True).changed
        # The same rows in a file of other bytes: read again, none of them new.
        grown = pq.read_table(folder / "events.parquet").to_pydict()
        pq.write_table(pa.table(grown), folder / "events.parquet", compression="gzip")
        again = take_in(folder, its_contract, accept_rejected=True)
        assert adds_up(again)
        assert again.added == 0
        assert rows_of(folder) == held


def untied(folder):
    """Histories with the events of one moment in an order that does not tell their file."""
    found = tables(folder)
    histories = found.histories
    user = np.repeat(np.arange(histories.users), np.diff(histories.offsets))
    order = np.lexsort((histories.items, histories.times, user))
    columns = (histories.items, histories.behaviours, histories.times)
    return (
        found.catalogue.item_ids,
        histories.user_ids,
        histories.offsets.tolist(),
        [column[order].tolist() for column in columns],
    )


@FEW
@given(
    rows=st.lists(GOOD, min_size=2, max_size=40),
    data=st.data(),
    duplicates=st.sampled_from(["reject", "keep"]),
)
def test_two_files_in_any_order_are_one_file(rows, data, duplicates):
    rows = [*rows, (*rows[0][:2], TIMES[0]), (*rows[0][:2], TIMES[2])]  # someone with two events
    parts = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    halves = {
        "a.parquet": [row for row, part in zip(rows, parts, strict=True) if part],
        "b.parquet": [row for row, part in zip(rows, parts, strict=True) if not part],
    }
    options = {"accept_rejected": True}
    with place() as whole, place() as split:
        write_events(whole, rows, "feeds/all.parquet")
        its_contract = contract(whole, source="feeds", duplicates=duplicates)
        take_in(whole, its_contract, **options)
        its_contract = contract(split, source="feeds", duplicates=duplicates)
        for name in data.draw(st.permutations(sorted(halves))):
            write_events(split, halves[name], f"feeds/{name}")
            assert adds_up(take_in(split, its_contract, **options))
        assert rows_of(split) == rows_of(whole)
        assert untied(split) == untied(whole)


AGED = st.lists(
    st.tuples(
        st.sampled_from(USERS[:5]),
        st.sampled_from(ITEMS),
        st.integers(0, 120).map(lambda day: NOW - day * DAY),
    ),
    min_size=1,
    max_size=30,
)


def content(folder):
    """All that a store gives, and whose pseudonyms stand among its users."""
    with Store.open(folder / "store", KEYS, writable=False) as store:
        manifest, people = store.manifest, store.pseudonyms().to_pylist()
    shown = [(s.month, s.rows, s.first, s.last) for s in manifest.segments]
    counts = (manifest.events, manifest.user_count, manifest.single_users)
    histories = untied(folder) if manifest.user_count > manifest.single_users else ()
    return shown, counts, rows_of(folder), sorted(people), histories


@FEW
@given(rows=AGED, then=AGED, days=st.integers(0, 150))
def test_whoever_retention_leaves_without_events_leaves_the_users(rows, then, days):
    """The store is one that never had those rows; later rows of the same people are welcome."""
    later = NOW + days * DAY
    oldest = later - 60 * DAY
    kept = [row for row in rows if row[2] >= oldest]
    with place() as one, place() as other:
        spent = {"user_id": USERS[:2], "campaign": ["may"] * 2, "timestamp": [str(NOW)] * 2}
        pq.write_table(pa.table(spent), one / "spent.parquet")
        spending = {"redemptions": RedemptionsTable(source="spent.parquet")}
        write_events(one, rows)
        aged = contract(one, retention=60).model_copy(update=spending)
        take_in(one, aged, now=NOW, accept_rejected=True)
        assert take_in(one, aged, now=later, accept_rejected=True).users == len(
            {user for user, _, _ in kept}
        )
        write_events(other, kept)
        take_in(other, contract(other, retention=60), now=later, accept_rejected=True)
        assert content(one) == content(other)
        assert content(one)[3] == sorted(
            pseudonym(KEYS.pseudonym, user) for user in {user for user, _, _ in kept}
        )
        with Store.open(one / "store", KEYS, writable=False) as store:
            spent = store.segments.read_table(store.manifest.tables["redemptions"])
        assert spent["user_id"].to_pylist() == [
            pseudonym(KEYS.pseudonym, user) for user in USERS[:2]
        ]
        for folder in (one, other):
            write_events(folder, then)
            its_contract = aged if folder is one else contract(folder, retention=60)
            take_in(folder, its_contract, now=later, accept_rejected=True)
        assert content(one) == content(other)


@FEW
@given(ids=st.lists(st.text(min_size=9, max_size=30), min_size=2, max_size=6, unique=True))
def test_no_id_is_in_the_store(ids):
    with place() as folder:
        rows = [(user, item, time) for user in ids for item in ITEMS[:2] for time in TIMES[:2]]
        write_events(folder, [*rows, (ids[0], "unknown", NOW)])
        take_in(folder, contract(folder), accept_rejected=True)
        files = [path for path in (folder / "store").rglob("*") if path.is_file()]
        assert len(files) > 5
        held = b"\n".join(path.read_bytes() for path in files)
        held += "\n".join(path.name for path in files).encode()
        for user in ids:
            raw = user.encode()
            for form in (raw, base64.b64encode(raw)[:-4], raw.hex().encode()):
                assert form not in held


@FEW
@given(st.lists(st.integers(-(2**40), 2**40), max_size=20))
def test_months_are_those_of_numpy(times):
    found = months(np.array(times, dtype=np.int64))
    slow = np.array(times, dtype="datetime64[s]").astype("datetime64[M]")
    assert found.tolist() == slow.astype(np.int64).tolist()
    if times and times[0] >= 0:
        assert month_name(int(found[0])) == str(slow[0])
