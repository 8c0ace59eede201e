"""Rows of the optional tables: check and ingest judge them alike, and as the slow truth does."""

import datetime as dt
import math
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ingest_cases import ITEMS, NOW, adds_up, take_in, write_events, write_items
from slow_judge import as_id, as_seconds, as_text

from isthmus.progress import Silent
from isthmus_client.contract.model import Contract
from isthmus_client.readiness import check
from isthmus_client.relations import connect
from isthmus_client.rows import COLUMNS, OPTIONAL_RULES, OptionalJudge

FEW = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # to shrink such tables takes minutes
    suppress_health_check=[HealthCheck.too_slow],
)
ZONE = "Asia/Shanghai"
PICTURES = ["a.png", "sub/b.png"]

USERS = st.sampled_from(["ann", "bob", "007", "7", " ann", "", " "]) | st.text(max_size=3)
WORDS = st.sampled_from(["spring", "refund", "1", " x", "\t", " ", ""]) | st.text(max_size=3)
TIMES = st.sampled_from(
    ["2024-05-01T10:00:00Z", "2024-05-01 10:00", "1714557600", "soon", "", " ", "9" * 30]
) | st.integers(-(10**12), 10**12).map(str)
PATHS = st.sampled_from(
    [*PICTURES, "c.png", "sub", "s3://shop/c.png", "://", " ", "", ".", "a\x00b", "x" * 300]
)
VALUES = {
    "user_id": USERS,
    "other_id": USERS,
    "item_id": st.sampled_from([*ITEMS, "gone", ""]),
    "timestamp": TIMES,
    "path": PATHS,
}


def drawn_rows(data, table):
    """Rows of text; a column that is not needed may be left out."""
    columns = COLUMNS[table]
    left_out = data.draw(st.sets(st.sampled_from(columns.optional))) if columns.optional else ()
    names = [name for name in columns.all if name not in left_out]
    cells = {name: VALUES.get(name, WORDS) | st.none() for name in names}
    return names, data.draw(st.lists(st.fixed_dictionaries(cells), min_size=1, max_size=25))


def as_columns(names, rows):
    return {name: pa.array([row[name] for row in rows], pa.string()) for name in names}


def write_pictures(folder):
    for name in PICTURES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"png")


@pytest.fixture(name="pictures", scope="module")
def _pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder)
    return folder


@pytest.fixture(name="connection", scope="module")
def _connection():
    with connect() as connection:
        yield connection


def shop(folder, table, columns):
    """A platform on disk with one optional table, given as Arrow columns."""
    write_items(folder)
    write_events(folder, [("ann", "lamp", NOW), ("ann", "rug", NOW), ("bob", "rug", NOW)])
    write_pictures(folder)
    pq.write_table(pa.table(columns), folder / f"{table}.parquet")
    return contract_of(folder, table)


def contract_of(folder, table):
    return Contract.model_validate(
        {
            "platform": {"time_zone": ZONE},
            "events": {"source": "events.parquet"},
            "items": {"source": "items.parquet"},
            table: {"source": f"{table}.parquet"},
            "folder": folder,
        }
    )


def both(folder, table, contract):
    """{reason, "" for those accepted: rows} by check, and by ingest."""
    report = check(contract, Silent(), now=dt.datetime.fromtimestamp(NOW, dt.UTC))
    (checked,) = next(each for each in report.tables if each.name == table).feeds
    result = take_in(folder, contract, accept_rejected=True)
    assert adds_up(result)
    (taken,) = (feed for feed in result.feeds if feed.table == table)
    assert checked.read == taken.read
    again = take_in(folder, contract, accept_rejected=True)
    assert not again.changed
    return (
        Counter({"": checked.accepted, **checked.rejected}),
        Counter({"": taken.added, **taken.rejected}),
    )


def slow_reason(table, row, folder):
    """One row of text; "" where it is accepted."""
    ids = {name: as_id(row.get(name)) for name in ("user_id", "other_id", "item_id")}
    needed = [name for name in COLUMNS[table].needed if name not in ("timestamp", "path")]
    for name in needed:
        held = ids[name] if name in ids else (as_text(row.get(name)) or "").strip()
        if not held:
            return f"no_{name}"
    if table == "social_edges" and ids["user_id"] == ids["other_id"]:
        return "self_edge"
    if table == "images":
        return slow_path(row["path"] or "", folder)
    given, time = as_seconds(row.get("timestamp"), "auto", ZONE)
    if not given:
        return "no_time" if "timestamp" in COLUMNS[table].needed else ""
    return "bad_time" if time is None else ""


def slow_path(path, folder):
    if not path.strip():
        return "no_path"
    there = "://" in path or path in [*PICTURES, *(str(folder / name) for name in PICTURES)]
    return "" if there else "missing_image"


@pytest.mark.parametrize("table", OPTIONAL_RULES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_judge_is_as_the_slow_truth(connection, pictures, table, data):
    names, rows = drawn_rows(data, table)
    lines = pa.array(range(2, len(rows) + 2), pa.int64())
    columns = {"_line": lines, **as_columns(names, rows)}
    contract = contract_of(pictures, table)
    judged = OptionalJudge(connection, contract, table, names).judge(pa.record_batch(columns))
    assert judged["line"].to_pylist() == lines.to_pylist()
    found = [reason or "" for reason in judged["reason"].to_pylist()]
    assert found == [slow_reason(table, row, pictures) for row in rows]
    rules = {rule.code: rule.column for rule in OPTIONAL_RULES[table]}
    assert judged["column"].to_pylist() == [rules.get(reason) for reason in found]


@pytest.mark.parametrize("table", OPTIONAL_RULES)
@FEW
@given(data=st.data())
def test_check_and_ingest_count_alike(table, data):
    names, rows = drawn_rows(data, table)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        checked, taken = both(folder, table, shop(folder, table, as_columns(names, rows)))
        assert checked == taken
        assert +checked == Counter(slow_reason(table, row, folder) for row in rows)


TYPED = st.sampled_from(
    [
        (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
        (pa.float64(), st.floats() | st.just(7.0)),
        (pa.bool_(), st.booleans()),
        (pa.binary(), st.binary(max_size=4)),
        (pa.date32(), st.dates()),
        (pa.timestamp("ns"), st.integers(-(2**63) + 1, 2**63 - 1)),
        (pa.timestamp("s", ZONE), st.integers(-(2**50), 2**50)),
        (pa.decimal128(9, 2), st.decimals(-9, 9, places=2)),
        (pa.list_(pa.int8()), st.just([1, 2])),
        (pa.null(), st.none()),
    ]
)


@pytest.mark.parametrize("table", OPTIONAL_RULES)
@FEW
@given(data=st.data(), count=st.integers(1, 9))
def test_columns_of_any_type_are_judged_alike(table, data, count):
    columns = {}
    for name in COLUMNS[table].all:
        kind, values = data.draw(TYPED)
        cells = data.draw(st.lists(values | st.none(), min_size=count, max_size=count))
        columns[name] = pa.array(cells, kind)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        checked, taken = both(folder, table, shop(folder, table, columns))
        assert checked == taken
        assert checked.total() == count


def test_a_label_may_be_a_number_and_is_unknown_where_it_is_nan(tmp_path):
    labels = [0.0, 2.5, math.inf, math.nan, None]
    columns = {"text": ["where is it"] * 5, "label": pa.array(labels, pa.float64())}
    checked, _ = both(tmp_path, "service_texts", shop(tmp_path, "service_texts", columns))
    assert checked == {"": 3, "no_label": 2}
