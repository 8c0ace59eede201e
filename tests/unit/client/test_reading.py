"""Feeds straight to a catalogue and histories: what they become, what is left out and refused."""

import gzip
from datetime import UTC, date, datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isthmus.behaviours import behaviour_code
from isthmus.errors import DataInvalidError, DataMissingError, FeedRefusedError
from isthmus_client.contract.model import Contract
from isthmus_client.feeds import ArrowFeed
from isthmus_client.reading import read_platform, read_tables

ITEMS = "item_id,title\nb,Blue pen\na,Red pen\nc,Green pen\n"
EVENTS = """user_id,item_id,timestamp
u2,a,1700000300
u1,b,1700000200
u1,a,1700000100
u2,c,1700000400
"""
NOW = 1_700_000_000


def write(folder, events=EVENTS, items=ITEMS, parts=None, **options):
    """A contract of two CSV files; `options` are of [events]."""
    (folder / "events.csv").write_text(events)
    (folder / "items.csv").write_text(items)
    return contract(folder, parts, **options)


def contract(folder, parts=None, *, events="events.csv", items="items.csv", **options):
    parts = parts or {}
    items_part = {"source": items, **parts.get("items", {})}
    made = Contract.model_validate(
        {**parts, "events": {"source": events, **options}, "items": items_part}
    )
    return made.model_copy(update={"folder": folder})


def refusal(agreed):
    with pytest.raises(FeedRefusedError) as caught:
        read_tables(agreed)
    return str(caught.value)


def feed(name, **columns):
    return ArrowFeed(name, pa.table(columns))


def test_items_users_and_events_are_sorted(tmp_path):
    tables = read_tables(write(tmp_path))
    assert tables.catalogue.item_ids == ("a", "b", "c")
    assert tables.catalogue.texts == ("Red pen", "Blue pen", "Green pen")
    assert tables.catalogue.categories == ("", "", "")
    assert np.isnan(tables.catalogue.prices).all()
    histories = tables.histories
    assert histories.user_ids == ("u1", "u2")
    assert histories.offsets.tolist() == [0, 2, 4]
    assert histories.items.tolist() == [0, 1, 0, 2]
    assert histories.times.tolist() == [1700000100, 1700000200, 1700000300, 1700000400]
    assert set(histories.behaviours.tolist()) == {behaviour_code("purchase")}
    assert histories.timed
    assert tables.warnings == ()


def test_types_are_those_that_histories_promise(tmp_path):
    histories = read_tables(write(tmp_path)).histories
    kinds = [getattr(histories, name).dtype for name in ("offsets", "items", "behaviours", "times")]
    assert kinds == [np.int64, np.int32, np.int8, np.int64]
    assert not np.ma.isMaskedArray(histories.items)


def test_equal_times_keep_the_order_of_rows_over_batches_and_feeds():
    items = [*"cabbac"] * 100_000
    feeds = [
        feed(name, user_id=["u"] * len(items), item_id=items, timestamp=[NOW] * len(items))
        for name in ("one", "two")
    ]
    agreed = Contract.model_validate(
        {"events": {"source": "e", "duplicates": "keep"}, "items": {"source": "i"}}
    )
    catalogue = [feed("items", item_id=["a", "b", "c"], title=["A", "B", "C"])]
    histories = read_platform(agreed, feeds, catalogue).histories
    assert np.array_equal(histories.items, np.tile([2, 0, 1, 1, 0, 2], 200_000))


def test_order_of_rows_is_the_order_where_nothing_is_timed(tmp_path):
    events = "user_id,item_id\nv,c\nu,b\nv,a\nu,a\nu,a\nu,c\n"
    histories = read_tables(write(tmp_path, events, timed=False)).histories
    assert histories.items.tolist() == [1, 0, 0, 2, 2, 0]
    assert histories.times.tolist() == [0, 1, 2, 3, 0, 1]
    assert not histories.timed


@pytest.mark.parametrize(
    ("column", "first"),
    [
        (pa.array([1700000100, 1700000200], pa.int64()), 1700000100),
        (pa.array([1700000100.5, 1700000200.0], pa.float64()), 1700000100),
        (pa.array([date(2023, 11, 14), date(2023, 11, 15)]), 1699920000),
        (
            pa.array(
                [datetime(2023, 11, 14, 22, 15, tzinfo=UTC), datetime(2023, 11, 15, tzinfo=UTC)]
            ),
            1700000100,
        ),
    ],
    ids=["int64", "float", "date", "timestamp with zone"],
)
def test_parquet_files_in_their_own_types(tmp_path, column, first):
    events, items = tmp_path / "events.parquet", tmp_path / "items.parquet"
    pq.write_table(pa.table({"user_id": [7, 7], "item_id": [1, 2], "timestamp": column}), events)
    pq.write_table(pa.table({"item_id": [1.0, 2.0], "title": ["One", "Two"]}), items)
    tables = read_tables(contract(tmp_path, events=events.name, items=items.name))
    assert tables.histories.times[0] == first
    assert tables.histories.user_ids == ("7",)
    assert tables.catalogue.item_ids == ("1", "2")


def test_the_platforms_own_words_are_mapped(tmp_path):
    events = "who,what,when,did\nu,1,1700000100,buy\nu,2,1700000200,view\nu,1,1700000300,zurück\n"
    agreed = write(
        tmp_path,
        events,
        "sku,name\n1,One\n2,Two\n",
        {"items": {"columns": {"item_id": "sku", "title": "name"}}},
        columns={"user_id": "who", "item_id": "what", "timestamp": "when", "behaviour": "did"},
        behaviours={"buy": "purchase", "zurück": "return"},
    )
    codes = [behaviour_code(name) for name in ("purchase", "view", "return")]
    assert read_tables(agreed).histories.behaviours.tolist() == codes


def test_text_is_composed_where_there_is_none(tmp_path):
    items = (
        "item_id,title,text,brand,category,description,price,colour\n"
        'a,Pen,,Acme,Office,"Writes, well",1.25,red\n'
        "b,Pen,A full text,Acme,Office,,,red\n"
        "c,Ink,,,,,9,blue\n"
    )
    catalogue = read_tables(write(tmp_path, items=items)).catalogue
    assert catalogue.texts == ("Pen. Acme. Office. Writes, well", "A full text", "Ink")
    assert catalogue.categories == ("Office", "Office", "")
    np.testing.assert_array_equal(catalogue.prices, np.array([1.25, np.nan, 9], np.float32))


def test_a_packed_file_with_another_delimiter_and_a_mark_before_it(tmp_path):
    write(tmp_path)
    packed = tmp_path / "events.csv.gz"
    packed.write_bytes(gzip.compress(("\ufeff" + EVENTS.replace(",", ";")).encode()))
    assert read_tables(contract(tmp_path, events=packed.name)).histories.events == 4


def test_single_event_users_are_left_out_and_told(tmp_path):
    tables = read_tables(write(tmp_path, EVENTS + "u3,a,1700000500\n"))
    assert tables.histories.user_ids == ("u1", "u2")
    assert tables.warnings == ("events.csv: 1 of 3 users have a single event and were left out",)


def test_only_single_event_users(tmp_path):
    events = "user_id,item_id,timestamp\nu,a,1700000100\nv,a,1700000100\n"
    with pytest.raises(DataInvalidError, match="each of the 2 users has a single event"):
        read_tables(write(tmp_path, events))


def test_a_missing_file_is_named(tmp_path):
    write(tmp_path)
    with pytest.raises(DataMissingError, match=r"no-events\.csv"):
        read_tables(contract(tmp_path, events="no-events.csv"))


def test_rows_count_against_the_share_of_their_feed(tmp_path):
    rows = "".join(f"u,a,{NOW + second}\n" for second in range(95))
    events = "user_id,item_id,timestamp\n" + rows + "u,?,1700000000\n" * 5
    tables = read_tables(write(tmp_path, events))
    assert tables.histories.events == 95
    (told,) = tables.warnings
    assert told.startswith(
        "events.csv: left out: 5 events are on an item that the items table lacks"
    )
    assert "(unknown_item); first: line 97." in told
    message = refusal(write(tmp_path, events + "u,?,1700000000\n"))
    assert "events.csv: more than 5.00% of 101 rows are rejected" in message
    assert "6 events are on an item" in message


def test_rows_beyond_retention_are_no_fault_of_a_feed(tmp_path):
    agreed = write(tmp_path, parts={"history": {"retention_days": 3650}})
    tables = read_tables(agreed)
    assert tables.histories.events == 4
    old = [
        feed("e", user_id=["u"] * 4, item_id=["a"] * 4, timestamp=[NOW, NOW + 1, 700_000_000, 8e8])
    ]
    catalogue = [feed("i", item_id=["a"], title=["A"])]
    tables = read_platform(agreed, old, catalogue, now=NOW + 5)
    assert tables.histories.events == 2
    assert "2 events are older than the contract lets them be kept" in tables.warnings[0]


def test_where_all_events_are_too_old_it_is_said(tmp_path):
    agreed = write(tmp_path, parts={"history": {"retention_days": 1}})
    message = refusal(agreed)
    assert "no event is left:\n    events.csv: 4 events are older than the contract" in message


def test_all_findings_come_at_once_with_count_and_line_and_no_value(tmp_path):
    events = (
        "user_id,item_id,timestamp,behaviour\n"
        "person-1,a,1700000100,purchase\n"
        "person-1,zz,1700000200,purchase\n"
        "person-1,b,yesterday,purchase\n"
        ",b,1700000200,purchase\n"
        "person-1,b,1700000200,dream\n"
        "person-1,b,,purchase\n"
        "person-1,yy,1700000200,purchase\n"
        "person-1,a,1700000100000,purchase\n"
        "person-1,a,1700000100,purchase\n"
        "person-1,a\n"
    )
    items = (
        "item_id,title,price\na,Red pen,1.5\nb,Blue pen,\na,Red pen,\nc, ,\n,Lost,\nd,Pen,2 EUR\n"
    )
    message = refusal(write(tmp_path, events, items))
    for line in [
        "1 rows have no item_id (no_item_id); first: line 6.",
        "1 rows repeat an item_id (duplicate_item); first: line 4.",
        "1 items have no text (no_text); first: line 5.",
        "1 prices are no numbers (bad_price); first: line 7.",
        "1 rows have no user_id (no_user_id); first: line 5.",
        "2 events are on an item that the items table lacks (unknown_item); first: line 3.",
        "1 events have an unknown behaviour (unknown_behaviour); first: line 6.",
        "1 events have a time that cannot be read (bad_time); first: line 4.",
        "1 events have no time (no_time); first: line 7.",
        "1 events lie more than a day in the future (time_in_future); first: line 9.",
        "1 rows repeat an event (duplicate_event); first: line 10.",
        "1 lines have more or fewer fields than the header (ragged); first: line 11.",
    ]:
        assert line in message
    assert 'time_format = "ms"' in message
    for value in ("person-1", "zz", "yesterday", "dream"):
        assert value not in message


def test_missing_columns_of_both_tables_come_at_once(tmp_path):
    message = refusal(write(tmp_path, "user,item_id\nu,a\n", "item_id,colour\na,red\n"))
    assert "events.csv: there is no column user_id; user looks like it" in message
    assert "events.csv: there is no column timestamp" in message
    assert "items.csv: there is no column title or text" in message
    assert 'columns = { title = "yours" }' in message


def test_empty_tables(tmp_path):
    message = refusal(write(tmp_path, "user_id,item_id,timestamp\n", "item_id,title\n"))
    assert "events.csv: has no events" in message
    assert "items.csv: has no items" in message


def test_half_a_million_events_in_seconds(tmp_path):
    events, items = tmp_path / "events.parquet", tmp_path / "items.parquet"
    duckdb.sql(
        "SELECT range % 5003 AS user_id, range * 7919 % 997 AS item_id, "
        "1700000000 + range AS timestamp FROM range(500000)"
    ).write_parquet(str(events))
    duckdb.sql("SELECT range AS item_id, 'item ' || range AS title FROM range(997)").write_parquet(
        str(items)
    )
    histories = read_tables(contract(tmp_path, events=events.name, items=items.name)).histories
    assert (histories.users, histories.events) == (5003, 500000)
    inside = np.ones(histories.events - 1, dtype=bool)
    inside[histories.offsets[1:-1] - 1] = False
    assert (np.diff(histories.times)[inside] > 0).all()
