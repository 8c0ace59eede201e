"""`isthmus client privacy show`, `history`, `export` and `budget`."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.audit_log import verify_log
from isthmus.cli import run as isthmus
from isthmus.privacy.accounting import epsilon
from isthmus.privacy.events import Event
from isthmus_client.ledger import Key, Ledger, default_path
from isthmus_client.receipts import append_receipt

PAGE = Path(__file__).parents[3] / "docs" / "privacy-ledger.md"
KEY, EVENT, ONE = Key("shop-of-april"), Event(3.7, 1.0), "1" * 64


@pytest.fixture(name="path")
def _path(tmp_path, monkeypatch):
    """Three rounds charged, one of them sent and sent again; a receipt of that."""
    path = tmp_path / "ledger.sqlite"
    monkeypatch.setenv("ISTHMUS_LEDGER", str(path))
    monkeypatch.setenv("COLUMNS", "120")
    with Ledger(path, epsilon=6.3, delta=1e-5) as ledger:
        ledger.register(KEY, "april", EVENT, 4)
        reservations = [ledger.reserve(KEY, "april", number, EVENT) for number in range(3)]
        ledger.commit(reservations[0], ONE)
        head = ledger.resend(KEY, "april", 0, ONE)
        append_receipt(tmp_path / "receipts.jsonl", {"round": 0, "ledger": head})
    return path


def privacy(*words):
    return isthmus(["client", "privacy", *map(str, words)])


def test_show_says_what_is_spent_held_and_left(path, capsys):
    assert privacy("show", "--json", "--platforms", 2) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ledger"] == str(path)
    assert told["budget"] == {"epsilon": 6.3, "delta": 1e-5}
    assert told["rows"] == 7
    (standing,) = told["data_sets"]
    spent = {times: epsilon((Event(3.7, 1.0, times),), 1e-5) for times in (3, 4, 6)}
    assert standing["data"] == KEY.data
    assert standing["spent"] == spent[3]
    assert standing["held"] == spent[4]
    assert standing["left"] == 6.3 - spent[4]
    assert standing["composed"] == {"1": spent[3], "2": spent[6]}
    assert (standing["rounds"], standing["committed"], standing["resent"]) == (3, 1, 1)


def test_show_in_a_table(path, capsys):
    assert privacy("show", "--ledger", path) == 0
    shown = capsys.readouterr().out
    spent = epsilon((Event(3.7, 1.0, 3),), 1e-5)
    for words in ("epsilon 6.3 at delta 1e-05", "shop-of-apri", f"{spent:.4g}", "7 rows in"):
        assert words in shown


def test_show_before_any_round(tmp_path, capsys):
    Ledger(tmp_path / "new.sqlite", epsilon=1.1, delta=1e-6).close()
    assert privacy("show", "--ledger", tmp_path / "new.sqlite") == 0
    assert "Nothing was charged yet" in capsys.readouterr().out


def test_show_against_receipts_finds_another_ledger(path, tmp_path, capsys):
    receipts = tmp_path / "receipts.jsonl"
    assert privacy("show", "--receipts", receipts, "--json") == 0
    other = tmp_path / "other.sqlite"
    Ledger(other, epsilon=6.3, delta=1e-5).close()
    capsys.readouterr()
    assert privacy("show", "--ledger", other, "--receipts", receipts, "--json") == 33
    assert "rolled back" in json.loads(capsys.readouterr().err)["message"]
    assert privacy("show", "--receipts", path.with_name("none.jsonl")) == 11


def test_history_lists_rows(path, capsys):
    assert privacy("history") == 0
    shown = capsys.readouterr().out
    for words in ("opened", "4 rounds of noise 3.7", "round 2: noise 3.7", "row 3 gave out 1111"):
        assert words in shown
    assert privacy("history", "--json", "--last", 2) == 0
    kinds = [row["kind"] for row in json.loads(capsys.readouterr().out)]
    assert kinds == ["commit", "resend"]
    assert path.exists()


def test_export_is_a_chain_that_a_few_lines_of_python_check(path, tmp_path, capsys):
    out = tmp_path / "deep" / "rows.jsonl"
    assert privacy("export", "--out", out, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == 7 == verify_log(out).lines
    assert verify_log(out).first_bad is None
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)

    def checked():
        done = subprocess.run(
            [sys.executable, "-c", program, out], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    assert checked() == (0, f"7 rows, head {told['head']}\n")
    out.write_text(out.read_text().replace('"round": 1', '"round": 9'))
    assert checked() == (1, "row 4 was altered\n")
    assert path.exists()


def test_an_altered_ledger_is_not_exported(path, tmp_path, capsys):
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"round": 1', b'"round": 9'))
    assert privacy("export", "--out", tmp_path / "rows.jsonl") == 33
    assert "row 4 of the ledger was altered" in capsys.readouterr().err
    assert not (tmp_path / "rows.jsonl").exists()


def test_an_export_that_cannot_be_written_is_told(path, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert privacy("export", "--out", tmp_path / "file" / "rows.jsonl") == 33
    assert "cannot be written" in capsys.readouterr().err
    assert path.exists()


def test_the_budget_is_changed_with_its_reason(path, capsys):
    words = ("--epsilon", 7.1, "--delta", 1e-5)
    assert privacy("budget", *words, "--reason", "agreed in May", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["before"] == {"epsilon": 6.3, "delta": 1e-5}
    assert privacy("history", "--last", 1) == 0
    assert "budget epsilon 7.1, delta 1e-05: agreed in May" in capsys.readouterr().out
    assert privacy("budget", *words, "--reason", " ") == 32
    assert path.exists()


def test_a_missing_ledger_returns_11(tmp_path, capsys):
    assert privacy("show", "--ledger", tmp_path / "none.sqlite") == 11
    assert "the first private run makes it" in capsys.readouterr().err


def test_the_default_place_depends_on_no_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert default_path({"ISTHMUS_LEDGER": "/there/l.sqlite"}) == Path("/there/l.sqlite")
    assert default_path({}) == Path.home() / ".isthmus" / "ledger.sqlite"
