"""Whatever is written to a file comes back equal, on its line; nothing is lost without a word."""

import csv
import gzip
import io
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import example, given
from hypothesis import strategies as st

from isthmus.errors import DataInvalidError
from isthmus_client.contract.model import Table
from isthmus_client.feeds import LINE, open_feeds

COLUMNS = ("user", "what, else", 'a "third"')
# Text that CSV must quote, text that JSON must escape, and text of several bytes a letter.
TEXT = st.text(
    st.one_of(
        st.sampled_from(list("ab,;|\t\"'\\\n\r\x1c  é漢🙂")),
        st.characters(exclude_categories=("Cs",)),
    ),
    max_size=6,
).filter(lambda text: "\0" not in text)
ROWS = st.lists(st.tuples(*(st.one_of(st.just(""), TEXT) for _ in COLUMNS)), max_size=12)
GARBAGE = st.binary(max_size=300)


def read(name, data, *, rows=262_144, columns=COLUMNS, **options):
    """The rows as lists, their lines, and what was malformed."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(data)
        malformed = []
        (feed,) = open_feeds(Table(source=name, **options), Path(folder))
        wanted = columns or feed.columns
        batches = list(feed.batches(wanted, malformed.append, rows=rows))
    assert all(0 < batch.num_rows <= rows for batch in batches)
    assert all(batch.schema.names == [*wanted, LINE] for batch in batches)
    found = [list(row.values()) for batch in batches for row in batch.to_pylist()]
    return [row[:-1] for row in found], [row[-1] for row in found], malformed


def as_read(rows):
    return [[value or None for value in row] for row in rows]


@given(
    rows=ROWS, cut=st.integers(1, 5), all_quoted=st.booleans(), end=st.sampled_from(["\n", "\r\n"])
)
def test_csv_comes_back(rows, cut, all_quoted, end):
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(text, lineterminator=end, quoting=quoting)
    writer.writerow(COLUMNS)
    lines = []
    for row in rows:
        lines.append(text.getvalue().count("\n") + 1)
        writer.writerow(row)
    found, at, malformed = read("t.csv", text.getvalue().encode(), rows=cut, delimiter=",")
    assert (found, at, malformed) == (as_read(rows), lines, [])


@given(rows=ROWS, cut=st.integers(1, 5), escaped=st.booleans())
def test_json_lines_come_back(rows, cut, escaped):
    written = [
        json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=escaped) for row in rows
    ]
    first = json.dumps(dict.fromkeys(COLUMNS))
    data = "\n".join([first, *written]).encode()
    found, at, malformed = read("t.jsonl", data, rows=cut)
    assert found == [[None] * 3, *as_read(rows)]
    assert (at, malformed) == (list(range(1, len(rows) + 2)), [])


@given(rows=ROWS, cut=st.integers(1, 5), group=st.integers(1, 5))
def test_parquet_comes_back(rows, cut, group):
    columns = list(zip(*rows, strict=True)) or [()] * 3
    table = pa.table([pa.array(column, pa.string()) for column in columns], names=list(COLUMNS))
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=group)
    found, at, malformed = read("t.parquet", sink.getvalue(), rows=cut)
    assert found == [list(row) for row in rows]
    assert (at, malformed) == (list(range(1, len(rows) + 1)), [])


LINES = st.lists(
    st.one_of(
        st.sampled_from([b"1,2,3", b"1,2", b"1,2,3,4", b'"1",2,3', b"\xff,2,3", b"1,\0,3", b",,"]),
        st.binary(min_size=1, max_size=8).map(
            lambda line: line.translate(bytes.maketrans(b'\r\n"', b"xxx"))
        ),
    ),
    max_size=12,
)


@given(lines=LINES, cut=st.integers(1, 5))
@example(lines=[b"1,2,3", b"\xe9,2,3"], cut=2)
def test_every_line_is_a_row_or_malformed(lines, cut):
    data = b"\n".join([b"a,b,c", *lines])
    rows, at, malformed = read("t.csv", data, rows=cut, columns=(), delimiter=",")
    told = [each.line for each in malformed]
    assert sorted([*at, *told]) == list(range(2, len(lines) + 2))
    for row, line in zip(rows, at, strict=True):
        assert [value or "" for value in row] == lines[line - 2].replace(b'"', b"").decode().split(
            ","
        )


@given(lines=st.lists(st.one_of(LINES.map(b"\n".join), GARBAGE), max_size=3))
def test_blocks_at_once_and_rows_one_by_one_are_read_alike(lines):
    data = b"\n".join([b"a,b,c", *(line.replace(b'"', b"") for line in lines)]) + b"\n"
    escaped = b'"a ""quoted"" word",2,3\n'  # such a field sends its whole block row by row
    at_once = read("t.csv", data, columns=(), delimiter=",")
    rows, at, malformed = read("t.csv", data + escaped, columns=(), delimiter=",")
    assert rows[-1] == ['a "quoted" word', "2", "3"]
    assert (rows[:-1], at[:-1], malformed) == at_once


@given(garbage=GARBAGE, cut=st.integers(1, 5))
def test_garbage_behind_a_header_is_no_traceback(garbage, cut):
    good = b"1,2,3\n"
    rows, at, malformed = read("t.csv", b"a,b,c\n" + good + garbage, rows=cut, columns=())
    assert rows[:1] == [["1", "2", "3"]] or malformed
    assert len(set(at)) == len(at)
    assert not set(at) & {each.line for each in malformed}


@given(
    lines=st.lists(
        st.one_of(
            GARBAGE.map(lambda each: each.replace(b"\n", b"")),
            st.sampled_from(
                [
                    b'{"a": 1}',
                    b"{}",
                    b"[1]",
                    b"1",
                    b'{"a": [1]}',
                    b'{"a": "\\ud800"}',
                    b'{"a": "\\u0000"}',
                    b'{"a": 1, "a": 2}',
                    b'{"a": NaN}',
                    b"\xff",
                    b"[" * 20_000,
                ]
            ),
        ),
        max_size=12,
    )
)
def test_garbage_among_json_lines_is_told(lines):
    data = b"\n".join([b'{"a": 1.50, "b": 2}', *lines])
    rows, at, malformed = read("t.jsonl", data, columns=("a", "b"))
    assert rows[0] == ["1.50", "2"]
    blank = [
        line for line, each in enumerate(lines, 2) if not each.decode(errors="replace").strip()
    ]
    told = [each.line for each in malformed]
    assert sorted([*at, *told, *blank]) == list(range(1, len(lines) + 2))


def whole_files():
    """{name: bytes} of small files that are well formed, compressed ones among them."""
    rows = [(f"u{n}", str(n), "é") for n in range(200)]
    table = pa.table(
        [pa.array(column) for column in zip(*rows, strict=True)], names=["a", "b", "c"]
    )
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=64)
    text = "a,b,c\n" + "".join(f'{user},"{n}",{word}\n' for user, n, word in rows)
    lines = "".join(json.dumps({"a": user, "b": n}) + "\n" for user, n, _ in rows)
    return {
        "t.parquet": sink.getvalue(),
        "t.csv": text.encode(),
        "t.csv.gz": gzip.compress(text.encode(), mtime=0),
        "t.csv.zst": pa.compress(text.encode(), "zstd", asbytes=True),
        "t.jsonl": lines.encode(),
    }


WHOLE = whole_files()


@given(
    name=st.sampled_from(sorted(WHOLE)),
    flips=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(1, 255)), max_size=4),
    kept=st.floats(0.5, 1),
)
def test_a_damaged_file_is_read_or_refused_never_more(name, flips, kept):
    damaged = bytearray(WHOLE[name])
    for place, bits in flips:
        damaged[place % len(damaged)] ^= bits
    try:
        rows, at, malformed = read(name, bytes(damaged[: int(kept * len(damaged)) + 1]), columns=())
    except DataInvalidError as error:
        assert error.hint or "no text" in str(error)  # noqa: PT017 - either end is right
    else:
        assert len(rows) == len(set(at)) <= 201
        assert not set(at) & {each.line for each in malformed}
