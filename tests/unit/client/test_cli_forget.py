"""`isthmus client forget`: asks, removes, tells what is owed, and checks receipts."""

import io
import json
import os
import pty
import shutil
import sys

import pytest
from command_checks import refuse

from isthmus.cli import run as isthmus
from isthmus.progress import Silent
from isthmus_client.contract import load_contract
from isthmus_client.forgetting import load_receipt
from isthmus_client.home import Home
from isthmus_client.store import Store, ingest
from isthmus_client.vault import load_keys, pseudonym

NOW = 1_790_000_000


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A platform as `init --example` makes it, taken in."""
    folder = tmp_path_factory.mktemp("home") / "shop"
    assert isthmus(["client", "init", str(folder), "--example"]) == 0
    home = Home(folder / "platform.toml")
    with Store.open(home.store, load_keys(home.keys), writable=True) as store:
        ingest(load_contract(home.contract), folder, store, Silent(), now=NOW)
    return folder


@pytest.fixture
def shop(filled, tmp_path, monkeypatch):
    """A copy of it for one test; no ledger but its own."""
    monkeypatch.setenv("ISTHMUS_LEDGER", str(tmp_path / "ledger.sqlite"))
    shutil.copytree(filled, tmp_path / "shop")
    return tmp_path / "shop"


@pytest.fixture
def person(filled):
    """Somebody who is in the example."""
    header, first, *_ = (filled / "events.csv").read_text().splitlines()
    contract = load_contract(filled / "platform.toml")
    return first.split(",")[header.split(",").index(contract.events.theirs("user_id"))]


def forget(shop, *words):
    return ["client", "forget", *words, "--platform", str(shop / "platform.toml")]


def events_in(shop):
    with Store.open(shop / "store", load_keys(shop / "keys"), writable=False) as store:
        return store.manifest.events


def receipts(shop):
    return sorted((shop / "receipts").iterdir())


@pytest.fixture
def terminal(monkeypatch):
    """Somebody sits at it; what is written to the descriptor is what they type."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r") as keyboard:
        monkeypatch.setattr(sys, "stdin", keyboard)
        yield ours
    os.close(ours)


def piped(monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_a_person_goes_and_the_command_says_so(shop, person, capsys):
    before = events_in(shop)
    assert isthmus(forget(shop, person, "--yes")) == 0
    said = capsys.readouterr()
    (path,) = receipts(shop)
    removed = load_receipt(path).removed["events"]
    assert events_in(shop) == before - removed
    assert f"1 person is forgotten. Removed: {removed} rows of events." in said.out
    assert "The store is at generation 2." in said.out
    assert "There is no privacy ledger" in said.out
    assert f"Receipt: {path}" in said.out
    assert person not in said.out + said.err
    assert person not in path.read_text()


def test_json_holds_the_same(shop, person, capsys):
    assert isthmus(forget(shop, person, "nobody-at-all", "--yes", "--json")) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["persons"], value["generation"]) == (2, 2)
    first, second = value["receipts"]
    assert first["pseudonym"] == pseudonym(load_keys(shop / "keys").pseudonym, person).hex()
    assert (first["removed"], second["removed"]) == (value["removed"], {})
    assert load_receipt(receipts(shop)[0]).owed.model_dump(mode="json") == value["owed"]
    assert value["statements"]


def test_nothing_stored_is_no_failure_and_is_remembered(shop, capsys):
    assert isthmus(forget(shop, "nobody-at-all", "--yes")) == 0
    said = capsys.readouterr().out
    assert "Removed: nothing." in said
    assert "Nothing was stored of 1 of them; they are kept away all the same." in said
    assert load_receipt(receipts(shop)[0]).removed == {}


def test_must_exist_refuses_all_of_them(shop, person, capsys):
    before = events_in(shop)
    words = forget(shop, person, "nobody-at-all", "--yes", "--must-exist")
    refuse(words, 11, "nothing is stored of 1 of 2 persons, in the order given: number 2", capsys)
    assert (events_in(shop), receipts(shop)) == (before, [])


def test_without_a_terminal_it_wants_yes(shop, person, capsys, monkeypatch):
    piped(monkeypatch, person.encode())
    refuse(forget(shop, "-"), 10, "there is nobody to ask", capsys)
    assert receipts(shop) == []


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 10), ("\n", 10)])
def test_it_asks(shop, person, capsys, terminal, answer, code):
    os.write(terminal, answer.encode())
    assert isthmus(forget(shop, person)) == code
    said = capsys.readouterr()
    assert "Stored of 1 person: " in said.err
    assert "Remove all of it?" in said.err
    assert len(receipts(shop)) == (code == 0)
    assert person not in said.err + said.out


def test_ids_come_from_a_file_and_from_standard_input(shop, filled, capsys, monkeypatch, tmp_path):
    contract = load_contract(filled / "platform.toml")
    header, *rows = (filled / "events.csv").read_text().splitlines()
    place = header.split(",").index(contract.events.theirs("user_id"))
    one, two, three, *_ = dict.fromkeys(row.split(",")[place] for row in rows)
    listed = tmp_path / "ids.txt"
    listed.write_bytes(b"\xef\xbb\xbf" + f"{one}\r\n\r\n{one}\n".encode())
    piped(monkeypatch, f"{two}\n{three}".encode())
    assert isthmus(forget(shop, "-", "--from-file", str(listed), "--yes", "--json")) == 0
    value = json.loads(capsys.readouterr().out)
    key = load_keys(shop / "keys").pseudonym
    found = [each["pseudonym"] for each in value["receipts"]]
    assert found == [pseudonym(key, each).hex() for each in (two, three, one)]
    assert all(each["removed"] for each in value["receipts"])


def test_a_file_that_is_no_text_is_named_by_its_line(shop, capsys, tmp_path):
    listed = tmp_path / "ids.txt"
    listed.write_bytes(b"good\nsecret-\xff\n")
    words = forget(shop, "--from-file", str(listed), "--yes")
    refuse(words, 12, "line 2: this is no UTF-8 text", capsys)


def test_nobody_named_is_a_mistake(shop, capsys, monkeypatch):
    refuse(forget(shop, "--yes"), 11, "no user id was given", capsys)
    piped(monkeypatch, b"\n\r\n")
    refuse(forget(shop, "-", "--yes"), 11, "no user id was given", capsys)
    refuse(forget(shop, "--from-file", str(shop), "--yes"), 11, "cannot be read", capsys)


def test_without_keys_nothing_happens(tmp_path, capsys):
    refuse(forget(tmp_path, "somebody", "--yes"), 17, "there are no keys at", capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--ledger", "--outbox"])
def test_records_that_were_named_must_be_there(shop, person, capsys, option):
    refuse(forget(shop, person, "--yes", option, str(shop / "nowhere")), 11, "nowhere", capsys)
    assert receipts(shop) == []


def test_another_writer_is_named(shop, person, capsys):
    with Store.open(shop / "store", load_keys(shop / "keys"), writable=True):
        refuse(forget(shop, person, "--yes"), 16, f"process {os.getpid()}", capsys)


def test_a_receipt_is_checked(shop, person, capsys):
    assert isthmus(forget(shop, person, "--yes")) == 0
    (path,) = receipts(shop)
    capsys.readouterr()
    assert isthmus(forget(shop, person, "--verify", str(path))) == 0
    said = capsys.readouterr().out
    assert "holds nothing of the person and keeps them away" in said
    assert "It is the receipt of the person named." in said
    assert isthmus(forget(shop, "--verify", str(path), "--json")) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["genuine"], value["generation"], value["person"]) == (True, 2, None)
    assert isthmus(forget(shop / "elsewhere", "--verify", str(path))) == 0
    assert "There are no keys here" in capsys.readouterr().out
    refuse(forget(shop, "somebody", "--verify", str(path)), 12, "another person's", capsys)


def test_replay_brings_a_restored_store_up_to_date(shop, person, capsys):
    before = {path: path.read_bytes() for path in (shop / "store").rglob("*") if path.is_file()}
    assert isthmus(forget(shop, person, "--yes")) == 0
    assert isthmus(forget(shop, "--replay", "--yes")) == 0
    assert "there is nobody to forget anew" in capsys.readouterr().out
    after = events_in(shop)
    for path, data in before.items():
        path.write_bytes(data)
    (receipt,) = receipts(shop)
    capsys.readouterr()
    refuse(forget(shop, "--verify", str(receipt)), 18, "--replay", capsys)
    assert isthmus(forget(shop, "--replay", "--yes", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["persons"] == 1
    assert events_in(shop) == after
    assert isthmus(forget(shop, "--replay", "--json")) == 0


@pytest.mark.parametrize(
    "words",
    [
        ("somebody", "--replay"),
        ("--replay", "--verify", "x"),
        ("a", "b", "--verify", "x"),
        ("--from-file", "x", "--verify", "x"),
    ],
)
def test_options_that_do_not_go_together(shop, capsys, words):
    assert isthmus(forget(shop, *words)) == 10
    assert "Traceback" not in capsys.readouterr().err


def test_a_passphrase_from_a_file(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ISTHMUS_LEDGER", str(tmp_path / "ledger.sqlite"))
    words = tmp_path / "words"
    words.write_text("correct horse\n")
    words.chmod(0o600)
    named = ("--passphrase-file", str(words))
    assert isthmus(["client", "init", str(tmp_path / "shop"), *named]) == 0
    capsys.readouterr()
    refuse(forget(tmp_path / "shop", "somebody", "--yes"), 17, "protected by a passphrase", capsys)
    assert isthmus(forget(tmp_path / "shop", "somebody", "--yes", *named)) == 0
