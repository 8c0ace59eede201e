"""A platform's two files: what they become, and that every mistake in them is told at once."""

import gzip
from datetime import UTC, date, datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isthmus.behaviours import behaviour_code
from isthmus.errors import DataInvalidError, DataMissingError
from isthmus_client.tables import TableOptions, read_tables

ITEMS = "item_id,title\nb,Blue pen\na,Red pen\nc,Green pen\n"
EVENTS = """user_id,item_id,timestamp
u2,a,1700000300
u1,b,1700000200
u1,a,1700000100
u2,c,1700000400
"""


def write(folder, events=EVENTS, items=ITEMS, **options):
    (folder / "events.csv").write_text(events)
    (folder / "items.csv").write_text(items)
    return TableOptions(folder / "events.csv", folder / "items.csv", **options)


def refusal(options):
    with pytest.raises(DataInvalidError) as caught:
        read_tables(options)
    return str(caught.value)


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


def test_equal_times_keep_the_order_of_rows(tmp_path):
    rows = "".join(f"u,{item},1700000000\n" for item in "cabbac" * 500)
    tables = read_tables(write(tmp_path, "user_id,item_id,timestamp\n" + rows))
    assert tables.histories.items.tolist() == [2, 0, 1, 1, 0, 2] * 500


def test_order_of_rows_is_the_order_where_nothing_is_timed(tmp_path):
    events = "user_id,item_id\nv,c\nu,b\nv,a\nu,a\nu,c\n"
    histories = read_tables(write(tmp_path, events, timed=False)).histories
    assert histories.items.tolist() == [1, 0, 2, 2, 0]
    assert histories.times.tolist() == [0, 1, 2, 0, 1]
    assert not histories.timed


@pytest.mark.parametrize(
    "stamp",
    [
        "1700000100",
        "1700000100.75",
        "2023-11-14T22:15:00Z",
        "2023-11-14 22:15:00",
        "2023-11-14T23:15:00.5+01:00",
    ],
)
def test_times_as_text(tmp_path, stamp):
    events = f"user_id,item_id,timestamp\nu,a,{stamp}\nu,b,1700000200\n"
    assert read_tables(write(tmp_path, events)).histories.times[0] == 1700000100


def test_milliseconds_when_told(tmp_path):
    events = "user_id,item_id,timestamp\nu,a,1700000100999\nu,b,1700000200000\n"
    tables = read_tables(write(tmp_path, events, timestamp_unit="ms"))
    assert tables.histories.times.tolist() == [1700000100, 1700000200]


@pytest.mark.parametrize(
    ("column", "first"),
    [
        (pa.array([1700000100, 1700000200], pa.int64()), 1700000100),
        (pa.array([1700000100, 1700000200], pa.uint32()), 1700000100),
        (pa.array([1700000100.5, 1700000200.0], pa.float64()), 1700000100),
        (pa.array([date(2023, 11, 14), date(2023, 11, 15)]), 1699920000),
        (pa.array([datetime(2023, 11, 14, 22, 15), datetime(2023, 11, 15)]), 1700000100),  # noqa: DTZ001 - the very case of a time without a zone
        (
            pa.array(
                [datetime(2023, 11, 14, 22, 15, tzinfo=UTC), datetime(2023, 11, 15, tzinfo=UTC)]
            ),
            1700000100,
        ),
    ],
    ids=["int64", "uint32", "float", "date", "timestamp", "timestamp with zone"],
)
def test_times_by_parquet_type(tmp_path, column, first):
    events = tmp_path / "events.parquet"
    pq.write_table(pa.table({"user_id": [7, 7], "item_id": [1, 2], "timestamp": column}), events)
    items = tmp_path / "items.parquet"
    pq.write_table(pa.table({"item_id": [1, 2], "title": ["One", "Two"]}), items)
    tables = read_tables(TableOptions(events, items))
    assert tables.histories.times[0] == first
    assert tables.histories.user_ids == ("7",)
    assert tables.catalogue.item_ids == ("1", "2")


def test_the_platforms_own_words_are_mapped(tmp_path):
    events = "who,what,when,did\nu,1,1700000100,buy\nu,2,1700000200,view\nu,1,1700000300,zurück\n"
    items = "sku,name\n1,One\n2,Two\n"
    options = write(
        tmp_path,
        events,
        items,
        event_columns={
            "user_id": "who",
            "item_id": "what",
            "timestamp": "when",
            "behaviour": "did",
        },
        item_columns={"item_id": "sku", "title": "name"},
        behaviours={"buy": "purchase", "zurück": "return"},
    )
    codes = [behaviour_code(name) for name in ("purchase", "view", "return")]
    assert read_tables(options).histories.behaviours.tolist() == codes


def test_the_default_behaviour_fills_a_missing_column(tmp_path):
    histories = read_tables(write(tmp_path, default_behaviour="click")).histories
    assert set(histories.behaviours.tolist()) == {behaviour_code("click")}


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


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_a_byte_order_mark_and_gzip(tmp_path, delimiter):
    options = write(tmp_path)
    packed = tmp_path / "events.csv.gz"
    packed.write_bytes(gzip.compress(("\ufeff" + EVENTS.replace(",", delimiter)).encode()))
    assert read_tables(TableOptions(packed, options.items)).histories.events == 4


def test_single_event_users_are_left_out_and_told(tmp_path):
    tables = read_tables(write(tmp_path, EVENTS + "u3,a,1700000500\n"))
    assert tables.histories.user_ids == ("u1", "u2")
    assert tables.warnings == ("events.csv: 1 of 3 users have a single event and were left out",)


def test_only_single_event_users(tmp_path):
    events = "user_id,item_id,timestamp\nu,a,1700000100\nv,a,1700000100\n"
    assert "each of the 2 users has a single event" in refusal(write(tmp_path, events))


def test_both_missing_files_are_named(tmp_path):
    with pytest.raises(DataMissingError, match=r"no-events\.csv.*no-items\.csv"):
        read_tables(TableOptions(tmp_path / "no-events.csv", tmp_path / "no-items.csv"))


def test_all_row_findings_come_at_once_with_count_row_and_value(tmp_path):
    events = (
        "user_id,item_id,timestamp,behaviour\n"
        "u,a,1700000100,purchase\n"
        "u,zz,1700000200,purchase\n"
        "u,b,yesterday,purchase\n"
        ",b,1700000200,purchase\n"
        "u,b,1700000200,dream\n"
        "u,b,,purchase\n"
        "u,yy,1700000200000,purchase\n"
    )
    items = "item_id,title,price\na,Red pen,1.5\nb,Blue pen,2 EUR\na,Red pen,\nc, ,\n,Lost,\n"
    message = refusal(write(tmp_path, events, items))
    for line in [
        "items.csv: 1 rows have no item_id; first: row 5, empty",
        "items.csv: 1 rows repeat an item_id; first: row 3, 'a'",
        "items.csv: 1 items have no text; first: row 4, 'c'",
        "items.csv: 1 prices are no numbers; first: row 2, '2 EUR'",
        "events.csv: 1 rows have no user_id; first: row 4, empty",
        "events.csv: 2 events are on an item that the items table lacks; first: row 2, 'zz'",
        "events.csv: 1 events have an unknown behaviour; first: row 5, 'dream'",
        "events.csv: 2 events have a time that cannot be read; first: row 3, 'yesterday'",
        "events.csv: 1 events have a time before 1990 or after 2100; first: row 7, '1700000200000'",
    ]:
        assert line in message
    assert "timestamp_unit = 'ms'" in message


def test_the_row_of_a_late_mistake_in_a_large_file(tmp_path):
    rows = "u,a,1700000000\n" * 300_000
    message = refusal(write(tmp_path, f"user_id,item_id,timestamp\n{rows}u,a,soon\n"))
    assert "1 events have a time that cannot be read; first: row 300001, 'soon'" in message


def test_missing_columns_of_both_tables_come_at_once(tmp_path):
    message = refusal(write(tmp_path, "user,item_id\nu,a\n", "item_id,colour\na,red\n"))
    assert "events.csv: there is no column user_id (it has user, item_id)" in message
    assert "events.csv: there is no column timestamp" in message
    assert "items.csv: there is no column title or text (it has item_id, colour)" in message
    assert "item_columns = { title = 'yours' }" in message


def test_a_mapping_to_a_column_that_is_not_there_or_not_ours(tmp_path):
    columns = {"behaviour": "action", "colour": "shade"}
    message = refusal(write(tmp_path, event_columns=columns))
    assert "there is no column action (it has user_id, item_id, timestamp)" in message
    assert "event_columns names 'colour'" in message


def test_a_behaviour_that_is_none_of_ours_in_the_options(tmp_path):
    message = refusal(write(tmp_path, behaviours={"x": "stare"}, default_behaviour="doze"))
    assert "the options name the behaviour 'doze'" in message
    assert "the options name the behaviour 'stare'" in message


def test_empty_tables(tmp_path):
    message = refusal(write(tmp_path, "user_id,item_id,timestamp\n", "item_id,title\n"))
    assert "events.csv: has no events" in message
    assert "items.csv: has no items" in message


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ("user_id,item_id,timestamp\nu,a,1700000100\nu,a,1700000100,9\n", "Line: 3"),
        ('user_id,item_id,timestamp\n"u,a,1700000100\n', "unterminated quote"),
        ("", "is empty"),
        ("user_id,user_id,timestamp\n", "same name twice"),
    ],
    ids=["ragged row", "open quote", "empty file", "repeated column"],
)
def test_a_file_that_is_not_well_formed(tmp_path, events, reason):
    message = refusal(write(tmp_path, events))
    assert "events.csv" in message
    assert reason in message
    assert "strict_mode" not in message


def test_a_file_that_is_not_utf8(tmp_path):
    options = write(tmp_path)
    options.events.write_bytes("user_id,item_id,timestamp\nJosé,a,1700000100\n".encode("latin-1"))
    assert "utf-8" in refusal(options)


def test_a_parquet_file_that_is_none(tmp_path):
    broken = tmp_path / "events.parquet"
    broken.write_bytes(b"PAR1 but not really")
    assert "events.parquet cannot be read" in refusal(TableOptions(broken, write(tmp_path).items))


def test_an_unknown_kind_of_file(tmp_path):
    sheet = tmp_path / "events.xlsx"
    sheet.touch()
    message = refusal(TableOptions(sheet, write(tmp_path).items))
    assert "events.xlsx is neither CSV nor Parquet" in message


def test_half_a_million_events_in_seconds(tmp_path):
    events, items = tmp_path / "events.parquet", tmp_path / "items.parquet"
    duckdb.sql(
        "SELECT range % 5003 AS user_id, range * 7919 % 997 AS item_id, "
        "1700000000 + range AS timestamp FROM range(500000)"
    ).write_parquet(str(events))
    duckdb.sql("SELECT range AS item_id, 'item ' || range AS title FROM range(997)").write_parquet(
        str(items)
    )
    histories = read_tables(TableOptions(events, items)).histories
    assert (histories.users, histories.events) == (5003, 500000)
    inside = np.ones(histories.events - 1, dtype=bool)
    inside[histories.offsets[1:-1] - 1] = False
    assert (np.diff(histories.times)[inside] > 0).all()
