"""`isthmus client init`: a folder that works at once, and nothing that was there is touched."""

import csv
import json
import stat

import pytest

from isthmus.cli import run as isthmus
from isthmus_client.contract import load_contract
from isthmus_client.vault import load_keys


@pytest.fixture(autouse=True)
def _no_passphrase(monkeypatch):
    monkeypatch.delenv("ISTHMUS_KEY_PASSPHRASE", raising=False)


def init(*arguments):
    return isthmus(["client", "init", *map(str, arguments)])


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_it_makes_contract_keys_and_folders(tmp_path, capsys):
    folder = tmp_path / "new" / "shop"
    assert init(folder) == 0
    assert {path.name for path in folder.iterdir()} == {
        "platform.toml",
        "keys",
        "store",
        "receipts",
    }
    for name in ("keys", "store", "receipts"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o700
    assert load_contract(folder / "platform.toml").platform.name == "shop"
    shown = capsys.readouterr().out
    assert load_keys(folder / "keys").key_id in shown
    assert "Keep a copy of" in shown
    assert f"isthmus client check --platform {folder / 'platform.toml'}" in shown


def test_no_key_is_printed(tmp_path, capsys):
    assert init(tmp_path / "shop") == 0
    assert init(tmp_path / "other", "--json") == 0
    said = "".join(capsys.readouterr())
    for name in ("shop", "other"):
        ring = load_keys(tmp_path / name / "keys")
        for key in (ring.pseudonym, ring.store, ring.heads, ring.signing):
            assert key.hex() not in said
        assert (tmp_path / name / "keys" / "platform.key").read_text().split()[5] not in said


def test_json_says_the_same(tmp_path, capsys):
    assert init(tmp_path / "shop", "--name", "north", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "name": "north",
        "folder": str(tmp_path / "shop"),
        "contract": str(tmp_path / "shop" / "platform.toml"),
        "key_id": load_keys(tmp_path / "shop" / "keys").key_id,
        "passphrase": False,
        "example": False,
    }
    assert load_contract(tmp_path / "shop" / "platform.toml").platform.name == "north"


def test_it_works_where_it_is_called(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "my shop"
    folder.mkdir()
    (folder / "sales.csv").write_text("mine")
    monkeypatch.chdir(folder)
    assert init() == 0
    assert "isthmus client check --platform platform.toml" in capsys.readouterr().out
    assert load_contract(folder / "platform.toml").platform.name == "own"  # no name with a space
    assert (folder / "sales.csv").read_text() == "mine"


@pytest.mark.parametrize("there", ["platform.toml", "keys", "store", "receipts", "items.csv"])
def test_nothing_is_ever_replaced(tmp_path, capsys, there):
    (tmp_path / there).write_text("mine")
    assert init(tmp_path, "--example") == 10
    assert f"there already: {tmp_path / there}; nothing was changed" in capsys.readouterr().err
    assert files(tmp_path) == {there: b"mine"}


def test_a_second_time_changes_nothing(tmp_path, capsys):
    assert init(tmp_path / "shop", "--example") == 0
    before = files(tmp_path)
    assert init(tmp_path / "shop", "--example") == 10
    assert files(tmp_path) == before
    error = capsys.readouterr().err
    for name in ("platform.toml", "keys", "store", "receipts", "events.csv", "items.csv"):
        assert str(tmp_path / "shop" / name) in error


def test_a_link_to_nowhere_is_not_written_through(tmp_path):
    (tmp_path / "platform.toml").symlink_to(tmp_path / "elsewhere")
    assert init(tmp_path) == 10
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["my shop", "", "-x", "x" * 65, "größe"])
def test_a_wrong_name_is_refused_before_anything_is_made(tmp_path, capsys, name):
    assert init(tmp_path / "shop", f"--name={name}") == 10
    assert "--name: " in capsys.readouterr().err
    assert not (tmp_path / "shop").exists()


def test_a_passphrase_protects_the_key(tmp_path, capsys):
    file = tmp_path / "passphrase"
    file.write_text("correct horse\n")
    file.chmod(0o644)
    assert init(tmp_path / "shop", "--passphrase-file", file) == 17
    assert "open to others" in capsys.readouterr().err
    assert not (tmp_path / "shop").exists()
    file.chmod(0o600)
    assert init(tmp_path / "shop", "--passphrase-file", file, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["passphrase"] is True
    assert load_keys(tmp_path / "shop" / "keys", passphrase_file=file).key_id == found["key_id"]


def test_a_place_that_cannot_be_written_is_told(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert init(tmp_path / "file" / "shop") == 17
    assert "keys cannot be written" in capsys.readouterr().err


def test_the_example_fits_its_contract_and_is_always_the_same(tmp_path):
    assert init(tmp_path / "one", "--example", "--name", "a") == 0
    assert init(tmp_path / "two", "--example", "--name", "a") == 0
    one, two = files(tmp_path / "one"), files(tmp_path / "two")
    for name in ("platform.toml", "events.csv", "items.csv"):
        assert one[name] == two[name]
    contract = load_contract(tmp_path / "one" / "platform.toml")
    events = list(csv.DictReader(one["events.csv"].decode().splitlines()))
    items = list(csv.DictReader(one["items.csv"].decode().splitlines()))
    assert {contract.events.theirs(c) for c in ("user_id", "timestamp", "price")} <= set(events[0])
    assert {row["action"] for row in events} == set(contract.events.behaviours)
    assert {row["article"] for row in events} == {row["article"] for row in items}
    assert len({row["customer"] for row in events}) == 200
    assert len({tuple(row.values()) for row in events}) == len(events)
    days = {row["when"][:10] for row in events}
    assert len(days) in (120, 121)  # every day; a visit may pass midnight
