"""A later trial's gate knows what an earlier trial's candidate turned out to be worth."""

from datetime import UTC, datetime

import pytest
from planted_histories import random_platform
from tried_release import SETTINGS, released

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus.progress import Silent
from isthmus_client.own_platform import OwnPlatform
from isthmus_client.track_record import Outdone
from isthmus_client.trial import run_trial
from isthmus_client.trial_memory import earlier_past
from isthmus_client.trial_page import render_page


@pytest.fixture(scope="module")
def own():
    platform = random_platform(users=130, items=25, events=9, seed=4, name="secretshop")
    return OwnPlatform(platform, None, "2038-01-01T00:00:00+00:00", ())


@pytest.fixture(scope="module")
def first(own):
    return run_trial(own, released(), SETTINGS, Silent())


def test_a_trial_leaves_what_its_test_window_showed(first):
    record, whole = first.record, first.whole
    assert (record.platform, record.release) == ("secretshop", first.release.fingerprint)
    assert record.past.ndcg == pytest.approx(whole.models["personalised"].ndcg)
    assert record.past.users == whole.models["personalised"].users
    for name, mine in record.past.own.items():
        assert mine.ndcg == pytest.approx(whole.models[name].ndcg)
        assert mine.gain == pytest.approx(record.past.ndcg - mine.ndcg)


def test_it_counts_at_the_gate_of_a_later_one(own, first, tmp_path):
    """The same trial, once with a record in which the candidate was far ahead of everything."""
    splendid = {
        name: Outdone(ndcg=0.1, gain=0.8, standard_error=0.001) for name in first.record.past.own
    }
    past = first.record.past.model_copy(update={"ndcg": 0.9, "own": splendid})
    record = first.record.model_copy(update={"past": past})
    first.model_copy(update={"record": record}).save(tmp_path / "trial.json")
    later = run_trial(own, released(), SETTINGS, Silent(), earlier_past(tmp_path, own))
    before, after = first.whole.gate, later.whole.gate
    assert before.both is None
    assert after.both.gain > after.both.standard_error
    assert (after.served, after.users) == ("personalised", before.users)
    assert "with the earlier trial" in render_page(later)
    assert [size.gate for size in later.sizes[:-1]] == [size.gate for size in first.sizes[:-1]]


def test_no_trial_is_no_past(own):
    assert earlier_past(None, own) is None


def test_what_does_not_fit_is_refused(own, first, tmp_path):
    with pytest.raises(DataMissingError, match="no trial"):
        earlier_past(tmp_path, own)
    first.save(tmp_path / "trial.json")
    seen = OwnPlatform(own.platform, None, datetime(1971, 1, 1, tzinfo=UTC).isoformat(), ())
    if first.record.last >= datetime(1971, 1, 1, tzinfo=UTC):
        with pytest.raises(DataInvalidError, match="the gate would know the test"):
            earlier_past(tmp_path, seen)
    with pytest.raises(DataInvalidError, match="have no times"):
        earlier_past(tmp_path, OwnPlatform(own.platform, None, None, ()))
    first.model_copy(update={"record": None}).save(tmp_path / "trial.json")
    with pytest.raises(DataInvalidError, match="has no track record"):
        earlier_past(tmp_path, own)
