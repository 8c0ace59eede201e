"""Databases as feeds, as far as no server is needed: SQL, passwords, errors, a DuckDB file."""

import datetime as dt
import subprocess
import sys

import duckdb
import pytest

from isthmus.errors import DataInvalidError, DataMissingError, NotInstalledError
from isthmus_client.contract.model import Table
from isthmus_client.feeds import open_feeds
from isthmus_client.feeds.credentials import Password, find_password
from isthmus_client.feeds.database_faults import failed, unreachable
from isthmus_client.feeds.sql import identifier, one_select, quoted


@pytest.fixture
def folder(tmp_path):
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("""
            CREATE TYPE word AS ENUM ('view', 'buy');
            CREATE TABLE "Our Events" AS SELECT
                ('00000000-0000-0000-0000-0000000000' || n)::UUID AS user_id, 'i' || n AS item_id,
                TIMESTAMPTZ '2026-03-01 12:30:01+00' + INTERVAL 1 DAY * (n - 10) AS at,
                'buy'::word AS behaviour, (n / 8)::DECIMAL(10, 3) AS price, [n] AS list,
            FROM range(10, 17) AS t(n)""")
    return tmp_path


def read(folder, **options):
    (feed,) = open_feeds(Table(**options), folder)
    return list(feed.batches(feed.columns, print))


def fault(kind, folder, **options):
    with pytest.raises(kind) as caught:
        read(folder, **options)
    assert caught.value.hint
    assert caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "shop.duckdb",
        "duckdb:///shop.duckdb",
        "DuckDB:///shop.duckdb",
        "{folder}/shop.duckdb",
        "duckdb:///{folder}/shop.duckdb",
    ],
)
def test_a_duckdb_file_is_read(folder, source):
    table = Table(source=source.format(folder=folder), table="Our Events")
    (feed,) = open_feeds(table, folder)
    assert feed.name == "shop.duckdb/Our Events"
    assert feed.fingerprint is None
    batches = list(feed.batches(feed.columns, print, rows=3))
    assert [batch.num_rows for batch in batches] == [3, 3, 1]
    first = batches[0].to_pylist()[0]
    assert first["at"] == dt.datetime(2026, 3, 1, 12, 30, 1, tzinfo=dt.UTC)
    assert {name: str(value) for name, value in first.items() if name != "at"} == {
        "user_id": "00000000-0000-0000-0000-000000000010",
        "item_id": "i10",
        "behaviour": "buy",
        "price": "1.250",
        "list": "[10]",
        "_line": "1",
    }


def test_a_query_of_a_duckdb_file_reaches_nothing_else(folder):
    read = 'SELECT item_id FROM "Our Events" ORDER BY item_id DESC'
    (feed,) = open_feeds(Table(source="shop.duckdb", query=read), folder)
    (batch,) = feed.batches(("item_id",), print)
    assert batch["item_id"].to_pylist() == [f"i{n}" for n in range(16, 9, -1)]
    (folder / "other.csv").write_text("a\n1\n")
    for relation in (f"'{folder}/other.csv'", f"read_text('{folder}/*')"):
        query = f"SELECT * FROM {relation}"  # noqa: S608 - of our own
        assert fault(DataInvalidError, folder, source="shop.duckdb", query=query)


def test_what_a_duckdb_file_lacks_is_told_without_its_rows(folder):
    source = "shop.duckdb"
    assert "absent" in fault(DataInvalidError, folder, source=source, table="absent")
    query = 'SELECT absent FROM "Our Events"'
    assert '"absent"' in fault(DataInvalidError, folder, source=source, query=query)
    query = 'SELECT item_id::INT AS n FROM "Our Events"'
    said = fault(DataInvalidError, folder, source=source, query=query)
    assert said == "shop.duckdb cannot be read any further: ConversionException"
    assert "no DuckDB file" in fault(DataMissingError, folder, source="no.duckdb", table="t")
    (folder / "bad.duckdb").write_bytes(b"no database" * 1000)
    assert "no DuckDB file" in fault(DataInvalidError, folder, source="bad.duckdb", table="t")


@pytest.mark.parametrize(
    "query",
    ["SELECT 1", " select 1 ; ", "/* a */ (SELECT 1) -- b", "WITH a AS (SELECT 1) SELECT * FROM a"],
)
def test_one_select_is_let_through(query):
    assert one_select(query) in query


@pytest.mark.parametrize(
    "query",
    [
        "", "DROP TABLE t", "selection", "-- SELECT\nDELETE FROM t", "SELECT 1; DROP TABLE t",
        "SELECT 1 INTO OUTFILE '/tmp/x'", "/* SELECT */ UPDATE t SET a = 1", "EXPLAIN SELECT 1",
    ],
)  # fmt: skip
def test_what_is_not_one_select_is_refused(query):
    with pytest.raises(DataInvalidError, match="a query must"):
        one_select(query)


def test_names_are_identifiers():
    assert quoted("shop.events", '"') == '"shop"."events"'
    assert quoted('x"; DROP TABLE y', '"') == '"x""; DROP TABLE y"'
    assert quoted("a`b", "`") == "`a``b`"
    assert identifier("a.b", '"') == '"a.b"'


def test_a_password_comes_from_a_file_of_its_owner_alone(tmp_path):
    file = tmp_path / "password"
    file.write_text("sesame open \nignored")
    file.chmod(0o640)
    with pytest.raises(DataInvalidError, match="password is open to others") as caught:
        find_password(file)
    assert caught.value.hint == "chmod 600 password"
    file.chmod(0o600)
    found = find_password(file, {"ISTHMUS_SOURCE_PASSWORD": "other"})
    assert found.value == "sesame open "
    assert "sesame" not in f"{found} {found!r}"
    for content in (b"", b"\nsecond", b"\xff\xfe"):
        file.write_bytes(content)
        with pytest.raises(DataInvalidError) as caught:
            find_password(file)
        assert caught.value.__cause__ is None
    with pytest.raises(DataMissingError, match="absent cannot be read: No such file"):
        find_password(tmp_path / "absent")


def test_without_a_file_the_environment_says():
    assert find_password(None, {"ISTHMUS_SOURCE_PASSWORD": "sesame"}) == Password("sesame")
    assert find_password(None, {}) == Password(None)


def test_a_drivers_text_is_not_repeated():
    text = "could not connect to postgresql://me:sesame@db/shop: "
    for reason in ("Connection refused", "timeout expired", "SSL error", "who knows"):
        error = unreachable("postgresql at db:5432", text + reason)
        assert "sesame" not in str(error) + error.hint
    assert "customer-1" not in str(failed("place", "22P02", 'invalid input: "customer-1"'))
    assert '"absent"' in str(failed("place", "42703", 'column "absent" does not exist'))
    assert isinstance(failed("place", "08006"), DataMissingError)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql", "mariadb", "postgresql+psycopg"])
def test_without_drivers_their_extra_is_named(tmp_path, monkeypatch, scheme):
    monkeypatch.setitem(sys.modules, "sqlalchemy.engine", None)
    said = fault_of_driver(tmp_path, source=f"{scheme}://me@db/shop", table="t")
    assert said == 'pip install "isthmus[sources]"'


@pytest.mark.parametrize(
    ("scheme", "driver"), [("postgresql", "adbc_driver_manager"), ("mysql", "pymysql")]
)
def test_without_one_driver_the_extra_is_named(tmp_path, monkeypatch, scheme, driver):
    monkeypatch.setitem(sys.modules, driver, None)
    assert fault_of_driver(tmp_path, source=f"{scheme}://me@db/shop", table="t")


def test_no_driver_is_loaded_where_none_is_needed(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    program = (
        "import sys, pathlib; from isthmus_client.feeds import open_feeds;"
        "from isthmus_client.contract.model import Table;"
        "open_feeds(Table(source='t.csv'), pathlib.Path());"
        "print(*({'adbc_driver_manager', 'fsspec', 'pymysql', 'sqlalchemy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"


def fault_of_driver(folder, **options):
    with pytest.raises(NotInstalledError) as caught:
        open_feeds(Table(**options), folder)
    return caught.value.hint


@pytest.mark.parametrize("parameter", ["no_such=1", "charset=no-such", "read_timeout=-7"])
def test_a_parameter_that_the_driver_does_not_know_is_told(tmp_path, parameter):
    pytest.importorskip("pymysql")
    source = f"mysql://me@127.0.0.1:1/shop?{parameter}"
    found = fault(DataInvalidError, tmp_path, source=source, table="events")
    assert found.startswith("mysql at 127.0.0.1:1 cannot be connected to with the parameters of")


def test_databases_that_are_not_read_here_are_told(tmp_path):
    assert "oracle://" in fault(
        DataInvalidError, tmp_path, source="oracle://me@db/shop", format="sql", table="t"
    )
    assert "well formed" in fault(
        DataInvalidError, tmp_path, source="mysql://me@db:port/shop", table="t"
    )
