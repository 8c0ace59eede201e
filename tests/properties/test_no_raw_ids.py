"""No user id as the platform writes it reaches the disk, a report, a log, a screen or an error."""

import contextlib
import io
import json
import logging
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from raw_ids import betrayed, spoken, traces

from isthmus.cli import command
from isthmus_client.home import Home
from isthmus_client.new_platform import create_platform
from isthmus_client.store import Store
from isthmus_client.vault import load_keys

CORE = st.text("bcdfghjkmnpqrstvwxz", min_size=12, max_size=14)
ODD = [
    "{}",
    "{}-ä-雪-🦊",
    'say "{}"',
    "{},{}",
    " {} ",
    "{}@example.org",
    "it's {};",
    "=1+{}",
    "{}\t.",
]
IDS = st.one_of(
    st.tuples(st.sampled_from(ODD), CORE).map(lambda made: made[0].replace("{}", made[1])),
    st.integers(10**14, 10**15).map(str),
    st.integers(10**14, 10**15).map("000{}".format),
    st.integers(10**13, 10**14).map("{}.5".format),
    CORE.map(lambda core: core * 60),
)
PEOPLE = st.lists(IDS, min_size=3, max_size=5, unique=True)
BROKEN_ROWS = frozenset(
    [
        "bad time",
        "unknown item",
        "swapped columns",
        "negative price",
        "unknown word",
        "duplicate",
        "future",
        "ragged",
        "no text",
        "nul",
        "half a line",
        "text in a number's place",
    ]
)
FAULTS = st.frozensets(st.sampled_from(sorted(BROKEN_ROWS)))
SOME = ["zxcvbnmqwrtp", 'say "kjhgfdsqwrt"', " wqrtpsdfghjk ", "000123456789012345"]
ITEMS = ["lamp", "chair", "rug"]
NAMES = ["user_id", "item_id", "timestamp", "behaviour", "price", "order_id"]
CONTRACT = """
[platform]
name = "own"
[events]
source = "events.{kind}"
[items]
source = "items.csv"
[social_edges]
source = "edges.csv"
"""


def rows_of(people, faults):
    """Good rows of everybody, then a row of each fault; the id stands in the order's id too."""
    rows = [
        [who, ITEMS[n % 3], f"2024-0{n + 1}-1{k} 10:00:00", "purchase", "9.5", f"order {who}"]
        for k, who in enumerate(people)
        for n in range(4)
    ]
    who = people[0]
    odd = {
        "bad time": [who, "lamp", f"soon, {who}", "purchase", "9.5", ""],
        "unknown item": [who, f"thing of {who}", "2024-03-01", "purchase", "9.5", ""],
        "swapped columns": ["lamp", who, "2024-03-02", "purchase", "9.5", ""],
        "negative price": [who, "lamp", "2024-03-03", "purchase", "-9.5", who],
        "unknown word": [who, "lamp", "2024-03-04", f"bought by {who}", "9.5", ""],
        "duplicate": rows[0],
        "text in a number's place": [who, "lamp", "2024-03-05", "purchase", who, who],
        "future": [who, "lamp", "2099-03-04", "purchase", "9.5", ""],
    }
    return rows + [row for fault, row in odd.items() if fault in faults]


def quoted(value):
    return '"' + value.replace('"', '""') + '"'


def written(folder, kind, people, faults):
    """The platform's tables."""
    rows = rows_of(people, faults)
    path = folder / f"events.{kind}"
    if kind == "parquet":
        columns = {name: [row[n] for row in rows] for n, name in enumerate(NAMES)}
        pq.write_table(pa.table(columns), path)
        return
    who, comma = people[0], ";" if "semicolons" in faults else ","
    lines = [comma.join(NAMES), *(comma.join(map(quoted, row)) for row in rows)]
    if kind == "jsonl":
        lines = ["", *(json.dumps(dict(zip(NAMES, row, strict=True))) for row in rows)]
    lines = lines["no header" in faults :]
    lines += [comma.join([quoted(who)] * 9)] * ("ragged" in faults)
    lines += ['{"user_id": ' + json.dumps(who) + ', "item_id": '] * ("half a line" in faults)
    if "utf-16" in faults:
        path.write_text("\n".join([*lines, ""]), "utf-16")
        return
    data = "\n".join([*lines, ""]).encode()
    data += quoted(who).encode() + b',lamp,\xff\xfe,"\n' * ("no text" in faults)
    data += quoted(who).encode() + b",la\0mp,2024-01-01,view,1,\n" * ("nul" in faults)
    path.write_bytes(data)


def made(folder, kind):
    """A platform's home."""
    home = Home(folder / "platform.toml")
    create_platform(home, name="own")
    home.contract.write_text(CONTRACT.format(kind=kind))
    items = "\n".join(["item_id,title,price", *(f"{i},A fine {i},9.5" for i in ITEMS), ""])
    (folder / "items.csv").write_text(items)
    return home


class Witness(logging.Handler):
    """Sees and hears all that a command says: on screen, in logs, in what it raises."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.heard = {}

    def emit(self, record):
        self.note("log", f"{record.getMessage()} {record.args!r}".encode())

    def note(self, what, data):
        self.heard[f"{len(self.heard)} {what}"] = data

    def watch(self, *words, typed=b""):
        """A command, called as the console script calls it; its exception is kept."""
        out, err = io.StringIO(), io.StringIO()
        keyboard = io.TextIOWrapper(io.BytesIO(typed))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            before, sys.stdin = sys.stdin, keyboard
            try:
                command().main(list(words), prog_name="isthmus", standalone_mode=False)
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not tell
                self.note(f"{type(error).__name__} of {words[1]}", spoken(error))
            finally:
                sys.stdin = before
        self.note(f"{words[1]}'s screen", (out.getvalue() + err.getvalue()).encode())


def used(folder, kind, people, faults, monkeypatch):
    """A platform's life with such tables: {place: bytes} of all that it left."""
    witness, named = Witness(), ("--platform", str(folder / "platform.toml"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(witness)
    root.setLevel(logging.DEBUG)
    try:
        home = made(folder, kind)
        edges = "\n".join(
            ["user_id,other_id", *(f"{quoted(p)},{quoted(people[0])}" for p in people)]
        )
        (folder / "edges.csv").write_text(edges + "\n")
        monkeypatch.setenv("COLUMNS", "1000")  # nothing is broken over two lines
        monkeypatch.setenv("ISTHMUS_LEDGER", str(folder / "none.sqlite"))
        written(folder, kind, people[:-1], faults)
        witness.watch("client", "check", *named)
        witness.watch("client", "ingest", "--accept-rejected", *named)
        written(folder, kind, people, faults)
        witness.watch("client", "check", "--json", *named)
        witness.watch("client", "ingest", *named)
        witness.watch("client", "ingest", "--accept-rejected", "--json", *named)
        ids = f"{people[0]}\n{people[1]}\n".encode()
        witness.watch("client", "forget", "-", *named, typed=ids)
        witness.watch("client", "forget", "-", "--yes", "--must-exist", *named, typed=ids + b"x")
        witness.watch("client", "forget", "-", "--yes", *named, typed=ids + b"\xff" + ids)
        witness.watch("client", "forget", people[0], people[1], "--yes", *named)
        receipt = next(home.receipts.glob("*.json"))
        for who in people[:2]:  # it is one's, and not the other's
            witness.watch("client", "forget", who, "--verify", str(receipt), *named)
        witness.watch("client", "ingest", "--rebuild", "--accept-rejected", *named)
    finally:
        root.removeHandler(witness)
        root.setLevel(level)
    return {**witness.heard, **left(home, kind)}


def left(home, kind):
    """{place: bytes} of every file but the tables, and of the store's files once opened."""
    tables = {"items.csv", f"events.{kind}", "edges.csv", "platform.toml"}
    files = (path for path in home.folder.rglob("*") if path.is_file())
    found = {
        str(path.relative_to(home.folder)): str(path).encode() + path.read_bytes()
        for path in files
        if path.name not in tables
    }
    with Store.open(home.store, load_keys(home.keys), writable=False) as store:
        for name in store.manifest.files():
            found[f"opened {name}"] = store.segments.read(name)
            with contextlib.suppress(pa.ArrowInvalid):
                found[f"rows of {name}"] = repr(
                    store.segments.read_table(name).to_pylist()
                ).encode()
        found["the manifest"] = store.manifest.model_dump_json().encode()
    return found


def witnessed(kind, people, faults, monkeypatch):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "home")
        folder.mkdir()
        found = used(folder, kind, people, faults, monkeypatch)
    assert any(name.startswith("receipts/") for name in found)
    assert betrayed([who.strip() for who in people], found) == []
    return found


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(people=PEOPLE, faults=FAULTS)
@example(people=SOME, faults=BROKEN_ROWS)
def test_no_raw_id_anywhere(kind, people, faults, monkeypatch):
    found = witnessed(kind, people, faults, monkeypatch)
    assert any(name.startswith("opened 2024") for name in found)


@pytest.mark.parametrize("fault", ["no header", "semicolons", "utf-16"])
def test_no_raw_id_of_a_file_that_is_broken_as_a_whole(fault, monkeypatch):
    witnessed("csv", SOME, {fault}, monkeypatch)


@given(IDS)
def test_every_trace_would_be_found(user_id):
    """The search itself: an id in any of its forms is found, within other bytes too."""
    for how, trace in traces(user_id).items():
        assert ("there", how, 0) in betrayed([user_id], {"there": b"before" + trace + b"after"})
    assert betrayed([user_id], {"there": b"nothing of it", "nor": b""}) == []


def undecodable():
    try:
        b"secret-\xff".decode()
    except UnicodeDecodeError:
        raise KeyError("nothing to see") from None


def test_what_an_exception_carries_is_heard():
    with pytest.raises(KeyError) as caught:
        undecodable()
    assert b"secret-" in spoken(caught.value)
