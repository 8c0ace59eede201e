"""One configuration a folder, one owner at a time, nothing overwritten by accident."""

import json
import subprocess
import sys

import pytest

from isthmus.errors import ResumeError, ScenarioError
from isthmus_simulations.options import SimulationOptions
from isthmus_simulations.run_folder import MARK, REPORT, RESULTS, claim, configuration


@pytest.fixture(name="options")
def _options(tmp_path):
    return SimulationOptions(out=tmp_path / "runs" / "a", seed=17, rounds=3)


def work_in(options, *, finish):
    """What a run does while it owns its folder."""
    with claim(options) as state:
        (options.out / "checkpoints").mkdir(exist_ok=True)
        (options.out / "checkpoints" / "1.json").write_text("{}")
        if finish:
            (options.out / RESULTS).write_text("{}")
            (options.out / REPORT).write_text("<html>")
    return state


def test_new_then_unfinished_then_finished(options):
    assert work_in(options, finish=False) == "new"
    assert work_in(options, finish=True) == "unfinished"
    assert work_in(options, finish=True) == "finished"


def test_results_without_their_report_are_unfinished(options):
    work_in(options, finish=True)
    (options.out / REPORT).unlink()
    with claim(options) as state:
        assert state == "unfinished"


@pytest.mark.parametrize(
    "change", [{"seed": 18}, {"rounds": None}, {"quick": True}, {"newcomer": "deli"}]
)
def test_another_configuration_is_refused_with_what_differs(options, change):
    work_in(options, finish=True)
    other = options.model_copy(update=change)
    with pytest.raises(ScenarioError, match=next(iter(change))), claim(other):
        pytest.fail("entered")
    assert (options.out / RESULTS).exists()


@pytest.mark.parametrize("change", [{"engine": "ray"}, {"workers": 5}, {"resume": True}])
def test_how_it_is_computed_is_no_other_configuration(options, change):
    work_in(options, finish=False)
    with claim(options.model_copy(update=change)) as state:
        assert state == "unfinished"


def test_an_edited_scenario_file_is_another_configuration(options, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("name = 'mine'")
    mine = options.model_copy(update={"scenario": str(file)})
    work_in(mine, finish=False)
    file.write_text("name = 'mine'  # edited")
    with pytest.raises(ScenarioError, match="scenario_sha256"), claim(mine):
        pytest.fail("entered")


def test_another_release_does_not_continue_a_run(options):
    work_in(options, finish=False)
    mark = options.out / MARK
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "isthmus": "0.0.9"}))
    with pytest.raises(ScenarioError, match=r"isthmus 0\.0\.9"), claim(options):
        pytest.fail("entered")


def test_force_starts_anew_and_deletes_only_the_run(options, tmp_path):
    work_in(options, finish=True)
    beside = tmp_path / "runs" / "b"
    beside.mkdir()
    other = options.model_copy(update={"seed": 18})
    with claim(other, force=True) as state:
        assert state == "new"
        assert not (options.out / RESULTS).exists()
        assert not (options.out / "checkpoints").exists()
        assert json.loads((options.out / MARK).read_text()) == configuration(other)
    assert beside.exists()


def test_force_follows_no_link_out_of_the_folder(options, tmp_path):
    work_in(options, finish=True)
    treasure = tmp_path / "treasure"
    treasure.mkdir()
    (treasure / "kept.txt").write_text("kept")
    (options.out / "link").symlink_to(treasure)
    with claim(options, force=True) as state:
        assert state == "new"
    assert (treasure / "kept.txt").read_text() == "kept"


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_of_somebody_else_is_never_touched(options, force):
    options.out.mkdir(parents=True)
    (options.out / "thesis.tex").write_text("ten years")
    with pytest.raises(ScenarioError, match="holds other files"), claim(options, force=force):
        pytest.fail("entered")
    assert [entry.name for entry in options.out.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_folder(options):
    options.out.parent.mkdir(parents=True)
    options.out.write_text("")
    with pytest.raises(ScenarioError, match="is a file"), claim(options):
        pytest.fail("entered")


def test_resume_insists_on_a_run_to_resume(options):
    resuming = options.model_copy(update={"resume": True})
    with pytest.raises(ResumeError, match="no run to resume"), claim(resuming):
        pytest.fail("entered")
    assert not options.out.exists()


def test_a_failure_before_any_work_leaves_no_folder(options):
    with pytest.raises(ScenarioError, match="mistyped"), claim(options):
        raise ScenarioError("mistyped")
    assert not options.out.exists()


def fail_after_a_round(options):
    (options.out / "checkpoint").write_text("1")
    raise ZeroDivisionError


def test_a_failure_during_work_leaves_the_run_to_be_continued(options):
    with pytest.raises(ZeroDivisionError), claim(options):
        fail_after_a_round(options)
    with claim(options) as state:
        assert state == "unfinished"


def test_a_damaged_mark_is_said(options):
    work_in(options, finish=False)
    (options.out / MARK).write_text('{"seed": ')
    with pytest.raises(ResumeError, match="damaged"), claim(options):
        pytest.fail("entered")
    with claim(options, force=True) as state:
        assert state == "new"


OWNER = """
import sys
from pathlib import Path
from isthmus_simulations.options import SimulationOptions
from isthmus_simulations.run_folder import claim
with claim(SimulationOptions(out=Path(sys.argv[1]), seed=17, rounds=3)):
    print("owned", flush=True)
    sys.stdin.read()
"""


def test_two_processes_do_not_share_a_folder(options):
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, options.out], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout.readline() == b"owned\n"
        with pytest.raises(ResumeError, match="another process"), claim(options):
            pytest.fail("entered")
        owner.kill()  # the system frees the lock
    with claim(options) as state:
        assert state == "new"
