"""Reserve, commit, send: what is charged, what is refused, and what is said then."""

from dataclasses import asdict

import pytest

from isthmus.errors import BudgetError, DataMissingError, LedgerError, OutboxError
from isthmus.privacy.accounting import epsilon, noise_multiplier_for
from isthmus.privacy.events import Event
from isthmus.privacy.filter import plan_delta
from isthmus_client.ledger import Budget, Key, Ledger, Reservation

KEY, OTHER = Key("shop"), Key("stall")
EVENT = Event(noise_multiplier=4.1, sampling_rate=1.0)
DELTA = 1e-5
ONE, TWO, BASE, ELSE = "1" * 64, "2" * 64, "b" * 64, "e" * 64


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path):
    with Ledger(path, epsilon=5.3, delta=DELTA, clock=lambda: 1_700_000_000.5) as opened:
        yield opened


def kinds(ledger):
    return [row.kind for row in ledger.entries()]


def test_a_round_is_charged_when_it_is_reserved_and_said_when_it_is_committed(ledger):
    assert ledger.spent(KEY) == 0
    reservation = ledger.reserve(KEY, "run", 3, EVENT, base=BASE)
    charged = ledger.spent(KEY)
    assert charged == epsilon((EVENT,), DELTA)
    head = ledger.commit(reservation, ONE)
    assert ledger.head() == head
    assert ledger.spent(KEY) == charged
    assert ledger.released(KEY, "run", 3, base=BASE) == ONE
    assert kinds(ledger) == ["opened", "reserve", "commit"]
    standing = ledger.standing(KEY)
    assert (standing.rounds, standing.committed, standing.runs) == (1, 1, 1)
    assert standing.left == standing.budget.epsilon - charged


def test_rounds_of_all_runs_add_up_and_other_users_rounds_do_not(ledger):
    for run in ("a", "b"):
        ledger.reserve(KEY, run, 0, EVENT)
    ledger.reserve(OTHER, "a", 0, EVENT)
    assert ledger.events(KEY) == (Event(4.1, 1.0, 2),)
    assert ledger.spent(KEY) == epsilon((Event(4.1, 1.0, 2),), DELTA)
    assert ledger.spent(OTHER) == epsilon((EVENT,), DELTA)
    assert ledger.keys() == (KEY, OTHER)
    assert ledger.spent(KEY, "rdp") > ledger.spent(KEY)


def test_a_reservation_without_a_commit_stays_charged_in_the_next_process(path, ledger):
    ledger.reserve(KEY, "run", 0, EVENT)
    charged = ledger.spent(KEY)
    ledger.close()
    with Ledger(path) as again:
        assert again.spent(KEY) == charged
        assert again.released(KEY, "run", 0) is None
        again.reserve(KEY, "run", 0, EVENT)
        assert again.spent(KEY) > charged


def test_the_very_same_bytes_leave_again_for_nothing(ledger):
    ledger.commit(ledger.reserve(KEY, "run", 1, EVENT, base=BASE), ONE)
    charged = ledger.spent(KEY)
    head = ledger.resend(KEY, "run", 1, ONE, base=BASE)
    assert ledger.head() == head
    assert ledger.spent(KEY) == charged
    assert ledger.standing(KEY).resent == 1


@pytest.mark.parametrize(
    ("run", "number", "fingerprint", "base"),
    [
        ("run", 1, TWO, BASE),
        ("run", 1, ONE, ELSE),
        ("run", 1, ONE, ""),
        ("run", 2, ONE, BASE),
        ("other", 1, ONE, BASE),
    ],
)
def test_any_other_bytes_may_not_leave_uncharged(ledger, run, number, fingerprint, base):
    ledger.commit(ledger.reserve(KEY, "run", 1, EVENT, base=BASE), ONE)
    with pytest.raises(OutboxError, match="may not leave uncharged") as refused:
        ledger.resend(KEY, run, number, fingerprint, base=base)
    assert "reserve the round anew" in refused.value.hint
    assert kinds(ledger) == ["opened", "reserve", "commit"]


def test_a_reservation_pays_for_one_result(ledger):
    reservation = ledger.reserve(KEY, "run", 0, EVENT)
    first = ledger.commit(reservation, ONE)
    assert ledger.commit(reservation, ONE) == first
    with pytest.raises(OutboxError, match="222222222222 may not leave too"):
        ledger.commit(reservation, TWO)
    assert kinds(ledger) == ["opened", "reserve", "commit"]


def test_a_reservation_of_another_ledger_pays_for_nothing(tmp_path, ledger):
    with Ledger(tmp_path / "other.sqlite", epsilon=9.0, delta=DELTA) as other:
        foreign = other.reserve(KEY, "run", 0, EVENT)
    with pytest.raises(LedgerError, match="does not know the reservation"):
        ledger.commit(foreign, ONE)


def test_a_reservation_may_be_kept_by_a_resumed_process(path, ledger):
    kept = asdict(ledger.reserve(KEY, "run", 0, EVENT, base=BASE))
    ledger.close()
    with Ledger(path) as again:
        again.commit(Reservation(**{**kept, "key": KEY, "event": EVENT}), ONE)
        assert again.released(KEY, "run", 0, base=BASE) == ONE


def test_over_budget_is_refused_with_the_numbers_before_anything_is_written(ledger):
    admitted = 0
    while ledger._gate.filter(KEY, ledger._chain._state.account(KEY), ledger.budget).admits(EVENT):
        ledger.reserve(KEY, "run", admitted, EVENT)
        admitted += 1
    assert admitted >= 3
    with pytest.raises(BudgetError) as refused:
        ledger.reserve(KEY, "run", admitted, EVENT)
    assert len(ledger.entries()) == 1 + admitted
    spent = epsilon((Event(4.1, 1.0, admitted),), DELTA)
    for words in (f"round {admitted} of run run", "'shop' is 5.3", f"{spent:.4g} is spent"):
        assert words in str(refused.value)
    assert "raise the budget" in refused.value.hint
    assert refused.value.exit_code == 32
    ledger.reserve(OTHER, "run", 0, EVENT)  # others' budget is their own


def test_less_noise_is_refused_where_more_still_passes(ledger):
    with pytest.raises(BudgetError):
        ledger.reserve(KEY, "run", 0, Event(0.5, 1.0))
    ledger.reserve(KEY, "run", 0, Event(40.0, 1.0))


def test_a_plan_that_fills_the_budget_runs_to_its_end_and_no_further(ledger):
    rounds = 17
    noise = noise_multiplier_for(5.3, plan_delta(DELTA), 0.05, rounds)
    event = Event(noise, 0.05)
    ledger.register(KEY, "run", event, rounds)
    held = ledger.standing(KEY)
    assert held.spent == 0
    assert 5.0 < held.held <= 5.3
    for number in range(rounds):
        ledger.reserve(KEY, "run", number, event)
    assert 5.0 < ledger.spent(KEY) <= 5.3
    with pytest.raises(BudgetError):
        ledger.reserve(KEY, "run", rounds, event)


def test_a_schedule_that_does_not_fit_is_refused_before_its_first_round(ledger):
    with pytest.raises(BudgetError, match="a schedule of 500 rounds for run big would bring"):
        ledger.register(KEY, "big", EVENT, 500)
    assert kinds(ledger) == ["opened"]


def test_to_register_again_adds_only_what_is_new(ledger):
    ledger.register(KEY, "run", EVENT, 2)
    head = ledger.head()
    assert ledger.register(KEY, "run", EVENT, 2) == ledger.register(KEY, "run", EVENT, 1) == head
    ledger.register(KEY, "run", EVENT, 3)
    assert [row.rounds for row in ledger.entries() if row.kind == "schedule"] == [2, 1]


def test_what_a_schedule_holds_is_kept_from_other_runs_until_it_is_finished(ledger):
    rounds = 17
    event = Event(noise_multiplier_for(5.3, plan_delta(DELTA), 0.05, rounds), 0.05)
    ledger.register(KEY, "run", event, rounds)
    ledger.reserve(KEY, "run", 0, event)
    with pytest.raises(BudgetError, match="schedules hold it up to"):
        ledger.reserve(KEY, "other", 0, event)
    ledger.finish(KEY, "run")
    ledger.reserve(KEY, "other", 0, event)
    head = ledger.head()
    assert ledger.finish(KEY, "run") == head  # nothing is held any more


def test_a_late_schedule_must_fit_by_the_bound_that_holds_for_choices(ledger):
    ledger.reserve(KEY, "first", 0, EVENT)
    ledger.register(KEY, "late", EVENT, 2)
    with pytest.raises(BudgetError):
        ledger.register(KEY, "later", EVENT, 100)
    for number in range(2):
        ledger.reserve(KEY, "late", number, EVENT)


def test_a_smaller_budget_is_taken_for_good_and_a_larger_one_needs_a_reason(path, ledger):
    ledger.close()
    with Ledger(path, epsilon=3.1) as lower:
        assert lower.budget == Budget(3.1, DELTA)
        with pytest.raises(BudgetError, match="without a reason"):
            lower.raise_budget(epsilon=9.0, delta=DELTA, reason="  ")
    with pytest.raises(BudgetError, match=r"epsilon 5.3 at delta 1e-05 is asked for") as refused:
        Ledger(path, epsilon=5.3, delta=DELTA)
    assert "isthmus client privacy budget" in refused.value.hint
    with Ledger(path) as again:
        assert again.budget == Budget(3.1, DELTA)
        again.raise_budget(epsilon=9.0, delta=DELTA, reason="the board agreed")
        assert again.entries()[-1].reason == "the board agreed"
    with Ledger(path, epsilon=9.0, delta=DELTA) as raised:
        assert kinds(raised) == ["opened", "budget", "budget"]


def test_a_lowered_budget_refuses_the_rest_of_a_plan(ledger):
    ledger.register(KEY, "run", EVENT, 8)
    ledger.reserve(KEY, "run", 0, EVENT)
    ledger.raise_budget(epsilon=0.9, delta=DELTA, reason="too much")
    with pytest.raises(BudgetError):
        ledger.reserve(KEY, "run", 1, EVENT)
    ledger.raise_budget(epsilon=5.3, delta=DELTA, reason="not too much")
    ledger.reserve(KEY, "run", 1, EVENT)


@pytest.mark.parametrize(("epsilon", "delta"), [(0, 1e-5), (-1, 1e-5), (8, 0), (8, 0.5)])
def test_a_budget_out_of_range_makes_no_ledger(path, epsilon, delta):
    with pytest.raises(BudgetError, match="expected"):
        Ledger(path, epsilon=epsilon, delta=delta)
    assert not path.exists()


def test_without_a_file_and_a_budget_there_is_no_ledger(path):
    for given in ({}, {"epsilon": 8.0}, {"epsilon": 8.0, "delta": 1e-5, "read_only": True}):
        with pytest.raises(DataMissingError, match="there is no ledger at"):
            Ledger(path, **given)


def test_words_that_no_row_can_hold_are_refused_by_name(ledger):
    with pytest.raises(LedgerError, match="no row can say base = 'short'"):
        ledger.reserve(KEY, "run", 0, EVENT, base="short")
    with pytest.raises(LedgerError, match="no row can say round = -1"):
        ledger.reserve(KEY, "run", -1, EVENT)
    reservation = ledger.reserve(KEY, "run", 0, EVENT)
    with pytest.raises(LedgerError, match="no row can say fingerprint"):
        ledger.commit(reservation, "ABC")
    with pytest.raises(ValueError, match="1 to 200 letters"):
        Key("")


def test_a_read_only_ledger_refuses_to_write(path, ledger):
    ledger.reserve(KEY, "run", 0, EVENT)
    with Ledger(path, read_only=True) as looking:
        assert looking.spent(KEY) == ledger.spent(KEY)
        with pytest.raises(LedgerError, match="cannot be opened for that"):
            looking.reserve(KEY, "run", 1, EVENT)


def test_two_open_ledgers_see_each_others_rows(path, ledger):
    with Ledger(path) as other:
        reservation = other.reserve(KEY, "run", 0, EVENT)
        assert ledger.spent(KEY) == other.spent(KEY) > 0
        ledger.commit(reservation, ONE)
        assert other.released(KEY, "run", 0) == ONE


def test_who_waits_too_long_for_another_process_is_told(path, ledger):
    with Ledger(path, patience=0.05) as hurried:
        ledger._chain._store._connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="another process holds it"):
            hurried.reserve(KEY, "run", 0, EVENT)
        ledger._chain._store._connection.execute("ROLLBACK")
        hurried.reserve(KEY, "run", 0, EVENT)
