"""`isthmus client ingest`: from a folder of `init` to a store, and what it says."""

import json
import shutil
import stat

import pytest

from isthmus.cli import run as isthmus
from isthmus_client.home import Home
from isthmus_client.store import Store
from isthmus_client.vault import load_keys, pseudonym


@pytest.fixture
def home(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("ISTHMUS_KEY_PASSPHRASE", raising=False)
    assert isthmus(["client", "init", str(tmp_path / "shop"), "--example"]) == 0
    capsys.readouterr()
    return Home(tmp_path / "shop" / "platform.toml")


def ingest(home, *arguments):
    return isthmus(["client", "ingest", "--platform", str(home.contract), *arguments])


def test_the_example_goes_in_once(home, capsys):
    assert ingest(home) == 0
    shown = capsys.readouterr().out
    assert "The store holds" in shown
    assert "generation 1" in shown
    assert ingest(home) == 0
    again = capsys.readouterr().out
    assert "Nothing is new." in again
    assert "known" in again


def test_json_has_every_count(home, capsys):
    assert ingest(home, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    rows = len((home.folder / "events.csv").read_text().splitlines()) - 1
    events = next(feed for feed in found["feeds"] if feed["table"] == "events")
    assert events["read"] == rows == events["added"] + sum(events["rejected"].values())
    assert (found["generation"], found["changed"]) == (1, True)
    with Store.open(home.store, load_keys(home.keys), writable=False) as store:
        assert store.manifest.events == found["events"] == events["added"]
        assert store.tables().histories.users > 1


def test_everything_is_for_its_owner_alone(home):
    ingest(home)
    for path in [home.store, *home.store.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_bad_feed_ends_with_14_and_may_be_taken_all_the_same(home, capsys):
    events = home.folder / "events.csv"
    lines = events.read_text().splitlines()
    bad = [lines[1].rsplit(",", 1)[0]] * (len(lines) // 10)  # a field is missing
    events.write_text("\n".join(lines + bad) + "\n")
    assert ingest(home) == 14
    assert "ragged" in capsys.readouterr().err
    assert ingest(home, "--accept-rejected") == 0
    assert f"ragged {len(bad)}" in capsys.readouterr().out


def test_keys_open_to_others_are_refused(home, capsys):
    (home.keys / "platform.key").chmod(0o644)
    assert ingest(home) == 17
    assert "platform.key" in capsys.readouterr().err


def test_a_store_in_use_names_who_uses_it(home, capsys):
    with Store.open(home.store, load_keys(home.keys), writable=True):
        assert ingest(home, "--json") == 16
    assert "process" in json.loads(capsys.readouterr().err)["message"]


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(home, capsys):
    home.store.rmdir()
    home.store.write_text("in the way")
    assert ingest(home) == 18
    assert "cannot be written" in capsys.readouterr().err


def test_a_feed_that_is_read_in_vain_says_where_its_rejected_rows_are(home, capsys):
    events = home.folder / "events.csv"
    late = events.read_text().splitlines()[1].split(",")
    late[2] = "2990-01-01T00:00:00+00:00"
    events.write_text(events.read_text() + ",".join(late) + "\n")
    where = home.store / "quarantine" / "1.csv"
    for _ in range(2):
        assert ingest(home) == 0
        shown = capsys.readouterr().out
        assert f"Each by line and reason: {where}" in shown
    assert "Nothing is new." in shown
    assert "time_in_future" in where.read_text()
    assert ingest(home, "--json") == 0
    assert json.loads(capsys.readouterr().out)["quarantine"] == str(where)


def test_a_name_of_a_file_is_no_markup(home, capsys):
    folder = home.folder / "x["
    folder.mkdir()
    (home.folder / "events.csv").rename(folder / "a[red].csv")
    (home.folder / "x[" / "b].csv").write_text((folder / "a[red].csv").read_text())
    home.contract.write_text(
        home.contract.read_text().replace('source = "events.csv"', 'source = "x["')
    )
    assert ingest(home) == 0
    shown = capsys.readouterr().out
    assert "x[/a[red].csv" in shown
    assert "x[/b].csv" in shown


def test_a_new_store_does_not_take_in_who_was_forgotten_from_the_old_one(home, capsys):
    platform = ("--platform", str(home.contract))
    user = (home.folder / "events.csv").read_text().splitlines()[1].split(",")[0]
    assert ingest(home) == 0
    assert isthmus(["client", "forget", user, "--yes", *platform]) == 0
    shutil.rmtree(home.store)
    capsys.readouterr()
    assert ingest(home) == 18
    said = capsys.readouterr().err
    assert "take in 1 person again who has a receipt" in said
    assert user not in said
    assert isthmus(["client", "forget", "--replay", "--yes", *platform]) == 0
    assert ingest(home, "--accept-rejected") == 0
    keys = load_keys(home.keys)
    with Store.open(home.store, keys, writable=False) as store:
        assert pseudonym(keys.pseudonym, user) not in store.pseudonyms().to_pylist()
        assert store.manifest.events > 0


def test_a_store_that_lacks_a_month_is_not_called_complete(home, capsys):
    assert ingest(home) == 0
    month = min((home.store / "segments").glob("2025-*"))
    month.unlink()
    capsys.readouterr()
    assert ingest(home) == 18
    assert month.name in capsys.readouterr().err
    assert ingest(home, "--rebuild") == 0


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1"])
def test_nobody_waits_for_ever_by_mistake(home, seconds, capsys):
    assert ingest(home, "--wait", seconds) == 2
    assert seconds in capsys.readouterr().err
