"""Files behind URLs, on fsspec's own in-memory store; errors repeat no key that a URL holds."""

import gzip
import io
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus_client.contract.model import Table
from isthmus_client.feeds import open_feeds
from isthmus_client.feeds.remote import find_remote_files, shown


@pytest.fixture
def store():
    system = fsspec.filesystem("memory")
    system.pipe("/shop/events/b.csv", b"user_id,item_id\nu1,i1\n")
    system.pipe("/shop/events/a.csv.gz", gzip.compress(b"user_id,item_id\nu2,i2\nu3,i3\n"))
    system.pipe("/shop/events/_SUCCESS", b"")
    sink = io.BytesIO()
    pq.write_table(pa.table({"n": list(range(5003))}), sink, row_group_size=1000)
    system.pipe("/shop/all.parquet", sink.getvalue())
    yield system
    system.rm("/shop", recursive=True)


def read(source, folder):
    return {
        feed.name: sum(batch.num_rows for batch in feed.batches(feed.columns, print))
        for feed in open_feeds(Table(source=source), folder)
    }


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("source", ["memory://shop/events", "memory://shop/events/*.csv*"])
def test_folders_and_globs(tmp_path, source):
    expected = {"memory:///shop/events/a.csv.gz": 2, "memory:///shop/events/b.csv": 1}
    found = read(source, tmp_path)
    assert found == expected
    assert list(found) == sorted(expected)


@pytest.mark.usefixtures("store")
def test_parquet_is_streamed(tmp_path):
    (feed,) = open_feeds(Table(source="memory://shop/all.parquet"), tmp_path)
    batches = list(feed.batches(("n",), print, rows=997))
    assert [row["n"] for batch in batches for row in batch.to_pylist()] == list(range(5003))
    assert len(feed.fingerprint) == 64


@pytest.mark.usefixtures("store")
def test_nothing_there_is_told(tmp_path):
    with pytest.raises(DataMissingError, match=r"memory://shop/absent\.csv"):
        read("memory://shop/absent.csv", tmp_path)


class _Failing(MemoryFileSystem):
    """A store whose package has errors of its own, with a key in their text."""

    protocol = "failing"
    cachable = False

    @classmethod
    def _strip_protocol(cls, path):
        return path.removeprefix("failing:/")

    def _open(self, *_, **__):
        class File(io.BytesIO):
            def read(self, *_):
                raise RuntimeError("GET https://store/t.csv?signature=sesame")

        return File(b"a,b\n")

    def isdir(self, path):
        if "locked" in path:
            raise RuntimeError("no key sesame")
        return False

    def exists(self, *_, **__):
        return True


def test_errors_of_a_protocols_package_are_rebuilt(tmp_path):
    fsspec.register_implementation("failing", _Failing, clobber=True)
    with pytest.raises(
        DataMissingError, match=r"failing://locked/t.csv .* \(RuntimeError\)"
    ) as caught:
        read("failing://locked/t.csv", tmp_path)
    assert "sesame" not in str(caught.value)
    with pytest.raises(DataInvalidError, match=r"t.csv cannot be read: .*RuntimeError") as caught:
        read("failing://open/t.csv", tmp_path)
    assert "sesame" not in str(caught.value)


def test_a_url_is_shown_without_user_and_query():
    assert shown("https://me:sesame@host:8/a/b.csv?sig=x") == "https://host:8/a/b.csv"
    assert shown("s3://bucket/events/") == "s3://bucket/events/"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_a_web_server_that_cannot_send_parts_is_read(tmp_path):
    pytest.importorskip("aiohttp", reason="http needs aiohttp")
    rows = b"user_id,item_id\n" + b"".join(b"user-%d,i%d\n" % (n, n) for n in range(400_003))
    (tmp_path / "t.csv").write_bytes(rows)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(rows, 1))
    handler = partial(_Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        for name in ("t.csv", "t.csv.gz"):
            assert read(f"{url}/{name}", tmp_path) == {f"{url}/{name}": 400_003}
        with pytest.raises(DataMissingError, match=r"none\.csv cannot be opened"):
            read(f"{url}/none.csv", tmp_path)
        server.shutdown()


def test_a_page_is_one_file_whatever_its_query():
    pytest.importorskip("aiohttp", reason="http needs aiohttp")
    (file,) = find_remote_files("http://127.0.0.1:1/export.csv?part=1")
    assert (file.name, file.suffix) == ("http://127.0.0.1:1/export.csv", ".csv")
    with pytest.raises(DataMissingError, match=r"export\.csv cannot be opened: "):
        file.fingerprint()
