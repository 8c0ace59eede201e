"""Files as feeds: which ones a source means, and what damaged ones say."""

import gzip
import hashlib
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isthmus.errors import DataInvalidError, DataMissingError, NotInstalledError
from isthmus_client.contract.model import Table
from isthmus_client.feeds import ArrowFeed, open_feeds
from isthmus_client.feeds.file_source import local_file
from isthmus_client.feeds.parquet import ParquetFeed

ROWS = b"user_id,item_id\nu1,i1\nu2,i2\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "events").mkdir()
    for name in ("b.csv", "a.csv", "c.csv"):
        (tmp_path / "events" / name).write_bytes(ROWS)
    (tmp_path / "events" / "_SUCCESS").touch()
    (tmp_path / "events" / ".hidden.parquet").touch()
    return tmp_path


def names(source, folder, **options):
    return [feed.name for feed in open_feeds(Table(source=str(source), **options), folder)]


def rows(feed, columns=None):
    malformed = []
    batches = list(feed.batches(columns or feed.columns, malformed.append))
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()], malformed


def test_folders_and_globs_are_sorted_and_markers_left_out(folder):
    expected = ["events/a.csv", "events/b.csv", "events/c.csv"]
    assert names("events", folder) == expected
    assert names("events/*", folder) == expected
    assert names("events/[ab].csv", folder) == expected[:2]
    assert names("**/*.csv", folder) == expected
    assert names(f"file://{folder}/events/b.csv", folder) == ["events/b.csv"]
    assert names(f"FILE://{folder}/events/b.csv", folder) == ["events/b.csv"]


def test_a_name_tells_no_folder_outside_the_platforms(folder):
    platform = folder / "platform"
    platform.mkdir()
    assert names(folder / "events", platform) == ["a.csv", "b.csv", "c.csv"]
    assert names("../events/b.csv", platform) == ["b.csv"]
    assert names(folder / "*" / "a.csv", platform) == ["events/a.csv"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(folder):
    (folder / "events[1].csv").write_bytes(ROWS)
    assert names("events[1].csv", folder) == ["events[1].csv"]


def test_of_the_platforms_own_folder_no_sign_is_a_wildcard(tmp_path):
    platform = tmp_path / "shop [1]*"
    platform.mkdir()
    (platform / "a.csv").write_bytes(ROWS)
    assert names("*.csv", platform) == ["a.csv"]
    assert names("../*/a.csv", platform) == ["a.csv"]


def test_a_name_of_other_bytes_can_be_told(tmp_path):
    with open(os.fsencode(tmp_path) + b"/e\xff.csv", "wb") as file:  # noqa: PTH123 - bytes
        file.write(ROWS)
    (feed,) = open_feeds(Table(source="*.csv"), tmp_path)
    assert feed.name == "e\\xff.csv"
    assert rows(feed, ["item_id"])[0] == [("i1", 2), ("i2", 3)]


def test_a_mixture_of_formats_is_refused_with_names(folder):
    (folder / "events" / "d.jsonl").touch()
    with pytest.raises(DataInvalidError, match=r"events/a.csv \(csv\), events/d.jsonl \(jsonl\)"):
        names("events", folder)
    (folder / "events" / "d.jsonl").unlink()
    (folder / "events" / "notes.docx").touch()
    with pytest.raises(DataInvalidError, match=r"notes.docx tells no format"):
        names("events", folder)


def test_a_given_format_goes_before_the_name(folder):
    (folder / "export.dat").write_bytes(ROWS)
    (feed,) = open_feeds(Table(source="export.dat", format="csv"), folder)
    assert rows(feed) == ([("u1", "i1", 2), ("u2", "i2", 3)], [])


def test_nothing_there_is_told(folder):
    for source in ("absent.csv", "absent/*.csv", "events/*.parquet"):
        with pytest.raises(DataMissingError, match="no file is meant") as caught:
            names(source, folder)
        assert "platform.toml" in caught.value.hint


@pytest.mark.parametrize("source", ["x" * 5000, "~no-such-user-here/events.csv"])
def test_what_cannot_be_looked_at_is_told(folder, source):
    with pytest.raises(DataMissingError, match="cannot be looked at") as caught:
        names(source, folder)
    assert caught.value.hint


def test_a_named_file_is_read_whatever_its_name(folder):
    (folder / "_events.csv").write_bytes(ROWS)
    assert names("_events.csv", folder) == ["_events.csv"]


def test_fingerprints_are_of_the_bytes_and_streamed(folder):
    feeds = open_feeds(Table(source="events"), folder)
    assert {feed.fingerprint for feed in feeds} == {hashlib.sha256(ROWS).hexdigest()}
    big = bytes(5_000_003)
    (folder / "big").write_bytes(big)
    source = local_file(folder / "big", "big")
    assert source.fingerprint() == hashlib.sha256(big).hexdigest()


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_compressed_text_is_read_and_damage_told(folder, ending):
    plain = b"user_id,item_id\n" + b"".join(b"user-%d,i%d\n" % (n, n) for n in range(90_001))
    packed = gzip.compress(plain) if ending == ".gz" else pa.compress(plain, "zstd", asbytes=True)
    path = folder / f"all.csv{ending}"
    path.write_bytes(packed)
    (feed,) = open_feeds(Table(source=path.name), folder)
    found, malformed = rows(feed)
    assert (len(found), found[-1], malformed) == (90_001, ("user-90000", "i90000", 90_002), [])
    path.write_bytes(packed[: len(packed) // 2])
    (feed,) = open_feeds(Table(source=path.name), folder)
    with pytest.raises(DataInvalidError, match="cannot be read after line"):
        rows(feed)
    path.write_bytes(b"no such thing" + packed)
    with pytest.raises(DataInvalidError, match="cannot be read"):
        names(path.name, folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"PAR1....", "a Parquet file"),
        (b"PK\x03\x04....", "Excel"),
        (gzip.compress(ROWS, mtime=0), "must end in .gz"),
        (ROWS.decode().encode("utf-16"), "byte order mark of utf-16"),
        (ROWS.decode().encode("utf-16-le"), "NUL bytes"),
        (b"user_id,,item_id\n", "a column has no name"),
        (b"u17,item_id,u17\n", r": columns 1, 3 of 3$"),
        (b"user_id,pr\xe9s\n", "the header is not utf-8"),
    ],
)
@pytest.mark.parametrize("name", ["t.csv", "t.txt"])
def test_what_is_no_csv_is_refused_at_once(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataInvalidError, match=said):
        names(name, tmp_path)


def test_a_line_without_end_is_given_up(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,2\n" + b"x" * (17 << 20))
    (feed,) = open_feeds(Table(source="t.csv"), tmp_path)
    with pytest.raises(DataInvalidError, match="line 3 is longer than 16 MiB"):
        rows(feed)


def test_damaged_parquet_is_told(tmp_path):
    path = tmp_path / "t.parquet"
    table = pa.table({"n": list(range(10_007)), "user": [f"secret-{n}" for n in range(10_007)]})
    pq.write_table(table, path, row_group_size=1000, write_page_checksum=True)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    feed = ParquetFeed(local_file(path, "t.parquet"))
    with pytest.raises(
        DataInvalidError, match=r"t.parquet cannot be read after row \d000"
    ) as caught:
        list(feed.batches(("n", "user"), print, rows=1000))
    assert "secret" not in str(caught.value)
    path.write_bytes(data[:-9])
    with pytest.raises(DataInvalidError, match=r"t\.parquet cannot be read: "):
        names("t.parquet", tmp_path)


def test_parquet_types_are_plain_and_bad_text_is_malformed(tmp_path):
    values = pa.array([b"fine", b"\xff\xfe", None, "漢".encode()], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 4, values.buffers())
    table = pa.table({
        "text": text,
        "word": pa.array(["view", "view", None, "buy"]).dictionary_encode(),
        "long": pa.array(["a", "b", "c", None], pa.large_string()),
        "a.b": pa.array([1, 2, 3, 4], pa.int16()),
        "bytes": pa.array([b"x", b"y", b"z", "漢".encode()], pa.binary()),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "t.parquet")
    (feed,) = open_feeds(Table(source="t.parquet"), tmp_path)
    malformed = []
    (batch,) = feed.batches(("a.b", "word", "text", "long", "bytes"), malformed.append)
    assert batch.schema.types == [pa.int16(), *[pa.string()] * 4, pa.int64()]
    assert [tuple(row.values()) for row in batch.to_pylist()] == [
        (1, "view", "fine", "a", "x", 1),
        (3, None, None, "c", "z", 3),
        (4, "buy", "漢", None, "漢", 4),
    ]
    assert [(each.line, each.reason) for each in malformed] == [(2, "encoding")]


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(ROWS + b"u3,i3\n" * 800_000)
    (feed,) = open_feeds(Table(source="t.csv"), tmp_path)
    batches = feed.batches(feed.columns, print, rows=100_000)
    next(batches)
    path.write_bytes(ROWS + b"u3,i3\n" * 800_001)
    with pytest.raises(DataInvalidError, match="changed while it was read"):
        list(batches)
    path.unlink()
    with pytest.raises(DataMissingError, match=r"t.csv cannot be opened: No such file"):
        rows(feed)


def test_a_file_that_is_replaced_before_it_is_read_is_told(folder):
    path = folder / "t.csv"
    path.write_bytes(ROWS)
    (feed,) = open_feeds(Table(source="t.csv"), folder)
    path.write_bytes(b"item_id,user_id\ni1,u1\ni2,u2\n")  # by the old header ids would be mixed up
    os.utime(path, ns=(0, 0))  # the clock of a file system may stand still for some milliseconds
    with pytest.raises(DataInvalidError, match=r"t.csv changed while it was read"):
        rows(feed)
    with pytest.raises(DataInvalidError, match=r"t.csv changed while it was read"):
        assert feed.fingerprint


def test_an_unknown_column_is_told_without_those_there_are(folder):
    feed, *_ = open_feeds(Table(source="events"), folder)
    with pytest.raises(DataInvalidError, match=r"events/a.csv has no column 'price'") as caught:
        rows(feed, ("user_id", "price"))
    assert "item_id" not in caught.value.hint, "without a header it could be somebody's id"


def test_a_table_in_memory_is_a_feed_like_any_other():
    table = pa.table({"user": pa.chunked_array([["a"], ["b", "c"]]), "n": [7, 8, 9]})
    feed = ArrowFeed("memory", table)
    batches = list(feed.batches(("n", "user"), print, rows=2))
    assert [batch.to_pylist() for batch in batches] == [
        [{"n": 7, "user": "a", "_line": 1}, {"n": 8, "user": "b", "_line": 2}],
        [{"n": 9, "user": "c", "_line": 3}],
    ]
    assert feed.fingerprint == ArrowFeed("other", table.combine_chunks()).fingerprint
    assert feed.fingerprint != ArrowFeed("memory", table.slice(1)).fingerprint
    assert [batch.num_rows for batch in feed.batches((), print)] == [3]
    with pytest.raises(DataInvalidError, match="columns 1, 2 of 2"):
        ArrowFeed("memory", pa.table([[1], [2]], names=["n", "n"]))


def test_a_protocol_without_its_package_names_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(NotInstalledError, match="gs://") as caught:
        names("gs://bucket/t.csv", tmp_path)
    assert caught.value.hint == "pip install gcsfs"
    with pytest.raises(DataInvalidError, match="carrier-pigeon:// cannot be read"):
        names("carrier-pigeon://coop/t.csv", tmp_path)
