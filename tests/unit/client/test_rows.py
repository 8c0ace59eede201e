"""Rows by one set of rules: the rules themselves, types of columns, ids, duplicates."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pyarrow as pa
import pytest

import isthmus_client.rows
from isthmus.errors import DataInvalidError
from isthmus_client.contract.model import Contract
from isthmus_client.relations import connect
from isthmus_client.rows import (
    EVENT_RULES,
    ITEM_RULES,
    EventJudge,
    ItemJudge,
    mark_duplicate_events,
    mark_duplicate_items,
)
from isthmus_client.rows.lookup import FEW, Lookup
from isthmus_client.rows.texts import as_text

NOW = 1_717_171_717
KNOWN = [f"i{row}" for row in range(13)]


@pytest.fixture
def connection():
    with connect() as made:
        made.register("known", pa.table({"item_id": KNOWN, "item": range(len(KNOWN))}))
        made.execute("CREATE TABLE known_items AS SELECT item_id, item::INT item FROM known")
        yield made


def contract(events=None, **parts):
    return Contract.model_validate(
        {"events": {"source": "e", **(events or {})}, "items": {"source": "i"}, **parts}
    )


def judge(connection, agreed=None, **columns):
    """The judged rows as dicts; what is not given is as it should be."""
    rows = len(next(iter(columns.values())))
    usual = {"user_id": ["u"] * rows, "item_id": ["i3"] * rows, "timestamp": [NOW - 7] * rows}
    batch = pa.record_batch({**usual, **columns, "_line": pa.array(range(2, rows + 2))})
    made = EventJudge(connection, agreed or contract(), batch.schema.names, now=NOW)
    return made.judge(batch).to_pylist()


def test_the_public_face_is_sorted_and_there():
    names = isthmus_client.rows.__all__
    assert names == sorted(names, key=lambda name: (not name.isupper(), name[0].islower(), name))
    assert all(hasattr(isthmus_client.rows, name) for name in names)


@pytest.mark.parametrize("rules", [EVENT_RULES, ITEM_RULES])
def test_each_rule_has_a_code_of_its_own_and_advice(rules):
    assert len({rule.code for rule in rules}) == len(rules)
    assert all(rule.what and rule.advice.endswith(".") for rule in rules)


def test_a_usual_event(connection):
    batch = pa.record_batch(
        {
            "who": ["kim"],
            "what": ["i5"],
            "when": ["2024-05-31T16:08:30+02:00"],
            "did": ["took back"],
            "where": ["app"],
            "paid": [12.5],
            "pieces": [3],
            "stars": ["4.5"],
            "order": [7001],
            "_line": [17],
        }
    )
    words = {"user_id": "who", "item_id": "what", "timestamp": "when", "behaviour": "did"}
    words |= {"surface": "where", "price": "paid", "quantity": "pieces", "rating": "stars"}
    agreed = contract(
        {"columns": {**words, "order_id": "order"}, "behaviours": {"took back": "return"}}
    )
    made = EventJudge(connection, agreed, batch.schema.names, now=NOW)
    assert set(made.columns) == set(batch.schema.names) - {"_line"}
    assert made.judge(batch).to_pylist() == [
        {
            "line": 17,
            "user_id": "kim",
            "item_id": "i5",
            "item": 5,
            "time": 1_717_164_510,
            "behaviour": 7,
            "surface": 3,
            "price": 12.5,
            "quantity": 3.0,
            "rating": 4.5,
            "order_id": "7001",
            "reason": None,
            "column": None,
        }
    ]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("user_id", None, "no_user_id"),
        ("item_id", "", "no_item_id"),
        ("item_id", "i3 ", "unknown_item"),
        ("behaviour", "Purchase", "unknown_behaviour"),
        ("behaviour", None, "unknown_behaviour"),
        ("timestamp", " ", "no_time"),
        ("timestamp", "31.05.2024", "bad_time"),
        ("timestamp", "631151999", "time_before_1990"),
        ("timestamp", str(NOW + 86_401), "time_in_future"),
        ("timestamp", str(NOW * 1000), "time_in_future"),
        ("price", "-0.01", "negative_price"),
        ("price", "12,50", "bad_price"),
        ("quantity", "0", "bad_quantity"),
        ("quantity", "-3", "bad_quantity"),
        ("quantity", "two", "bad_quantity"),
        ("rating", "good", "bad_rating"),
    ],
)
def test_each_fault_has_its_reason_and_column(connection, column, value, reason):
    (row,) = judge(connection, **{column: pa.array([value], pa.string())})
    assert (row["reason"], row["column"]) == (reason, column)


def test_the_first_rule_broken_is_the_reason(connection):
    (row,) = judge(connection, user_id=["u"], item_id=["?"], timestamp=["?"], price=["?"])
    assert row["reason"] == "unknown_item"


def test_the_edges_of_time_are_inside(connection):
    times = [631_152_000, NOW + 86_400]
    assert [row["reason"] for row in judge(connection, timestamp=times)] == [None, None]


def test_retention_ends_so_many_days_before_now(connection):
    agreed = contract(history={"retention_days": 30})
    times = [NOW - 30 * 86_400, NOW - 30 * 86_400 - 1]
    reasons = [row["reason"] for row in judge(connection, agreed, timestamp=times)]
    assert reasons == [None, "out_of_retention"]


def test_events_without_times_need_none(connection):
    (row,) = judge(connection, contract({"timed": False}), timestamp=["never"])
    assert (row["time"], row["reason"]) == (0, None)


def test_words_may_have_white_space_around_them(connection):
    agreed = contract({"behaviours": {"3": "cart"}})
    words = ["view", " view\t", "3", "view view"]
    codes = [row["behaviour"] for row in judge(connection, agreed, behaviour=words)]
    assert codes == [1, 1, 3, None]


def test_the_default_behaviour_is_of_feeds_without_the_column(connection):
    (row,) = judge(connection, contract({"default_behaviour": "click"}), user_id=["u"])
    assert row["behaviour"] == 2


def test_a_surface_that_is_none_of_ours_is_not_said(connection):
    surfaces = [row["surface"] for row in judge(connection, surface=["pc", "store", "fax", None])]
    assert surfaces == [1, 5, 0, 0]


LOCAL = datetime(2024, 3, 31, 12, 0, 1, 999_999)  # noqa: DTZ001 - the very case of a time without a zone


@pytest.mark.parametrize(
    ("column", "zone", "seconds"),
    [
        (pa.array([LOCAL]), "UTC", 1_711_886_401),
        (pa.array([LOCAL]), "Europe/Berlin", 1_711_879_201),
        (pa.array([LOCAL], pa.timestamp("ns")), "Asia/Kathmandu", 1_711_865_701),
        (pa.array([LOCAL.replace(tzinfo=UTC)]), "Europe/Berlin", 1_711_886_401),
        (pa.array([LOCAL.date()]), "UTC", 1_711_843_200),
        (pa.array([LOCAL.date()]), "Europe/Berlin", 1_711_839_600),
        (pa.array(["2024-03-31 12:00:01.999999"]), "Europe/Berlin", 1_711_879_201),
        (pa.array(["2024-03-31 12:00:01 UTC"]), "Europe/Berlin", 1_711_886_401),
        (pa.array(["2024-03-31T12:00:01.9999999999Z"]), "Europe/Berlin", 1_711_886_401),
        (pa.array(["2024-03-31"]), "Europe/Berlin", 1_711_839_600),
        (pa.array([1_711_886_401.75]), "Europe/Berlin", 1_711_886_401),
        (pa.array([Decimal("1711886401.750")]), "UTC", 1_711_886_401),
        (pa.array([1_711_886_401], pa.uint32()), "UTC", 1_711_886_401),
    ],
)
def test_times_by_type_and_zone(connection, column, zone, seconds):
    (row,) = judge(connection, contract(platform={"time_zone": zone}), timestamp=column)
    assert row["time"] == seconds


@pytest.mark.parametrize(
    ("time_format", "stamp"),
    [
        ("s", 1_711_886_401),
        ("ms", 1_711_886_401_999),
        ("us", 1_711_886_401_999_999),
        ("ns", 1_711_886_401_999_999_999),
        ("ns", "1711886401999999999"),
        ("ms", "1711886401999.5"),
        ("ms", "2024-03-31T12:00:01Z"),
        ("%d.%m.%Y %H:%M:%S", "31.03.2024 12:00:01"),
        ("%Y-%m-%d %H:%M:%S %z", "2024-03-31 14:00:01 +0200"),
        ("%Y%m%d%H%M%S", 20_240_331_120_001),
        ("%Y%m%d%H%M%S", 20_240_331_120_001.0),
        ("%Y%m%d%H%M%S", Decimal("20240331120001.00")),
    ],
)
def test_times_by_format(connection, time_format, stamp):
    (row,) = judge(connection, contract({"time_format": time_format}), timestamp=[stamp])
    assert row["time"] == 1_711_886_401


def test_a_pattern_is_of_whole_numbers(connection):
    days = pa.array([20_240_331.0, 20_240_331.5, float("nan"), 1e300, None])
    rows = judge(connection, contract({"time_format": "%Y%m%d"}), timestamp=days)
    assert rows[0]["time"] == 1_711_843_200
    assert [row["reason"] for row in rows] == [None, "bad_time", "no_time", "bad_time", "no_time"]


def test_a_number_may_begin_with_its_point(connection):
    rows = judge(connection, price=[".5", "-.25", "+.5e1", ".", "5.", "1.2.3"])
    assert [row["price"] for row in rows] == [0.5, -0.25, 5.0, None, 5.0, None]


def test_the_repeated_hour_is_its_second_pass(connection):
    agreed = contract(platform={"time_zone": "Europe/Berlin"})
    (row,) = judge(connection, agreed, timestamp=["2023-10-29 02:30:00"])
    assert datetime.fromtimestamp(row["time"], UTC).hour == 1


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1_711_886_401]]),
        pa.array([{"at": 1_711_886_401}]),
        pa.array([True]),
        pa.array([timedelta(days=3)]),
        pa.array([2**62], pa.int64()).cast(pa.timestamp("s")),
        pa.array([b"\xff"]),
    ],
    ids=["list", "struct", "bool", "duration", "no calendar has it", "binary"],
)
def test_columns_that_are_no_times_are_bad_and_no_exception(connection, column):
    agreed = contract(platform={"time_zone": "America/Sao_Paulo"})
    (row,) = judge(connection, agreed, timestamp=column, price=column)
    assert row["reason"] == "bad_time"


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array([" a", "", None, "007"]), [" a", None, None, "007"]),
        (pa.array(["a", "", None], pa.large_string()), ["a", None, None]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        (pa.array([7, -7, 2**63], pa.decimal128(20)), ["7", "-7", str(2**63)]),
        (pa.array([Decimal("12.00"), Decimal("12.50")]), ["12", None]),
        (pa.array([7.0, 7.5, float("nan"), 2.0**53]), ["7", None, None, None]),
        (pa.array([2.0**53 - 1]), [str(2**53 - 1)]),
        (pa.array([2**64 - 1], pa.uint64()), [str(2**64 - 1)]),
        (pa.array([b"caf\xc3\xa9", b"\xff", None]), ["café", None, None]),
        (pa.array([True]), ["true"]),
        (pa.array([LOCAL]), [None]),
        (pa.nulls(2), [None, None]),
        (pa.array([UUID(int=5).bytes], pa.uuid()), [str(UUID(int=5))]),
    ],
)
def test_ids_of_any_type(column, texts):
    assert as_text(column).to_pylist() == texts


@pytest.mark.parametrize("size", [FEW, FEW + 1])
def test_few_and_many_words_are_found_alike(size):
    words = pa.array([f"w{row}" for row in range(size)])
    lookup = Lookup(words, pa.array(range(size), pa.int32()))
    asked = pa.array(["w7", None, "w", "w7", f"w{size - 1}", " w3 "])
    assert lookup.find(asked).to_pylist() == [7, None, None, 7, size - 1, None]
    assert lookup.find_trimmed(asked).to_pylist()[-1] == 3


def test_text_that_is_no_utf8_is_refused_without_naming_it(connection):
    bytes_ = pa.py_buffer(b"\xffsecret")
    broken = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.array([0, 7], pa.int32()).buffers()[1], bytes_]
    )
    batch = pa.record_batch({"item_id": ["x"], "title": broken, "_line": [2]})
    made = ItemJudge(connection, contract(), batch.schema.names)
    with pytest.raises(DataInvalidError, match="cannot be read") as caught:
        made.judge(batch)
    assert caught.value.__context__ is None
    assert "secret" not in str(caught.value)
    assert items(connection, item_id=["a"], title=["t"])["reason"].to_pylist() == [None]


def items(connection, **columns):
    rows = len(next(iter(columns.values())))
    batch = pa.record_batch({**columns, "_line": pa.array(range(2, rows + 2))})
    return ItemJudge(connection, contract(), batch.schema.names).judge(batch)


def test_an_items_text_is_its_own_or_composed(connection):
    judged = items(
        connection,
        item_id=["a", "b", "c", "d"],
        title=["Pen", "Pen", "Ink", " "],
        text=[None, "A full text", "", None],
        brand=["Acme", "Acme", None, None],
        category=["Office", "Office", None, None],
        description=["Writes, well", None, None, ""],
        price=pa.array(["1.25", None, "9", "9"]),
    )
    assert judged["text"].to_pylist() == [
        "Pen. Acme. Office. Writes, well",
        "A full text",
        "Ink",
        None,
    ]
    assert judged["price"].to_pylist() == [1.25, None, 9.0, 9.0]
    assert judged["reason"].to_pylist() == [None, None, None, "no_text"]


def test_each_fault_of_an_item(connection):
    judged = items(
        connection,
        item_id=["", "b", "c", "d", "e"],
        title=["t", None, "t", "t", "t"],
        price=[None, None, "2 EUR", "-1", "inf"],
    ).to_pylist()
    reasons = ["no_item_id", "no_text", "bad_price", "negative_price", "bad_price"]
    assert [row["reason"] for row in judged] == reasons
    assert [row["column"] for row in judged] == ["item_id", "text", "price", "price", "price"]


def test_an_unknown_price_may_be_nan(connection):
    judged = items(connection, item_id=["a"], title=["t"], price=pa.array([float("nan")]))
    assert judged["price"].to_pylist() == [None]
    assert judged["reason"].to_pylist() == [None]


EVENT = {"user_id": "u", "item_id": "i", "time": 9, "behaviour": 5, "surface": 0, "price": 1.5}
EVENT |= {"quantity": None, "rating": None, "order_id": None, "reason": None, "column": ""}


def marked(connection, agreed, rows, mark):
    table = pa.Table.from_pylist(rows).cast(
        pa.schema(
            [
                (name, pa.float32() if name in {"quantity", "rating"} else pa.string())
                if all(row.get(name) is None for row in rows)
                else pa.Table.from_pylist(rows).schema.field(name)
                for name in rows[0]
            ]
        )
    )
    connection.register("given", table)
    connection.execute("CREATE TEMP TABLE judged AS SELECT * FROM given")
    mark(connection, agreed, "judged") if agreed else mark(connection, "judged")
    query = "SELECT reason FROM judged ORDER BY feed, line"
    return [row[0] for row in connection.execute(query).fetchall()]


def test_a_repeated_event_is_out_but_for_the_first(connection):
    rows = [
        {**EVENT, "feed": 2, "line": 2},
        {**EVENT, "feed": 1, "line": 9},
        {**EVENT, "feed": 1, "line": 3, "reason": "bad_rating"},
        {**EVENT, "feed": 1, "line": 4, "price": None},
        {**EVENT, "feed": 1, "line": 5, "price": None},
        {**EVENT, "feed": 1, "line": 6, "time": 10},
        {**EVENT, "feed": 1, "line": 7, "user_id": "v"},
    ]
    reasons = marked(connection, contract(), rows, mark_duplicate_events)
    twice = "duplicate_event"
    assert reasons == ["bad_rating", None, twice, None, None, None, twice]


@pytest.mark.parametrize("events", [{"duplicates": "keep"}, {"timed": False}])
def test_duplicates_stay_where_the_contract_keeps_them_or_nothing_is_timed(connection, events):
    rows = [{**EVENT, "feed": 1, "line": line, "reason": None} for line in (2, 3)]
    assert marked(connection, contract(events), rows, mark_duplicate_events) == [None, None]


def test_the_first_usable_row_of_an_item_counts(connection):
    rows = [
        {"item_id": item, "reason": reason, "column": None, "feed": feed, "line": line}
        for feed, line, item, reason in [
            (1, 2, "a", "no_text"),
            (1, 3, "a", None),
            (1, 4, "b", None),
            (2, 2, "a", None),
        ]
    ]
    reasons = marked(connection, None, rows, mark_duplicate_items)
    assert reasons == ["no_text", None, None, "duplicate_item"]
