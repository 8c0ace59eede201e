"""What removal from the store does not undo: private rounds, others, figures, heads."""

import math

import pytest
from forgetting_cases import filled, forgotten, places

from isthmus.errors import DataMissingError
from isthmus.privacy.events import Event
from isthmus_client.forgetting.owed import find_owed
from isthmus_client.forgetting.words import certainty, rows_in_words, statements
from isthmus_client.ledger import Key, Ledger
from isthmus_client.receipts import append_receipt

EVENT = Event(noise_multiplier=30.0, sampling_rate=0.05)
JANUARY = 1_735_689_600.0


@pytest.fixture
def ledger(tmp_path):
    """Two runs: three rounds of which one crashed, and two later ones."""
    times = iter(JANUARY + 60 * n for n in range(100))
    path = tmp_path / "ledger.sqlite"
    with Ledger(path, epsilon=4.0, delta=1e-6, clock=lambda: next(times)) as ledger:
        key = Key("shop-events")
        for run, number in (("spring", 0), ("spring", 1), ("spring", 2), ("may", 0), ("may", 1)):
            reservation = ledger.reserve(key, run, number, EVENT, base="b" * 64)
            if (run, number) != ("spring", 2):
                ledger.commit(reservation, f"{number}" * 64)
    return path


def left(path, kind="update", run="autumn", number=0, **more):
    body = {"kind": kind, "platform": "own", "run": run, "round": number, "time": JANUARY}
    append_receipt(path, {**body, "ledger": None, **more})


def test_private_rounds_by_run_with_what_they_cost(ledger, tmp_path):
    owed = find_owed(places(tmp_path, ledger=ledger), "own")
    assert owed.ledger == "read"
    spring, may = owed.private
    assert (spring.run, spring.rounds, spring.left) == ("spring", 3, 2)
    assert (spring.first, spring.last) == ("2025-01-01T00:01:00Z", "2025-01-01T00:05:00Z")
    assert (may.run, may.rounds, may.left) == ("may", 2, 2)
    (spent,) = owed.spent
    with Ledger(ledger, read_only=True) as opened:
        assert spent.epsilon == opened.spent(Key("shop-events"))
    assert (spent.data_set, spent.unit, spent.rounds) == ("shop-events", "user", 5)
    assert (spent.budget, spent.delta) == (4.0, 1e-6)


def test_the_promise_is_said_with_its_figures(ledger, tmp_path):
    owed = find_owed(places(tmp_path, ledger=ledger), "own")
    said = " ".join(statements(owed))
    assert "spring (3 rounds, 2025-01-01T00:01:00Z to 2025-01-01T00:05:00Z)" in said
    assert f"epsilon {owed.spent[0].epsilon:.4g} at delta 1e-06 if the rounds were fixed" in said
    assert "epsilon 4 however they were chosen" in said
    assert ", or 0.9821. That holds" in said
    assert "nothing must be trained anew" in said
    assert "stays charged" in said


@pytest.mark.parametrize("epsilon", [0.05, 0.7, 3.1, 12.0])
def test_no_test_guesses_better_than_that(epsilon):
    """Against the privacy region itself: the best error rates (a, b) with b >= 1 - d - e^eps a."""
    delta = 1e-3
    false_alarms = [n / 200_000 for n in range(200_001)]
    misses = [
        max(0.0, 1 - delta - math.exp(epsilon) * a, math.exp(-epsilon) * (1 - delta - a))
        for a in false_alarms
    ]
    best = max(1 - (a + b) / 2 for a, b in zip(false_alarms, misses, strict=True))
    assert best <= certainty(epsilon, delta) <= best + 2e-4


def test_certainty_is_rounded_up_and_never_above_one():
    assert certainty(0.0, 0.0) == 0.5
    assert certainty(8.0, 1e-6) == 0.9997
    assert certainty(1e9, 1e-6) == 1.0


def test_rounds_without_privacy_owe_a_new_training(tmp_path):
    path = tmp_path / "outbox" / "own.jsonl"
    left(path, number=0)
    left(path, number=1, time=JANUARY + 3600)
    left(path, kind="update again", number=1, time=JANUARY + 7200)
    left(path, kind="metrics", number=1)
    left(path, run="spring", ledger="a" * 64, epsilon=0.5)
    left(path, run="elsewhere", platform="another")
    owed = find_owed(places(tmp_path, outbox=path.parent), "own")
    (run,) = owed.unprotected
    assert (run.run, run.rounds) == ("autumn", 2)
    assert (run.first, run.last) == ("2025-01-01T00:00:00Z", "2025-01-01T02:00:00Z")
    assert (owed.outbox, owed.figures) == ("read", 1)
    said = " ".join(statements(owed))
    assert "autumn (2 rounds" in said
    assert "train the releases of these runs anew" in said
    assert "left 1 time without noise" in said
    assert find_owed(places(tmp_path, outbox=path), "own") == owed


def test_all_private_owes_no_training(tmp_path):
    path = tmp_path / "own.jsonl"
    left(path, ledger="a" * 64)
    owed = find_owed(places(tmp_path, outbox=path), "own")
    assert (owed.outbox, owed.unprotected, owed.figures) == ("read", (), 0)
    assert "No update of the platform left without privacy." in statements(owed)


def test_receipts_of_others_say_nothing_of_this_platform(tmp_path):
    path = tmp_path / "own.jsonl"
    left(path, platform="Own", ledger="a" * 64)
    owed = find_owed(places(tmp_path, outbox=path), "own")
    assert (owed.outbox, owed.unprotected) == ("others", ())
    said = " ".join(statements(owed))
    assert "None of the outbox's receipts is in this platform's name" in said
    assert "No update of the platform left" not in said


@pytest.mark.parametrize("foreign", [{"kind": "update"}, {"platform": "own", "kind": "update"}])
def test_lines_that_are_none_of_ours_are_no_crash(tmp_path, foreign):
    path = tmp_path / "own.jsonl"
    left(path)
    append_receipt(path, foreign)
    assert find_owed(places(tmp_path, outbox=path), "own").outbox == "unreadable"


def test_where_rounds_were_not_charged_not_all_is_called_private(ledger, tmp_path):
    path = tmp_path / "own.jsonl"
    left(path)
    said = " ".join(statements(find_owed(places(tmp_path, ledger=ledger, outbox=path), "own")))
    assert "all that was charged is differentially private" in said
    assert "has no bound" in said


def test_nothing_on_record_is_said_to_be_just_that(tmp_path):
    owed = find_owed(places(tmp_path), "own")
    assert (owed.ledger, owed.outbox, owed.heads) == ("absent", "absent", ())
    said = " ".join(statements(owed))
    assert "There is no privacy ledger" in said
    assert "were not looked for" in said


def test_a_damaged_record_keeps_nobody_from_being_forgotten(ledger, tmp_path):
    ledger.write_bytes(b"no ledger at all" * 400)
    outbox = tmp_path / "own.jsonl"
    left(outbox)
    outbox.write_bytes(outbox.read_bytes().replace(b"autumn", b"winter"))
    filled(tmp_path / "home")
    found = forgotten(tmp_path / "home", "ann", ledger=ledger, outbox=outbox)
    assert (found.owed.ledger, found.owed.outbox) == ("unreadable", "unreadable")
    said = " ".join(found.receipts[0].statements)
    assert "ledger cannot be read" in said
    assert "altered or cannot be read" in said


def test_heads_are_named(tmp_path):
    folder = tmp_path / "heads"
    folder.mkdir()
    for name in ("full.sealed", "ranker.sealed"):
        (folder / name).write_bytes(b"")
    owed = find_owed(places(tmp_path), "own")
    assert owed.heads == ("full.sealed", "ranker.sealed")
    assert any(
        "full.sealed, ranker.sealed. Owed: fit them anew" in each for each in statements(owed)
    )


@pytest.mark.parametrize("named", ["ledger", "outbox"])
def test_what_was_named_must_be_there(tmp_path, named):
    with pytest.raises(DataMissingError, match=str(tmp_path / "nowhere")):
        places(tmp_path, **{named: tmp_path / "nowhere"}).require()


def test_rows_in_words():
    assert rows_in_words({}) == "nothing"
    assert rows_in_words({"events": 1200, "redemptions": 1}) == (
        "1,200 rows of events, 1 row of redemptions"
    )
