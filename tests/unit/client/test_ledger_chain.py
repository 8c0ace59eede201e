"""Whatever is done to the file behind the ledger's back is found, at the first row it was done to.

Rows are altered here as someone would who knows SQLite: the triggers are dropped first.
"""

import json
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from isthmus.audit_log import ROOT, verify_log
from isthmus.errors import LedgerError
from isthmus.files import digest
from isthmus.privacy.events import Event
from isthmus_client.ledger import Budget, Key, Ledger, latest_head, recorded_heads
from isthmus_client.ledger.decisions import changed
from isthmus_client.receipts import append_receipt

KEY = Key("shop")
EVENT = Event(noise_multiplier=11.0, sampling_rate=1.0)


def prints(number):
    return f"{number:064x}"


def play(ledger, first, rounds):
    for number in range(first, first + rounds):
        ledger.commit(ledger.reserve(KEY, "run", number, EVENT), prints(number))


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A ledger of nine rows: its budget, and four rounds reserved and committed."""
    path = tmp_path_factory.mktemp("honest") / "ledger.sqlite"
    with Ledger(path, epsilon=8.0, delta=1e-5) as ledger:
        play(ledger, 0, 4)
    return path


@pytest.fixture
def path(honest, tmp_path):
    """A copy of it, to be done things to."""
    return Path(shutil.copy(honest, tmp_path))


def alter(path, *statements):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TRIGGER no_change")
        connection.execute("DROP TRIGGER no_removal")
        for statement, values in statements:
            connection.execute(statement, values)
        connection.commit()


def rows_of(path):
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.execute("SELECT number, body, hash FROM entries ORDER BY number"))


def refused(path):
    with pytest.raises(LedgerError) as error:
        Ledger(path)
    assert error.value.exit_code == 33
    assert error.value.hint
    return str(error.value)


@pytest.mark.parametrize("number", range(1, 10))
def test_a_changed_line_is_refused_by_its_number(path, number):
    body = rows_of(path)[number - 1][1]
    other = body.replace('"time": ', '"time": 1')
    alter(path, ("UPDATE entries SET body = ? WHERE number = ?", (other, number)))
    assert f"row {number} of the ledger was altered: its hash" in refused(path)


@pytest.mark.parametrize("number", range(1, 9))
def test_a_changed_line_with_its_hash_made_anew_breaks_the_next(path, number):
    value = json.loads(rows_of(path)[number - 1][1])
    body = json.dumps({**value, "time": 5.5}, sort_keys=True)
    change = "UPDATE entries SET body = ?, hash = ? WHERE number = ?"
    alter(path, (change, (body, digest(body.encode()), number)))
    assert f"row {number + 1} of the ledger was altered: it does not follow" in refused(path)


@pytest.mark.parametrize("number", range(1, 9))
def test_a_dropped_row_is_missed_where_it_was(path, number):
    alter(path, ("DELETE FROM entries WHERE number = ?", (number,)))
    assert f"row {number} of the ledger was altered: it is not there" in refused(path)


def test_a_row_put_between_shows(path):
    _, body, _ = rows_of(path)[3]
    alter(path, ("INSERT INTO entries VALUES (10, ?, ?)", (body, prints(99))))
    assert "row 10 of the ledger was altered" in refused(path)


def test_rows_in_another_order_show(path):
    (_, third, one), (_, fourth, two) = rows_of(path)[2:4]
    change = "UPDATE entries SET body = ?, hash = ? WHERE number = ?"
    alter(path, (change, ("", "", 3)), (change, (third, one, 4)), (change, (fourth, two, 3)))
    assert "row 3 of the ledger was altered" in refused(path)


FORGED = [
    ({"kind": "commit", "reservation": 1, "fingerprint": prints(1)}, "row 1, which it names"),
    ({"kind": "commit", "reservation": 2, "fingerprint": prints(1)}, "is committed already"),
    ({"kind": "resend", "commit": 2}, "row 2, which it names"),
    ({"kind": "opened", "format": 1, "epsilon": 99.0, "delta": 1e-5}, "opens with its first row"),
    ({"kind": "refund", "reservation": 2}, "it is no row of a ledger"),
    (
        {
            "kind": "reserve",
            "data": "shop",
            "unit": "user",
            "run": "run",
            "round": 0,
            "base": "",
            "mechanism": {"noise_multiplier": 11.0, "sampling_rate": 1.0, "count": 1},
            "scheduled": True,
        },
        "no schedule has a round left",
    ),
]


@pytest.mark.parametrize(("content", "why"), FORGED)
def test_a_well_chained_row_that_no_ledger_writes_is_refused(path, content, why):
    value = {"number": 10, "previous": rows_of(path)[-1][2], "time": 7.0, **content}
    body = json.dumps(value, sort_keys=True)
    alter(path, ("INSERT INTO entries VALUES (10, ?, ?)", (body, digest(body.encode()))))
    told = refused(path)
    assert "row 10 of the ledger was altered" in told
    assert why in told


def test_the_file_itself_refuses_changes_that_nobody_means(path):
    with closing(sqlite3.connect(path)) as connection:
        for statement in ("UPDATE entries SET hash = ''", "DELETE FROM entries"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)


def test_rows_cut_off_the_end_show_to_who_kept_a_later_head(path):
    with Ledger(path) as ledger:
        kept = ledger.head()
        ledger.require_contains(kept, *(row.previous for row in ledger.entries()[1:]))
    alter(path, ("DELETE FROM entries WHERE number > ?", (7,)))
    with Ledger(path) as ledger:
        assert ledger.verify() == 7
        with pytest.raises(LedgerError, match=f"rolled back: entry {kept[:12]}, 1 of 1"):
            ledger.require_contains(kept)


def test_an_older_copy_put_back_is_found_by_the_receipts(path, tmp_path):
    receipts, older = tmp_path / "receipts.jsonl", tmp_path / "older"
    shutil.copy(path, older)
    with Ledger(path) as ledger:
        for number in (4, 5):
            head = ledger.commit(ledger.reserve(KEY, "run", number, EVENT), prints(number))
            append_receipt(receipts, {"round": number, "ledger": head})
        ledger.require_contains(*recorded_heads(receipts))
    shutil.copy(older, path)
    with Ledger(path) as ledger, pytest.raises(LedgerError, match="rolled back") as error:
        ledger.require_contains(latest_head(receipts))
    assert "newest copy back" in error.value.hint


def test_one_missing_head_among_many_is_enough(path):
    with Ledger(path) as ledger, pytest.raises(LedgerError, match="2 of 3 on record elsewhere"):
        ledger.require_contains(ledger.head(), prints(7), ledger.head())


def test_an_older_copy_put_back_under_an_open_ledger_is_found(path, tmp_path):
    older = tmp_path / "older"
    shutil.copy(path, older)
    with Ledger(path) as ledger:
        play(ledger, 4, 1)
        older.replace(path)
        with pytest.raises(LedgerError, match="was replaced while it was in use"):
            ledger.reserve(KEY, "run", 5, EVENT)


def test_rows_that_vanish_under_an_open_ledger_are_missed(path):
    with Ledger(path) as ledger:
        alter(path, ("DELETE FROM entries WHERE number > ?", (8,)))
        for look in (ledger.head, ledger.verify, lambda: ledger.reserve(KEY, "run", 9, EVENT)):
            with pytest.raises(LedgerError, match="was rolled back: row 9, which was there"):
                look()


def test_verify_reads_again_what_was_read_before(path):
    with Ledger(path) as ledger:
        assert ledger.verify() == 9
        alter(path, ("UPDATE entries SET body = 'x' WHERE number = 4", ()))
        ledger.reserve(KEY, "run", 9, EVENT)  # row 4 is not read again for that
        with pytest.raises(LedgerError, match="row 4 of the ledger was altered"):
            ledger.verify()


def test_what_is_no_ledger_is_refused(tmp_path):
    for name, data in (("empty", b""), ("text", b"spent: nothing\n" * 99)):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(LedgerError, match="damaged, or no ledger"):
            Ledger(path, epsilon=8.0, delta=1e-5)
        assert path.read_bytes() == data
    with closing(sqlite3.connect(tmp_path / "other")) as connection:
        connection.execute("CREATE TABLE entries (number, body, hash)")
    with pytest.raises(LedgerError, match="damaged, or no ledger"):
        Ledger(tmp_path / "other")


def test_a_damaged_page_is_no_traceback(path):
    data = bytearray(path.read_bytes())
    data[4096:8192] = b"\xff" * 4096
    path.write_bytes(data)
    assert "damaged" in refused(path)


def test_no_new_ledger_is_made_beside_the_log_of_one_that_is_gone(path):
    path.with_name(path.name + "-wal").write_bytes(b"rows of the ledger that was here")
    path.unlink()
    with pytest.raises(LedgerError, match="belongs to a ledger that is no longer beside it"):
        Ledger(path, epsilon=8.0, delta=1e-5)
    assert not path.exists()


def test_a_new_ledger_is_its_owners_and_written_through(path):
    assert path.stat().st_mode & 0o077 == 0
    with Ledger(path) as ledger:
        connection = ledger._chain._store._connection
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_receipts_without_heads_say_nothing_and_altered_ones_vouch_for_nothing(tmp_path):
    receipts = tmp_path / "receipts.jsonl"
    assert recorded_heads(receipts) == ()
    assert latest_head(receipts) is None
    append_receipt(receipts, {"round": 0})
    assert recorded_heads(receipts) == ()
    for number in (3, 4):
        append_receipt(receipts, {"ledger": prints(number)})
    with receipts.open("ab") as handle:
        handle.write(b'{"ledger": "unfinished')
    assert recorded_heads(receipts) == (prints(3), prints(4))
    assert latest_head(receipts) == prints(4)
    receipts.write_bytes(receipts.read_bytes().replace(prints(3).encode(), prints(5).encode()))
    with pytest.raises(LedgerError, match=r"receipt 2 in .* was altered"):
        latest_head(receipts)


def test_the_chain_begins_at_the_root_and_reads_as_receipts_do(path, tmp_path):
    out = tmp_path / "rows.jsonl"
    with Ledger(path) as ledger:
        lines = [json.loads(line) | {"hash": found} for line, found in ledger.lines()]
    assert lines[0]["previous"] == ROOT
    out.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))
    assert verify_log(out).first_bad is None


def test_a_decision_counts_only_after_other_processes_rows_were_read(path):
    seen = []

    def decide(state):
        seen.append(state.number)
        if len(seen) == 1:  # another process is faster
            other.reserve(KEY, "other", 0, EVENT)
        return changed(Budget(7.0, 1e-5), f"after row {state.number}")

    with Ledger(path) as ledger, Ledger(path) as other:
        ledger._chain.add(decide)
        assert [row.number for row in other.entries()] == list(range(1, 12))
        assert other.entries()[-1].reason == "after row 10"
    assert seen == [9, 10]


def test_nobody_writes_between_a_decision_and_its_row(path):
    tried = []

    def decide(state):
        tried.append(state.number)
        if len(tried) == 2:
            with pytest.raises(LedgerError, match="another process holds it"):
                other.reserve(KEY, "other", 0, EVENT)
        return changed(Budget(7.0, 1e-5), "alone")

    with Ledger(path) as ledger, Ledger(path, patience=0.05) as other:
        ledger._chain.add(decide)
        assert ledger.verify() == 10
    assert tried == [9, 9]


def test_threads_that_share_a_ledger_charge_every_round(path):
    with Ledger(path) as ledger, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: ledger.reserve(KEY, "run", n, EVENT), range(20)))
        assert len({each.number for each in found}) == 20
        assert [each.round for each in found] == list(range(20))
        assert ledger.verify() == 29


def test_a_ledger_does_not_cross_a_fork(path, monkeypatch):
    with Ledger(path) as ledger:
        monkeypatch.setattr("os.getpid", lambda: -1)
        with pytest.raises(LedgerError, match="was opened by another process"):
            ledger.reserve(KEY, "run", 9, EVENT)
        monkeypatch.undo()
        ledger.reserve(KEY, "run", 9, EVENT)
