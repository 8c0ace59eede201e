"""Faults of files and their headers."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
from healthy_shop import EVENTS, READY, REFUSED, as_csv, fault


@fault({("missing_column", "events"): (1, None)}, REFUSED)
def a_column_is_missing(shop):
    for row in shop.events:
        del row["timestamp"]


@fault({("renamed_column", "events"): (1, None)}, REFUSED)
def a_column_is_renamed(shop):
    for row in shop.events:
        row["UserID"] = row.pop("user_id")


@fault({("missing_column", "items"): (1, None)}, REFUSED)
def a_mapped_column_is_missing(shop):
    shop.say("items", columns={"brand": "maker"})


@fault({("extra_column", "events"): (1, None)}, READY)
def a_column_is_not_mapped(shop):
    for place, row in enumerate(shop.events):
        row["browser"] = ["chrome", "firefox"][place % 2]


@fault({("no_header", "events"): (6, 1)}, REFUSED)
def the_header_is_missing(shop):
    shop.files["events.csv"] = as_csv(shop.events).partition(b"\n")[2]


@fault({("wrong_delimiter", "events"): (1, 1)}, REFUSED)
def the_delimiter_is_wrong(shop):
    shop.say("events", delimiter="|")


@fault({("bom", "items"): (1, None)}, READY)
def a_byte_order_mark(shop):
    shop.files["items.csv"] = b"\xef\xbb\xbf" + as_csv(shop.items)


@fault({("unreadable_source", "events"): (1, None)}, REFUSED)
def a_file_is_missing(shop):
    shop.say("events", source="other.csv")
    shop.events = []


@fault({("unreadable_source", "items"): (1, None)}, REFUSED)
def a_file_is_empty(shop):
    shop.files["items.csv"] = b""


@fault({("empty_table", "events"): (0, None)}, REFUSED)
def there_are_no_events(shop):
    shop.files["events.csv"] = b"user_id,item_id,timestamp\n"


@fault({("empty_table", "items"): (0, None)}, REFUSED)
def there_are_no_items(shop):
    shop.files["items.csv"] = b"item_id,title\n"


@fault({("column_in_some_feeds", "events"): (1, None)})
def a_column_is_in_one_of_two_files(shop):
    shop.say("events", source="events-*.csv")
    shop.files["events-1.csv"] = as_csv(shop.events[:800])
    rest = [{k: v for k, v in row.items() if k != "quantity"} for row in shop.events[800:]]
    shop.files["events-2.csv"] = as_csv(rest)


@fault({("empty_feed", "events"): (1, None)})
def one_of_two_files_is_empty(shop):
    shop.say("events", source="events-*.csv")
    shop.files["events-1.csv"] = as_csv(shop.events)
    shop.files["events-2.csv"] = as_csv(shop.events).partition(b"\n")[0] + b"\n"


@fault({("ragged", "events"): (2, 12)})
def lines_have_a_field_too_many(shop):
    lines = as_csv(shop.events).split(b"\n")
    lines[11] += b",stray"
    lines[20] += b",stray"
    shop.files["events.csv"] = b"\n".join(lines)


@fault({("nul", "events"): (1, 31)})
def a_line_holds_a_nul_byte(shop):
    lines = as_csv(shop.events).split(b"\n")
    lines[30] = lines[30].replace(b"sku", b"s\0u")
    shop.files["events.csv"] = b"\n".join(lines)


@fault({("encoding", "items"): (1, 5)})
def a_line_is_in_another_encoding(shop):
    lines = as_csv(shop.items).split(b"\n")
    lines.insert(4, b"sku-cafe,Caf\xe9,coffee,3")
    shop.files["items.csv"] = b"\n".join(lines)


@fault({("source_note", "items"): (1, None)}, READY)
def a_blank_line(shop):
    shop.files["items.csv"] = as_csv(shop.items).replace(b"sku-007", b"\nsku-007")


@fault({("json", "items"): (1, 3)})
def a_line_is_no_json(shop):
    lines = [json.dumps(row) for row in shop.items]
    lines.insert(2, '{"item_id": "sku-')
    shop.say("items", source="items.jsonl")
    shop.files["items.jsonl"] = "\n".join(lines).encode()


@fault(
    {
        ("wrong_type", "events"): (EVENTS, None),
        ("bad_price", "events"): (EVENTS, 2),
        ("too_many_rejected", "events"): (EVENTS, None),
    },
    REFUSED,
)
def a_number_is_written_in_words(shop):
    for row in shop.events:
        row["price"] = "twelve"


@fault(
    {
        ("wrong_type", "events"): (1, None),
        ("bad_time", "events"): (EVENTS, 1),
        ("too_many_rejected", "events"): None,
    },
    REFUSED,
)
def a_typed_column_that_is_no_time(shop):
    columns = pa.Table.from_pylist(shop.events)
    place = columns.schema.get_field_index("timestamp")
    sent = pa.array([row["behaviour"] == "view" for row in shop.events])
    written = pa.BufferOutputStream()
    pq.write_table(columns.set_column(place, "timestamp", sent), written)
    shop.say("events", source="events.parquet")
    shop.files["events.parquet"] = written.getvalue().to_pybytes()
