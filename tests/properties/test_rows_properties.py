"""Rows of any kind: never an exception, every row judged once, and as the slow truth judges it."""

import math
from datetime import UTC, date, datetime, time, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_judge import judge_event, judge_item

from isthmus_client.contract.model import Contract
from isthmus_client.feeds import Malformed
from isthmus_client.relations import connect
from isthmus_client.rows import EventJudge, ItemJudge
from isthmus_client.rows.tally import Tally

NOW = 1_717_171_717
KNOWN = {"a": 3, "7": 5, "00123": 8, "é": 13, "true": 21, "-4": 34}
SETTINGS = settings(max_examples=100, deadline=None)


def clock(year, month, day):
    """A bound of times that name no zone."""
    return datetime.combine(date(year, month, day), time.min)


LATELY = st.integers(NOW - 500 * 86_400, NOW + 2 * 86_400)
SCALED = st.builds(
    lambda second, unit: second * unit + unit // 3,
    LATELY,
    st.sampled_from([1, 10**3, 10**6, 10**9]),
)

# Texts that look like what they should be, or nearly.
STAMPS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    SCALED.map(str),
    LATELY.map(lambda second: datetime.fromtimestamp(second, UTC).isoformat()),
    st.sampled_from([600_000_000, NOW + 86_400, NOW + 86_401, NOW - 400 * 86_400]).map(str),
    st.datetimes().map(str),
    st.datetimes(clock(1980, 1, 1), clock(2030, 1, 1)).map(lambda t: t.isoformat("T", "seconds")),
    st.datetimes(timezones=st.timezones()).map(lambda t: t.isoformat()[:25]),
    st.dates(date(1989, 12, 1), date(2024, 7, 1)).map(str),
    st.floats().map(repr),
    st.from_regex(
        r"(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]"
        r"[T ][0-2][0-9]:[0-6][0-9](:[0-6][0-9](\.[0-9]{1,9})?)?"
        r"(Z| UTC|z|[+-][0-2][0-9]:?[0-9]{2})?",
        fullmatch=True,
    ),
    st.sampled_from(["", " ", "2024-02-30", "yesterday", "2024-02-28T24:00:00", " 1700000000\t"]),
)
AMOUNTS = st.one_of(
    st.floats(width=32).map(repr),
    st.integers(-(10**40), 10**40).map(str),
    st.sampled_from(["", " ", " 1.5 ", "12,50", "1_000", "nan", "inf", "1e39", "5.", "+3", "€ 4"]),
    st.text(max_size=4),
)
IDS = st.one_of(st.sampled_from(["", " ", "a", "a ", "00123", "7", "é"]), st.text(max_size=3))
WORDS = st.sampled_from(["view", "purchase", "buy", " buy ", "BUY", "", "1", "true"])
SPOKEN = st.sampled_from(["pc", "app", " store", "tv", ""])

TYPED = {
    pa.int64(): SCALED | st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float64(): st.floats(),
    pa.float16(): st.floats(width=16),
    pa.bool_(): st.booleans(),
    pa.decimal128(20, 3): st.decimals(-(10**15), 10**15, places=3),
    pa.date32(): st.dates(date(1, 1, 2), date(9999, 12, 30)),
    pa.timestamp("us"): st.datetimes(clock(1, 1, 2), clock(9999, 12, 30)),
    pa.timestamp("us", "UTC"): st.datetimes(
        clock(1, 1, 2),
        clock(9999, 12, 30),
        timezones=st.just(UTC),
    ),
    pa.timestamp("ns"): st.datetimes(clock(1990, 1, 2), clock(2200, 1, 1)),
    pa.timestamp("ms", "+05:30"): st.datetimes(
        clock(1980, 1, 1),
        clock(2100, 1, 1),
        timezones=st.just(timezone(timedelta(hours=5, minutes=30))),
    ).map(lambda t: t.replace(microsecond=0)),
}
SENSIBLE = {"timestamp": STAMPS, "price": AMOUNTS, "quantity": AMOUNTS, "rating": AMOUNTS}
SENSIBLE |= {"behaviour": WORDS, "surface": SPOKEN}


@st.composite
def column(draw, name, rows):
    """A column of one type: text of the expected kind, or anything."""
    kind = draw(st.sampled_from([pa.string(), pa.string(), pa.large_string(), pa.null(), *TYPED]))
    if kind == pa.null():
        return pa.nulls(rows)
    values = TYPED.get(kind, SENSIBLE.get(name, IDS))
    drawn = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
    if kind == pa.float16():
        drawn = [None if value is None else np.float16(value) for value in drawn]
    made = pa.array(drawn, kind)
    return made.dictionary_encode() if kind == pa.string() and draw(st.booleans()) else made


GOOD = {"user_id": "u", "item_id": "a", "timestamp": "1700000000", "behaviour": "buy"}
GOOD |= {"surface": "app", "price": "1.5", "quantity": "2", "rating": "5", "order_id": "o"}


@st.composite
def tables(draw):
    """A batch in which all columns, or all but one, are as they should be; or none is."""
    rows = draw(st.integers(0, 12))
    wild = draw(st.sampled_from([{name} for name in GOOD] + [{*GOOD}, {"price", "timestamp"}]))
    absent = draw(
        st.sampled_from([set(), set(), {"behaviour", "surface"}, {draw(st.sampled_from([*GOOD]))}])
    )
    columns = {
        name: draw(column(name, rows)) if name in wild else pa.array([good] * rows, pa.string())
        for name, good in GOOD.items()
        if name not in absent - wild
    }
    return pa.record_batch({**columns, "_line": pa.array(range(2, rows + 2), pa.int64())})


def contract(**parts):
    """In memory: no file is read."""
    both = {"events": {"source": "e.csv", **parts.pop("events", {})}, "items": {"source": "i.csv"}}
    return Contract.model_validate({**both, **parts})


CONTRACTS = st.builds(
    lambda time_format, timed, zone, days: contract(
        platform={"time_zone": zone},
        history={"retention_days": days if timed else 0},
        events={
            "time_format": time_format,
            "timed": timed,
            "behaviours": {"buy": "purchase", "1": "cart", "true": "share"},
            "default_behaviour": "click",
        },
    ),
    st.sampled_from(["auto", "s", "ms", "us", "ns", "%Y-%m-%d"]),
    st.sampled_from([True, True, True, False]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu"]),
    st.sampled_from([0, 0, 400]),
)


def same(judged, expected):
    """Equal, where a float32 and nothing stand for themselves."""
    for name, value in expected.items():
        found = judged[name]
        if isinstance(value, np.floating):
            found = None if found is None else np.float32(found)
        if found != value and not (name == "time" and expected["reason"] is not None):
            return False
    return True


@pytest.fixture(scope="module")
def connection():
    with connect() as made:
        made.register("known", pa.table({"item_id": list(KNOWN), "item": list(KNOWN.values())}))
        made.execute("CREATE TABLE known_items AS SELECT item_id, item::INT item FROM known")
        yield made


@SETTINGS
@given(batch=tables(), agreed=CONTRACTS)
def test_events_are_judged_as_the_slow_truth_does(connection, batch, agreed):
    judge = EventJudge(connection, agreed, batch.schema.names, now=NOW)
    judged = judge.judge(batch).to_pylist()
    raw = batch.to_pylist()
    assert [row["line"] for row in judged] == [row["_line"] for row in raw]
    for row, given_row in zip(judged, raw, strict=True):
        expected = judge_event(unwrapped(given_row), agreed, KNOWN, NOW)
        assert same(row, expected), (given_row, row, expected)
        assert (row["column"] is None) == (row["reason"] is None)


def unwrapped(row):
    """NumPy's half floats as Python's."""
    return {k: float(v) if isinstance(v, np.floating) else v for k, v in row.items()}


ITEM_NAMES = ["item_id", "title", "text", "description", "category", "brand", "image"]
WORDY = st.none() | st.text(st.sampled_from("ab \t\n\u00a0\u2003.é"), max_size=6)


@st.composite
def item_tables(draw):
    rows = draw(st.integers(0, 12))
    chosen = draw(st.sets(st.sampled_from(ITEM_NAMES)))
    texts = st.lists(WORDY, min_size=rows, max_size=rows)
    columns = {name: pa.array(draw(texts), pa.string()) for name in ITEM_NAMES if name in chosen}
    if draw(st.booleans()):
        columns["price"] = draw(column("price", rows))
    return pa.record_batch({**columns, "_line": pa.array(range(2, rows + 2), pa.int64())})


@SETTINGS
@given(batch=item_tables())
def test_items_are_judged_as_the_slow_truth_does(connection, batch):
    judged = ItemJudge(connection, contract(), batch.schema.names).judge(batch).to_pylist()
    for row, given_row in zip(judged, batch.to_pylist(), strict=True):
        expected = judge_item(unwrapped(given_row))
        assert same(row, expected), (given_row, row, expected)


@SETTINGS
@given(batch=tables(), agreed=CONTRACTS)
def test_what_is_accepted_keeps_every_promise(connection, batch, agreed):
    judged = EventJudge(connection, agreed, batch.schema.names, now=NOW).judge(batch)
    for row in judged.to_pylist():
        if row["reason"] is not None:
            continue
        assert row["user_id"]
        assert KNOWN[row["item_id"]] == row["item"]
        assert 1 <= row["behaviour"] <= 10
        assert 631_152_000 <= row["time"] <= NOW + 86_400 or not agreed.events.timed
        assert row["price"] is None or (math.isfinite(row["price"]) and row["price"] >= 0)
        assert row["quantity"] is None or 0 < row["quantity"] < math.inf
        assert row["rating"] is None or math.isfinite(row["rating"])


@SETTINGS
@given(batches=st.lists(tables(), max_size=3), agreed=CONTRACTS, lines=st.integers(0, 3))
def test_every_row_is_counted_once(connection, batches, agreed, lines):
    tally, accepted = Tally("events", "feed"), 0
    for line in range(lines):
        tally.malformed(Malformed(line + 90, "ragged", "3 fields instead of 4"))
    for batch in batches:
        judge = EventJudge(connection, agreed, batch.schema.names, now=NOW)
        accepted += tally.take(judge.judge(batch)).num_rows
    rejected = sum(one.count for one in tally.rejected.values())
    assert tally.read == accepted + rejected == lines + sum(batch.num_rows for batch in batches)
    assert len(tally.lines()) == len(tally.rejected)
