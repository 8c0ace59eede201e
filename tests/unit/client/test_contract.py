"""A contract is read whole, or every mistake in it is told with its line."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from isthmus.errors import ContractError, DataMissingError
from isthmus_client.contract import Contract, EventsTable, ItemsTable, load_contract

SMALL = '[events]\nsource = "events.csv"\n[items]\nsource = "items.csv"\n'


def load(folder: Path, text: str) -> Contract:
    path = folder / "platform.toml"
    path.write_text(text)
    return load_contract(path)


def said(folder: Path, text: str) -> list[str]:
    """What is said of the mistakes, without the head line."""
    with pytest.raises(ContractError) as refused:
        load(folder, text)
    head, *lines = str(refused.value).split("\n")
    assert head.startswith(str(folder / "platform.toml"))
    assert refused.value.hint
    return [line.strip() for line in lines]


def said_of(folder: Path, section: str, line: str) -> str:
    """What is said of one wrong line in a small contract; it must stand where the line is."""
    lines = SMALL.splitlines() if section in {"events", "items"} else [f"[{section}]", SMALL]
    at = lines.index(f"[{section}]") + 1
    lines.insert(at, line)
    (only,) = said(folder, "\n".join(lines))
    assert only.startswith(f"line {at + 1}: {section}."), only
    return only.partition(": ")[2].removeprefix(f"{section}.")


def test_the_least_that_a_contract_says(tmp_path):
    contract = load(tmp_path, SMALL)
    assert contract.events.source == "events.csv"
    assert contract.items.theirs("item_id") == "item_id"
    assert contract.platform.time_zone == "UTC"
    assert contract.service_texts is None
    assert contract.folder == tmp_path


def test_everything_that_a_contract_can_say(tmp_path):
    (tmp_path / "password").write_text("x")
    (tmp_path / "password").chmod(0o600)
    text = """
    [platform]
    name = "shop-7"
    time_zone = "Asia/Shanghai"
    currency = "CNY"
    surfaces = ["app", "mini_program"]
    tasks = ["next_item", "churn"]
    [history]
    retention_days = 730
    max_events = 100
    validation = 0.7
    test = 0.85
    [limits]
    rejected_share = 0.01
    events_a_day = 500
    max_price = 5000
    [events]
    source = "postgresql://reader@db.example:5432/shop"
    table = "public.events"
    credentials = "password"
    time_format = "%d.%m.%Y %H:%M:%S"
    default_behaviour = "view"
    duplicates = "keep"
    columns = { user_id = "kunde", timestamp = "zeit" }
    labels = { churned = "churned_at" }
    [events.behaviours]
    Kauf = "purchase"
    "auf Merkzettel" = "favourite"
    [items]
    source = "items/*.csv"
    delimiter = ";"
    encoding = "cp1252"
    [service_texts]
    source = "texts.jsonl"
    [impressions]
    source = "s3://bucket/impressions/"
    format = "parquet"
    [redemptions]
    source = "redemptions.parquet"
    [social_edges]
    source = "duckdb:///shop.duckdb"
    query = "SELECT a AS user_id, b AS other_id FROM friends"
    [images]
    source = "images.csv"
    """
    contract = load(tmp_path, text)
    assert contract.platform.surfaces == ("app", "mini_program")
    assert contract.events.behaviours == {"Kauf": "purchase", "auf Merkzettel": "favourite"}
    assert contract.events.theirs("timestamp") == "zeit"
    assert contract.events.credentials == Path("password")
    assert contract.events.is_database
    assert contract.social_edges is not None
    assert contract.social_edges.is_database
    assert not contract.items.is_database
    assert contract.limits.max_price == 5000.0
    assert "folder" not in contract.model_dump()


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines(tmp_path):
    found = said(
        tmp_path,
        '[platform]\nname = "my shop"\n\n[histroy]\ntest = 0.5\n[limits]\n'
        'rejected_share = 1.5\n[items]\nsource = ""\n',
    )
    assert [line.partition(": ")[0] for line in found] == [
        "events",  # missing in the whole file
        "line 2",
        "line 4",
        "line 7",
        "line 9",
    ]
    assert found[0] == "events: is missing"
    assert found[2] == "line 4: histroy: is no key of the file; did you mean 'history'?"


def test_a_missing_source_is_told_at_its_table(tmp_path):
    assert said(tmp_path, '[items]\nsource = "i"\n\n[events]\ntimed = false\n') == [
        "line 4: events.source: is missing"
    ]


@pytest.mark.parametrize(
    ("section", "line", "expected"),
    [
        ("platform", 'nmae = "x"', "nmae: is no key of [platform]; did you mean 'name'?"),
        (
            "platform",
            "max_events = 9",
            "max_events: is no key of [platform]; it belongs in [history]",
        ),
        ("platform", 'time_zone = "Berlin"', "did you mean"),
        ("platform", 'time_zone = "Europe/berlin"', "did you mean 'Europe/Berlin'?"),
        ("platform", 'time_zone = "../etc/passwd"', "is no IANA time zone"),
        ("platform", 'time_zone = "localtime"', "is no IANA time zone"),
        ("platform", 'time_zone = "right/Europe/Berlin"', "is no IANA time zone"),
        ("platform", 'currency = "euro"', "'euro' is no ISO 4217 code, such as EUR"),
        ("platform", 'surfaces = ["moble"]', "did you mean 'mobile'?"),
        ("platform", 'surfaces = "app"', "Input should be a valid array"),
        ("history", "max_events = -1", "greater than or equal to 0 (given: -1)"),
        ("platform", 'tasks = ["chrun"]', "did you mean 'churn'?"),
        ("history", "test = 0.8", "test: 0.8 is not after validation, which starts at 0.8"),
        ("limits", "max_price = inf", "finite number"),
        ("limits", "max_price = nan", "finite number"),
        ("limits", "rejected_share = 1", "less than 1 (given: 1)"),
        ("limits", 'events_a_day = "9"', "valid integer (given: '9')"),
        ("events", 'timed = "no"', "valid boolean (given: 'no')"),
        ("events", "timed = 2024-01-01", "valid boolean"),
        ("events", 'format = "cvs"', "did you mean 'csv'?"),
        ("events", 'delimiter = ";;"', "at most 1 character"),
        ("events", 'encoding = "uft8"', "'uft8' is no encoding"),
        ("events", 'encoding = "base64"', "'base64' is no encoding"),
        ("events", 'encoding = "punycode"', "'punycode' is no encoding"),
        ("events", 'encoding = "unicode_escape"', "'unicode_escape' is no encoding"),
        ("events", 'time_format = "sec"', "is none of auto, s, ms, us, ns"),
        ("events", 'time_format = "%Y-%m"', "'%Y-%m' does not give year, month and day"),
        ("events", 'time_format = "%H:%M"', "does not give year, month and day"),
        ("events", 'time_format = "%Y-%m-%d %Q"', "a directive that strptime does not know"),
        ("events", 'default_behaviour = "buy"', "'buy' is none of view, click"),
        ("events", 'behaviours = { buy = "purchse" }', "behaviours.buy: 'purchse' is none of"),
        ("events", 'behaviours = { purchase = "buy" }', "behaviours.purchase: 'buy' is none of"),
        ("events", 'behaviours = { " pv" = "view" }', 'behaviours." pv": has spaces about it'),
        (
            "events",
            'behaviours = { "" = "view" }',
            'behaviours."": is no word: rows whose behaviour is empty',
        ),
        (
            "events",
            'behaviours = { PV = "view", pv = "click" }',
            "behaviours.pv: means click, but 'PV' means view",
        ),
        (
            "events",
            'columns = { itm_id = "x" }',
            "columns.itm_id: is none of our columns user_id, item_id, timestamp",
        ),
        (
            "events",
            'columns = { user_id = "id", item_id = "id" }',
            "columns.item_id: names 'id', which is user_id already",
        ),
        (
            "events",
            'columns = { user_id = "item_id" }',
            "columns.user_id: names 'item_id', which is item_id already",
        ),
        ("events", 'columns = { user_id = "" }', "columns.user_id: names no column"),
        ("events", "columns = { user_id = 7 }", "columns.user_id: Input should be a valid string"),
        ("events", 'table = "t"', "table: is for a database, and the source is none"),
        ("items", 'query = "SELECT 1"', "query: is for a database, and the source is none"),
        ("items", 'credentials = "no-such-file"', "credentials: names a file that is not there"),
        ("items", "timed = true", "timed: is no key of [items]; it belongs in [events]"),
    ],
)
def test_one_mistake_is_told_with_its_line(tmp_path, section, line, expected):
    assert expected in said_of(tmp_path, section, line)


@pytest.mark.parametrize("given", ["", 'table = "t"\nquery = "SELECT 1"'])
def test_a_database_needs_a_table_or_a_query(tmp_path, given):
    text = f'[items]\nsource = "i"\n[events]\nsource = "mysql://reader@db/shop"\n{given}'
    (only,) = said(tmp_path, text)
    assert "either a table or a query" in only


@pytest.mark.parametrize(
    ("source", "table_format", "database"),
    [
        ("postgresql://db/shop", "auto", True),
        ("postgres://db/shop", "auto", True),
        ("mysql+pymysql://db/shop", "auto", True),
        ("duckdb:///shop.duckdb", "auto", True),
        ("data/shop.duckdb", "auto", True),
        ("shop.db", "duckdb", True),
        ("s3://bucket/events.parquet", "auto", False),
        ("mysql.csv", "auto", False),
    ],
)
def test_what_a_database_is(source, table_format, database):
    table = "t" if database else ""
    assert ItemsTable(source=source, format=table_format, table=table).is_database is database


HUNTER = "hunter2/@7"


@pytest.mark.parametrize(
    "line",
    [
        f'source = "postgresql://me:{HUNTER}@db/shop"',
        f'source = "mysql://me:{HUNTER}@db/shop?ssl=1"',
        f'source = "postgresql://me@db/shop?password={HUNTER}"',
        f'source = "postgresql://me@db/shop?sslmode=require&sslpassword={HUNTER}"',
        f'source = "https://example.org/events.csv?X-Amz-Signature={HUNTER}"',
        f'source = "https://example.org/events.csv?sv=1&sig={HUNTER}"',
        f'source = " postgresql://me:{HUNTER}@db/shop"',
        f'source = "simplecache::s3://me:{HUNTER}@bucket/events.csv"',
        f'source = "host=db password={HUNTER}"',
        f'source = "/home/me/s3:/me:{HUNTER}@bucket/events.csv"',
        f'source = "events.csv"\npassword = "{HUNTER}"',
        f'source = "events.csv"\ncredentials = "{HUNTER}"',
        f'source = 5\nquery = ["{HUNTER}"]',
    ],
)
def test_a_password_is_refused_and_never_repeated(tmp_path, line):
    path = tmp_path / "platform.toml"
    path.write_text(f'[items]\nsource = "i"\n[events]\n{line}\n')
    with pytest.raises(ContractError) as refused:
        load_contract(path)
    error: BaseException | None = refused.value
    while error is not None:
        assert HUNTER not in f"{error!r}{error}{getattr(error, 'hint', '')}"
        error = error.__cause__ or error.__context__


def test_a_password_in_a_contract_made_in_memory_is_not_repeated_either():
    with pytest.raises(ValidationError) as refused:
        ItemsTable(source=f"postgresql://me:{HUNTER}@db/shop", table="t")
    assert HUNTER not in str(refused.value)


@pytest.mark.parametrize(
    "source",
    [
        "postgresql://reader@db.example:5432/shop",
        "s3://bucket/a:b@c/events.parquet",
        "C:/data/me@home/events.csv",
        "https://example.org:8443/events.csv?day=1",
        "data/token=7/events.parquet",
        "https://example.org/events.csv?design=7",
    ],
)
def test_what_is_no_password_passes(source):
    assert EventsTable(source=source, table="t" if "postgres" in source else "").source == source


def test_credentials_that_others_can_read_are_refused(tmp_path):
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0o640)
    found = said_of(tmp_path, "events", 'credentials = "secret"')
    assert "open to others (mode 0640): chmod 600 it" in found
    (tmp_path / "secret").chmod(0o600)
    load(tmp_path, SMALL.replace("[items]", 'credentials = "secret"\n[items]'))
    assert "names no file" in said_of(tmp_path, "events", f'credentials = "{tmp_path}"')


def test_no_age_is_kept_to_without_times(tmp_path):
    text = SMALL.replace("[items]", "timed = false\n[items]")
    (only,) = said(tmp_path, text + "[history]\nretention_days = 30\n")
    assert "history.retention_days must be 0" in only


def test_the_folder_is_no_key(tmp_path):
    assert said(tmp_path, f'folder = "x"\n{SMALL}') == ["line 1: folder: is no key of the file"]


def test_a_list_of_tables_is_no_table(tmp_path):
    assert said(tmp_path, f"{SMALL}[[images]]\n") == ["line 5: images: must be a table, [images]"]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[events]\nsource = events.csv\n", "line 2, column 10"),
        ("[events\n", "line 1, column 8"),
        ('[events]\nsource = """', "line 2, its end"),
        ("[events]\n[events]\n", "line 2, column 8"),
    ],
)
def test_what_is_no_toml_is_told_with_line_and_column(tmp_path, text, where):
    (only,) = said(tmp_path, text)
    assert only.startswith(f"{where}: ")


@pytest.mark.parametrize(
    ("value", "what"),
    [("[" * 5000 + "]" * 5000, "nested too deeply"), ("9" * 5000, "a number of too many digits")],
)
def test_what_the_parser_gives_up_is_told(tmp_path, value, what):
    (tmp_path / "platform.toml").write_text(f"{SMALL}x = {value}\n")
    with pytest.raises(ContractError, match=what):
        load_contract(tmp_path / "platform.toml")


def test_what_is_no_text_is_told_with_its_line(tmp_path):
    path = tmp_path / "platform.toml"
    path.write_bytes(b"# fine\n# gr\xfc\xdfe\n")
    with pytest.raises(ContractError, match="is not UTF-8 text: line 2"):
        load_contract(path)


def test_a_byte_order_mark_does_no_harm(tmp_path):
    path = tmp_path / "platform.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())
    assert load_contract(path).items.source == "items.csv"


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(DataMissingError, match=r"there is no .*platform\.toml") as refused:
        load_contract(tmp_path / "platform.toml")
    assert "isthmus client init" in refused.value.hint


def test_a_folder_in_its_place_is_told(tmp_path):
    with pytest.raises(DataMissingError, match=os.strerror(21)):
        load_contract(tmp_path)
