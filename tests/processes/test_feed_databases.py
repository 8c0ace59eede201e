"""Real servers are read: right rows and types, nothing written, no secret or row in an error."""

import datetime as dt
import os
import subprocess
import sys
import traceback
from pathlib import Path

import mysql_server
import postgres_server
import pytest

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus_client.contract.model import Table
from isthmus_client.feeds import open_feeds

PASSWORD = postgres_server.PASSWORD
UTC = dt.UTC
NOON = dt.datetime(2026, 3, 1, 12, 30, 1, tzinfo=UTC)

POSTGRES = f"""
CREATE SCHEMA shop;
CREATE TABLE shop."Events" (
    user_id uuid, item_id text, at timestamptz, price numeric(10, 3), amount int, "a.b" jsonb);
INSERT INTO shop."Events" VALUES
    ('00000000-0000-0000-0000-00000000002a', 'i''1 漢', '2026-03-01 13:30:01+01', 3.140, 7, '[1]'),
    (NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE numbers AS SELECT n, 'customer-' || n AS who FROM generate_series(1, 7000) AS n;
CREATE TABLE secret (x int);
CREATE FUNCTION sly() RETURNS bigint LANGUAGE sql AS
    'WITH gone AS (DELETE FROM numbers RETURNING n) SELECT count(*) FROM gone';
CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}';
GRANT USAGE ON SCHEMA shop TO reader;
GRANT ALL ON shop."Events", numbers TO reader;
"""  # noqa: S608 - of a constant
MYSQL = f"""
CREATE DATABASE shop CHARACTER SET utf8mb4;
USE shop;
SET sql_mode = '', time_zone = '+01:00';
CREATE TABLE events (
    user_id binary(4), item_id varchar(20), at timestamp NULL, local datetime,
    price decimal(10, 3), amount int, flags bit(3));
INSERT INTO events VALUES
    (x'00ff2a07', 'i''1 漢', '2026-03-01 13:30:01', '2026-03-01 13:30:01', 3.140, 7, b'101'),
    (NULL, NULL, NULL, '0000-00-00', NULL, NULL, NULL);
CREATE TABLE numbers AS SELECT seq AS n, concat('customer-', seq) AS who FROM seq_1_to_7000;
CREATE TABLE big AS SELECT 18446744073709551615 AS n;
CREATE USER reader@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';
GRANT ALL ON shop.* TO reader@'127.0.0.1';
"""  # noqa: S608 - the same


@pytest.fixture(scope="module")
def postgres():
    programs = postgres_server.postgres_folder()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian's postgresql)")
    with postgres_server.postgres_server(programs) as server:
        server.run(POSTGRES)
        yield server


@pytest.fixture(scope="module")
def mysql():
    programs = mysql_server.mysql_programs()
    if programs is None:
        pytest.skip("MariaDB is not installed (Debian's mariadb-server)")
    with mysql_server.mysql_server(programs) as server:
        server.run(MYSQL)
        yield server


class Database:
    """A server's database, read with a password out of a file."""

    def __init__(self, kind, server, folder):
        self.kind, self.server, self.folder = kind, server, folder
        name = "postgres" if kind == "postgresql" else "shop"
        self.url = f"{kind}://reader@127.0.0.1:{server.port}/{name}"
        self.password(PASSWORD + "\n")

    def password(self, text):
        (self.folder / "password").write_text(text)
        (self.folder / "password").chmod(0o600)

    def feed(self, url=None, **options):
        table = Table(source=url or self.url, credentials=Path("password"), **options)
        (feed,) = open_feeds(table, self.folder)
        return feed

    def read(self, **options):
        feed = self.feed(**options)
        batches = list(feed.batches(feed.columns, lambda each: pytest.fail(str(each))))
        return [row for batch in batches for row in batch.to_pylist()]

    def fault(self, kind, **options):
        """The error, of which neither the text nor the chain may hold a secret or a row."""
        with pytest.raises(kind) as caught:
            self.read(**options)
        told = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__context__)
        assert PASSWORD not in told
        assert "customer-" not in told
        assert caught.value.hint
        return str(caught.value)


@pytest.fixture
def in_postgres(postgres, tmp_path):
    return Database("postgresql", postgres, tmp_path)


@pytest.fixture
def in_mysql(mysql, tmp_path):
    return Database("mysql", mysql, tmp_path)


@pytest.fixture(params=["in_postgres", "in_mysql"])
def database(request):
    return request.getfixturevalue(request.param)


def test_postgres_rows_types_and_names(postgres, tmp_path, monkeypatch):
    monkeypatch.setenv("ISTHMUS_SOURCE_PASSWORD", PASSWORD)
    source = f"postgresql://owner@127.0.0.1:{postgres.port}/postgres"
    (feed,) = open_feeds(Table(source=source, table="shop.Events"), tmp_path)
    (batch,) = feed.batches(("a.b", "user_id", "item_id", "at", "price", "amount"), print)
    assert feed.name == "postgresql/shop.Events"
    assert feed.columns == ("user_id", "item_id", "at", "price", "amount", "a.b")
    assert feed.fingerprint is None
    first, second = batch.to_pylist()
    assert first == {
        "a.b": "[1]",
        "user_id": "00000000-0000-0000-0000-00000000002a",
        "item_id": "i'1 漢",
        "at": NOON,
        "price": "3.140",
        "amount": 7,
        "_line": 1,
    }
    assert set(second.values()) == {None, 2}


def test_mysql_rows_types_and_names(mysql, tmp_path, monkeypatch):
    monkeypatch.setenv("ISTHMUS_SOURCE_PASSWORD", PASSWORD)
    source = f"mysql://reader@127.0.0.1:{mysql.port}/shop"
    (feed,) = open_feeds(Table(source=source, table="events"), tmp_path)
    (batch,) = feed.batches(feed.columns, print)
    first, second = batch.to_pylist()
    assert first == {
        "user_id": "00ff2a07",
        "item_id": "i'1 漢",
        "at": NOON,
        "local": dt.datetime(2026, 3, 1, 13, 30, 1),  # noqa: DTZ001 - of no zone, as stored
        "price": "3.140",
        "amount": 7,
        "flags": "5",
        "_line": 1,
    }
    assert set(second.values()) == {None, 2}
    assert feed.notes == (("zero_dates", "1 dates of zero are taken as missing"),)


def test_many_rows_come_in_order_and_in_batches(database):
    feed = database.feed(table="numbers")
    batches = list(feed.batches(("n",), print, rows=1001))
    assert [batch.num_rows for batch in batches] == [1001] * 6 + [994]
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert [row["n"] for row in rows] == list(range(1, 7001))
    assert [row["_line"] for row in rows] == list(range(1, 7001))
    counted = list(feed.batches((), print))
    assert sum(batch.num_rows for batch in counted) == 7000


def test_a_query_keeps_its_order_and_its_percent_signs(database):
    query = (
        "SELECT n AS m FROM numbers WHERE who LIKE 'customer-1%' AND n < 20 ORDER BY n DESC -- x\n;"
    )
    assert [row["m"] for row in database.read(query=query)] == [*range(19, 9, -1), 1]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM numbers",
        "SELECT 1; DELETE FROM numbers",
        "WITH gone AS (DELETE FROM numbers RETURNING n) SELECT n FROM gone",
        "SELECT n FROM numbers FOR UPDATE",
        "SELECT n INTO copied FROM numbers",
    ],
)
def test_nothing_is_written(database, query):
    database.fault(DataInvalidError, query=query)
    assert database.server.run(_count(database)) == "7000"


def _count(database):
    table = "numbers" if database.kind == "postgresql" else "shop.numbers"
    return f"SELECT count(*) FROM {table}"  # noqa: S608 - of two constants


def test_the_server_itself_refuses_a_function_that_writes(in_postgres):
    """No look at the query can find this out; the transaction can."""
    said = in_postgres.fault(DataInvalidError, query="SELECT sly() AS n")
    assert "tried to write" in said
    assert in_postgres.server.run(_count(in_postgres)) == "7000"


def test_a_wrong_password_is_told_without_it(database):
    wrong = "sesame/" + PASSWORD
    database.password(wrong)
    said = database.fault(DataMissingError, table="numbers")
    assert "refuses this user or password" in said
    assert wrong not in said


def test_nothing_that_prints_itself_holds_the_password(database):
    feed = database.feed(table="numbers")
    inside = [vars(feed), vars(feed._reader)]
    assert PASSWORD not in repr(inside)
    assert PASSWORD in str(feed._reader._password.value)


def test_what_cannot_be_reached(database):
    port = str(database.server.port)
    for url, why in (
        (database.url.replace(port, "1"), "nothing listens"),
        (database.url.replace("127.0.0.1", "no-such-host.invalid"), "no host of this name"),
        (database.url.rpartition("/")[0] + "/nowhere", "cannot be reached"),
    ):
        assert why in database.fault(DataMissingError, url=url, table="numbers")


def test_what_is_not_there(database):
    assert "no such table" in database.fault(DataInvalidError, table="absent")
    query = "SELECT absent FROM numbers"
    assert "no such column" in database.fault(DataInvalidError, query=query)
    assert "not well formed" in database.fault(DataInvalidError, query="SELECT FROM WHERE")
    feed = database.feed(table="numbers")
    with pytest.raises(DataInvalidError, match="no column 'm'"):
        list(feed.batches(("m",), print))


def test_a_value_that_the_server_cannot_convert_is_not_repeated(in_postgres):
    said = in_postgres.fault(DataInvalidError, query="SELECT who::int AS n FROM numbers")
    assert "could not go on" in said
    assert "may not read it" in in_postgres.fault(DataInvalidError, table="secret")


def test_a_server_that_takes_too_long_is_told(in_postgres):
    in_postgres.server.run("ALTER ROLE reader SET statement_timeout = '150ms'")
    try:
        slow = "SELECT n, pg_sleep(1)::text AS s FROM numbers"
        said = in_postgres.fault(DataInvalidError, query=slow)
    finally:
        in_postgres.server.run("ALTER ROLE reader RESET statement_timeout")
    assert "took too long" in said


def test_numbers_beyond_ours_are_refused(in_mysql):
    assert "column 'n'" in in_mysql.fault(DataInvalidError, table="big")
    rows = in_mysql.read(query="SELECT CAST(n AS CHAR) AS n FROM big")
    assert rows[0]["n"] == "18446744073709551615"


def test_a_duckdb_file_that_another_process_writes_is_told(tmp_path):
    program = (
        "import duckdb, sys; c = duckdb.connect('shop.duckdb');"
        "c.execute('CREATE TABLE t AS SELECT 42 AS n'); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout.readline() == "open\n"
        table = Table(source="shop.duckdb", table="t")
        with pytest.raises(DataMissingError, match="open for writing elsewhere"):
            open_feeds(table, tmp_path)
        writer.communicate("")
    (feed,) = open_feeds(table, tmp_path)
    (batch,) = feed.batches(("n",), print)
    assert batch.to_pylist() == [{"n": 42, "_line": 1}]
