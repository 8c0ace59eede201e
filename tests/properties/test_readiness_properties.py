"""Whatever a feed holds: no traceback, counts that add up, and no user id anywhere."""

import io
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from healthy_shop import NOW
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rich.console import Console

from isthmus.progress import Silent
from isthmus_client.contract.model import Contract
from isthmus_client.feeds import ArrowFeed
from isthmus_client.readiness import check, check_feeds, render
from isthmus_client.readiness.page import render_page

MARK = "zqx"  # nothing else in a report holds it
LONG_AGO, RECENT, SOON, FAR_OFF = (
    datetime(year, 1, 2)  # noqa: DTZ001 - hypothesis wants them without a zone
    for year in (1, 1980, 2050, 9999)
)
USERS = st.integers(0, 12).map(lambda number: f"{MARK}{number}")
ITEMS = st.sampled_from(["i1", "i2", "i3", "007", "7", "7.0", " i1", "test", "", None])
WORDS = st.sampled_from(["view", "cart", "purchase", "buy", "View", " view", "", None])
TEXT = st.text(max_size=12)
TIMES = st.one_of(
    st.sampled_from(["2024-03-01T10:00:00Z", "2024-03-01 10:00", "2024-03-01", "infinity", ""]),
    st.integers(-(2**62), 2**62).map(str),
    st.datetimes(RECENT, SOON).map(str),
    TEXT,
    st.none(),
)
AMOUNTS = st.one_of(
    st.sampled_from(["", "0", "-1", "1e300", "nan", "inf", "3,50", None]),
    st.floats(0, 100).map(str),
)
TYPED = st.sampled_from(
    [
        (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
        (pa.float64(), st.floats()),
        (pa.bool_(), st.booleans()),
        (pa.binary(), st.binary(max_size=4)),
        (pa.date32(), st.dates()),
        (
            pa.timestamp("us", "UTC"),
            st.datetimes(LONG_AGO, FAR_OFF).map(lambda moment: moment.replace(tzinfo=UTC)),
        ),
        (pa.timestamp("ns"), st.integers(-(2**63) + 1, 2**63 - 1)),
        (pa.timestamp("s", "Asia/Shanghai"), st.integers(-(2**62), 2**62)),
        (pa.duration("s"), st.integers(0, 9)),
        (pa.float16(), st.floats(width=16)),
        (pa.decimal256(40, 2), st.decimals(-9, 9, places=2)),
        (pa.list_(pa.int8()), st.just([1, 2])),
        (pa.null(), st.none()),
    ]
)
CONTRACT = Contract.model_validate(
    {
        "events": {
            "source": "e",
            "behaviours": {"buy": "purchase"},
            "labels": {"returned": "known"},
        },
        "items": {"source": "i"},
        "social_edges": {"source": "s"},
        "limits": {"events_a_day": 5, "max_price": 50.0},
    }
)
SHARED = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # to shrink such tables takes minutes
    suppress_health_check=[HealthCheck.too_slow],
)


def events(columns):
    """A table of rows with the given columns, some of them of the same person."""
    return st.lists(st.fixed_dictionaries({"user_id": USERS, **columns}), max_size=25)


TEXT_ROWS = events(
    {
        "item_id": ITEMS | USERS,
        "timestamp": TIMES | USERS,
        "behaviour": WORDS | USERS,
        "price": AMOUNTS | USERS,
        "quantity": AMOUNTS,
        "returned": st.sampled_from(["yes", "", None]) | USERS,
        "known": TIMES,
        "extra": AMOUNTS | USERS,
    }
)
ITEM_ROWS = st.lists(
    st.fixed_dictionaries(
        {"item_id": ITEMS | USERS, "title": TEXT | USERS | st.none(), "price": AMOUNTS}
    ),
    max_size=8,
)
EDGE_ROWS = st.lists(st.fixed_dictionaries({"user_id": USERS, "other_id": USERS}), max_size=8)


def feed(name, rows, columns):
    """Rows as a feed of text columns."""
    schema = pa.schema([(column, pa.string()) for column in columns])
    return ArrowFeed(name, pa.Table.from_pylist(rows, schema))


def run(event_feeds, items, edges=()):
    feeds = {
        "events": event_feeds,
        "items": [feed("items.csv", items, ("item_id", "title", "price"))],
        "social_edges": [feed("edges.csv", list(edges), ("user_id", "other_id"))],
    }
    return check_feeds(CONTRACT, feeds, Silent(), now=NOW)


def only(rows, people):
    """The rows with ids of those people alone: whatever else looks like an id is nobody's."""
    return [
        {
            name: "other" if str(value).startswith(MARK) and value not in people else value
            for name, value in row.items()
        }
        for row in rows
    ]


def everything(report):
    """All that a person may see of a report."""
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(render(report))
    return report.to_json() + render_page(report) + console.export_text()


def hold(report, read):
    """What every report keeps."""
    assert MARK not in everything(report)
    for table in report.tables:
        for each in table.feeds:
            assert each.read == each.accepted + sum(each.rejected.values())
    (table,) = (table for table in report.tables if table.name == "events")
    assert table.read in (read, 0)  # 0 where a header, or the lack of items, stopped the reading
    assert report.statistics.events == table.accepted
    assert sum(day.total for day in report.statistics.by_day) == table.accepted
    assert (report.verdict == "refused") == bool(report.of("error"))


@SHARED
@given(TEXT_ROWS, ITEM_ROWS, EDGE_ROWS, st.integers(0, 25))
def test_any_text(rows, items, edges, cut):
    columns = ("user_id", "item_id", "timestamp", "behaviour", "price", "quantity")
    columns += ("returned", "known", "extra")
    people = {row["user_id"] for row in rows}
    rows, items = only(rows, people), only(items, people)
    feeds = [feed("a.csv", rows[:cut], columns), feed("b.csv", rows[cut:], columns)]
    hold(run(feeds, items, edges), len(rows))


@SHARED
@given(st.data(), st.integers(0, 12))
def test_any_types(data, count):
    columns = {}
    for name in ("item_id", "timestamp", "behaviour", "price", "quantity", "rating", "extra"):
        kind, values = data.draw(TYPED)
        drawn = data.draw(st.lists(values | st.none(), min_size=count, max_size=count))
        columns[name] = pa.array(drawn, kind)
    people = data.draw(st.lists(USERS, min_size=count, max_size=count))
    table = pa.table({"user_id": pa.array(people, pa.string()), **columns})
    items = [{"item_id": str(n), "title": f"thing {n}", "price": "1"} for n in range(-2, 3)]
    contract = CONTRACT.model_copy(
        update={"events": CONTRACT.events.model_copy(update={"labels": {}})}
    )
    feeds = {
        "events": [ArrowFeed("events.parquet", table)],
        "items": [feed("items.csv", items, ("item_id", "title", "price"))],
        "social_edges": [],
    }
    report = check_feeds(contract, feeds, Silent(), now=NOW)
    hold(report, count)
    assert "unreadable_source" not in {finding.code for finding in report.findings}


@SHARED
@given(st.lists(st.binary(max_size=40), max_size=12), st.booleans())
def test_any_bytes(tmp_path_factory, lines, header):
    folder = tmp_path_factory.mktemp("bytes")
    first = [b"user_id,item_id,timestamp,behaviour"] if header else []
    rows = [f"{MARK}1,i1,2024-03-01T10:00:00Z,view".encode()] * 2
    (folder / "events.csv").write_bytes(b"\n".join([*first, *rows, *lines]))
    (folder / "items.csv").write_bytes(b"item_id,title\ni1,tea\n")
    (folder / "edges.csv").write_bytes(b"user_id,other_id\n")
    contract = Contract.model_validate(
        {
            "events": {"source": "events.csv"},
            "items": {"source": "items.csv"},
            "social_edges": {"source": "edges.csv"},
            "folder": folder,
        }
    )
    report = check(contract, Silent(), now=NOW)
    assert MARK not in everything(report)


@pytest.mark.parametrize("column", ["item_id", "timestamp", "behaviour", "price", "title"])
def test_a_column_that_is_mapped_to_user_ids_shows_none(column):
    items = [{"item_id": "i1", "title": "tea", "price": "1"}]
    row = {"user_id": f"{MARK}1", "item_id": "i1", "timestamp": "2024-03-01T10:00:00Z"}
    rows = [{**row, "behaviour": "view", "price": "1", column: f"{MARK}{n}"} for n in range(2, 9)]
    others = [{**row, "user_id": f"{MARK}{n}"} for n in range(2, 9)]
    columns = ("user_id", "item_id", "timestamp", "behaviour", "price", "returned", "known")
    report = run([feed("e.csv", rows + others, columns)], items)
    assert MARK not in everything(report)
