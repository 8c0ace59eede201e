"""From scores on disk to a verdict, a page and an exit code."""

import json
import re
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from isthmus.cli import run as isthmus
from isthmus.errors import AuditError, DataInvalidError, DataMissingError
from isthmus.privacy.one_run import Guesses
from isthmus_client.dp.canaries import Canaries, Watch
from isthmus_simulations.audit.page import bars, render_page, verdict
from isthmus_simulations.audit.records import (
    Claim,
    claim_path,
    read_watch,
    watch_path,
    write_watch,
)
from isthmus_simulations.audit.verdict import Audit, Bound, audit_run, require_consistent

COMMAND = [EntryPoint("audit", "isthmus.cli_audit:app", "isthmus.commands")]
NOT_PRIVATE = {"mode": "none", "epsilon": None, "sampling_rate": None, "noise_multiplier": None}


def claim_of(**changed):
    """Epsilon 2.55 by the accountant: 25 rounds of a tenth of the users."""
    values = {
        "epsilon": 2.7,
        "delta": 1e-5,
        "mode": "pooled",
        "platforms": ("books", "home"),
        "sampling_rate": 0.1,
        "noise_multiplier": 1.25,
        "rounds": 25,
    }
    return Claim(**{**values, **changed})


def watch_of(strength, count=600, seed=0):
    """Scores that give the coins away the more, the greater the strength."""
    random = np.random.default_rng(seed)
    included = random.random(count) < 0.5
    signs = np.where(random.random(count) < 0.5, 1, -1)
    scores = strength * included + random.normal(size=count)
    return Watch(Canaries(random.permutation(5000)[:count], signs, included), scores)


def write_run(folder, *strengths, **changed):
    claim = claim_of(**changed)
    claim.save(claim_path(folder))
    for seed, (name, strength) in enumerate(zip(claim.platforms, strengths, strict=True)):
        write_watch(folder, name, watch_of(strength, seed=seed))
    return folder


def test_records_come_back_as_they_were_written(tmp_path):
    watch = watch_of(1.0)
    write_watch(tmp_path, "books", watch)
    found = read_watch(tmp_path, "books")
    for name in ("coordinates", "signs", "included"):
        np.testing.assert_array_equal(getattr(found.canaries, name), getattr(watch.canaries, name))
    np.testing.assert_array_equal(found.scores, watch.scores)
    claim = claim_of()
    claim.save(claim_path(tmp_path))
    assert Claim.load(claim_path(tmp_path)) == claim


def test_a_claim_needs_no_schema_version_of_its_own(tmp_path):
    value = claim_of().model_dump(mode="json")
    del value["schema_version"]
    claim_path(tmp_path).parent.mkdir()
    claim_path(tmp_path).write_text(json.dumps(value))
    assert Claim.load(claim_path(tmp_path)) == claim_of()


@pytest.mark.parametrize(
    "changed",
    [
        {"epsilon": None},
        {"mode": "none"},
        {"noise_multiplier": 0.0},
        {"delta": 0.0},
        {"platforms": ()},
        {"platforms": ("a", "a")},
        {"platforms": ("../a",)},
        {"rounds": -1},
    ],
)
def test_half_a_claim_is_refused(tmp_path, changed):
    value = claim_of().model_dump(mode="json") | changed
    claim_path(tmp_path).parent.mkdir()
    claim_path(tmp_path).write_text(json.dumps(value))
    with pytest.raises(DataInvalidError, match="privacy claim"):
        Claim.load(claim_path(tmp_path))


def damage(folder, **changed):
    with np.load(watch_path(folder, "books")) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    np.savez(watch_path(folder, "books"), **{**found, **changed})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"scores": np.full(600, np.nan)}, "NaN"),
        ({"scores": np.zeros(3)}, "shapes"),
        ({"coordinates": np.zeros(600, np.int64)}, "share a coordinate"),
        ({"signs": np.zeros(600, np.int64)}, "neither 1 nor -1"),
        ({"included": np.zeros(600)}, "expected"),
        ({"more": np.zeros(600)}, "expected"),
    ],
)
def test_damaged_records_are_refused(tmp_path, changed, words):
    write_run(tmp_path, 0.0, 0.0)
    damage(tmp_path, **changed)
    with pytest.raises(DataInvalidError, match=words):
        audit_run(tmp_path)


def test_a_file_of_something_else_is_refused(tmp_path):
    write_run(tmp_path, 0.0, 0.0)
    whole = watch_path(tmp_path, "books").read_bytes()
    for content in (b"", b"no archive", whole[: len(whole) // 2]):
        watch_path(tmp_path, "books").write_bytes(content)
        with pytest.raises(DataInvalidError, match="is damaged"):
            audit_run(tmp_path)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(DataMissingError, match="no privacy claim"):
        audit_run(tmp_path)
    claim_of().save(claim_path(tmp_path))
    with pytest.raises(DataMissingError, match="no canaries of books"):
        audit_run(tmp_path)


def test_blind_scores_contradict_nothing(tmp_path):
    found = audit_run(write_run(tmp_path, 0.0, 0.0))
    assert found.consistent
    found.require_consistent()
    assert [bound.epsilon for bound in found.bounds] == [0.0, 0.0]
    assert found.accounted == pytest.approx(2.55, abs=0.01)
    assert "no proof" in verdict(found)


def test_bounds_hold_together(tmp_path):
    """Two platforms share the five per cent."""
    found = audit_run(write_run(tmp_path, 2.0, 2.0))
    assert [bound.confidence for bound in found.bounds] == [0.975, 0.975]
    alone = audit_run(write_run(tmp_path, 2.0, platforms=("books",)))
    assert alone.bounds[0].confidence == pytest.approx(0.95)
    assert alone.bounds[0].epsilon > found.bounds[0].epsilon


def test_scores_that_say_more_than_the_claim_stop_the_release(tmp_path):
    found = audit_run(write_run(tmp_path, 0.0, 30.0))
    assert not found.consistent
    with pytest.raises(AuditError, match=r"home at least 3\.\d+ \(120 of 120 guesses right"):
        found.require_consistent()
    assert "disproved on home: do not release" in verdict(found)


def test_a_schedule_that_costs_more_than_the_claim_stops_it_too(tmp_path):
    found = audit_run(write_run(tmp_path, 0.0, 0.0, rounds=50))
    assert found.misaccounted
    with pytest.raises(AuditError, match=r"the schedule costs 3\.\d+: 50 rounds"):
        found.require_consistent()


def test_a_bound_at_the_claim_passes():
    at = Bound("books", Guesses(600, 120, 118), 2.7, 3.5, 0.05, 0.95)
    require_consistent(claim_of(), at)
    above = Bound("books", Guesses(600, 120, 119), 2.7001, 3.5, 0.04, 0.95)
    with pytest.raises(AuditError, match=r"books at least 2\.7 "):
        require_consistent(claim_of(), at, above)


def test_without_a_claim_the_bound_is_shown_and_nothing_stops(tmp_path):
    found = audit_run(write_run(tmp_path, 30.0, 30.0, **NOT_PRIVATE))
    assert found.consistent
    assert found.bounds[0].epsilon > 3
    assert found.bounds[0].p_value is None
    assert "Nothing is claimed" in verdict(found)


def test_before_the_first_round_nothing_is_spent(tmp_path):
    assert audit_run(write_run(tmp_path, 0.0, 0.0, rounds=0)).accounted == 0.0


def test_a_claim_beyond_what_so_few_canaries_can_disprove_is_said_to_be(tmp_path):
    found = audit_run(write_run(tmp_path, 0.0, 0.0, epsilon=8.0))
    assert "Too few canaries" in render_page(found)
    assert "Too few canaries" not in render_page(audit_run(write_run(tmp_path, 0.0, 0.0)))


def test_the_page_holds_every_figure_and_nothing_foreign(tmp_path):
    write_run(tmp_path, 0.0, 30.0, platforms=("books", "home"))
    page = render_page(audit_run(tmp_path))
    assert not re.findall(r"https?://|<script", page)
    for words in ("books", "home", "2.70", "120 of 120", "25 rounds"):
        assert words in page
    assert page.count('class="loss"') == 1


def test_bars_are_shares_of_the_longest():
    audit = Audit(
        claim_of(epsilon=4.0),
        (Bound("books", Guesses(9, 2, 1), 1.0, 2.0, 1.0, 0.95),),
        accounted=4.0,
        confidence=0.95,
    )
    assert bars(audit) == [(audit.bounds[0], 0.25, 0.5, 1.0)]


def test_the_command_shows_a_table_and_writes_the_page(tmp_path, capsys):
    assert isthmus(["audit", "privacy", str(write_run(tmp_path, 0.0, 1.0))], COMMAND) == 0
    shown = capsys.readouterr().out
    assert "That is no proof of it" in shown
    assert "privacy.html" in shown
    assert (tmp_path / "audit" / "privacy.html").stat().st_size > 3000


def test_json_holds_the_figures(tmp_path, capsys):
    write_run(tmp_path, 0.0, 1.0)
    assert isthmus(["audit", "privacy", str(tmp_path), "--json"], COMMAND) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["consistent"] is True
    assert value["claim"]["epsilon"] == 2.7
    assert [found["platform"] for found in value["platforms"]] == ["books", "home"]
    assert value["platforms"][1]["guesses"]["guessed"] == 120
    assert 0 < value["platforms"][1]["epsilon"] < 2.7


def test_a_disproved_claim_returns_35_and_leaves_the_page(tmp_path, capsys):
    write_run(tmp_path, 0.0, 30.0)
    assert isthmus(["audit", "privacy", str(tmp_path), "--json"], COMMAND) == 35
    told = capsys.readouterr()
    assert json.loads(told.out)["consistent"] is False
    assert json.loads(told.err)["error"] == "AuditError"
    assert (tmp_path / "audit" / "privacy.html").exists()


def test_a_folder_without_an_audit_returns_11_and_one_that_is_damaged_12(tmp_path, capsys):
    assert isthmus(["audit", "privacy", str(tmp_path)], COMMAND) == 11
    assert "audit/claim.json" in capsys.readouterr().err
    write_run(tmp_path, 0.0, 0.0)
    claim_path(tmp_path).write_text("{")
    assert isthmus(["audit", "privacy", str(tmp_path)], COMMAND) == 12
