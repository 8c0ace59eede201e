"""`isthmus simulate --record` and `--windows 2`: an earlier run counts at a later run's gates."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus_client.certificate import Certificate
from isthmus_client.track_record import TrackRecord
from isthmus_simulations.scenarios.scenario import SplitPlan

SHOPS = Path(__file__).parents[2] / "docs" / "examples" / "two-shops"
ISTHMUS = Path(sys.executable).with_name("isthmus")

pytestmark = pytest.mark.slow


def simulate(folder, scenario, out, *words):
    arguments = ("--rounds", "1", "--quick", "--cache", "cache", "--out", out, "--json", *words)
    return subprocess.run(
        [ISTHMUS, "simulate", "--scenario", scenario, *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def one_window_before(scenario, split):
    """The scenario's text with the split of one window before."""
    plan = SplitPlan().earlier(split["validation_start"], split["test_start"])
    lines = f'validation = "{plan.validation}"\ntest = "{plan.test}"\nend = "{plan.end}"\n'
    return re.sub(r"validation = .*\ntest = .*\n", lines, scenario)


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    shutil.copytree(SHOPS, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(name="first", scope="module")
def _first(folder):
    """A run on all the data: its test window is the very one that must stay unseen."""
    done = simulate(folder, "two-shops.toml", "first")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(name="later", scope="module")
def _later(folder, first):
    """A run that is given the record of one that was made by hand, one window before."""
    earlier = one_window_before((folder / "two-shops.toml").read_text(), first["split"])
    (folder / "earlier.toml").write_text(earlier)
    assert simulate(folder, "earlier.toml", "earlier").returncode == 0
    done = simulate(folder, "two-shops.toml", "later", "--record", "earlier")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_run_that_has_seen_the_test_window_is_refused(folder, first):
    assert first["platforms"]["books"]["gate"]["both"] is None
    done = simulate(folder, "two-shops.toml", "second", "--record", "first")
    assert (done.returncode, done.stdout) == (12, "")
    assert "the gate would know the test" in done.stderr


def test_a_folder_without_records_is_refused(folder, first):
    assert first
    done = simulate(folder, "two-shops.toml", "second", "--record", ".")
    assert (done.returncode, done.stdout) == (11, "")
    assert "holds no track records" in done.stderr


def test_an_earlier_run_is_in_every_certificate_and_can_be_verified(folder, first, later):
    for name, platform in later["platforms"].items():
        told = Certificate.load(folder / "later" / "certificates" / f"{name}.json")
        assert told.past == TrackRecord.load(folder / "earlier" / "records" / f"{name}.json")
        assert platform["models"] == first["platforms"][name]["models"]
        both = platform["gate"]["both"]
        assert both == (told.both and told.both.model_dump())
        if both is not None:
            sure = both["gain"] > both["standard_error"]
            assert platform["gate"]["decision"] == ("federated" if sure else "local")
    verify(folder, "later")


def test_two_windows_make_the_very_same_record_themselves(folder, later):
    """Against what one does by hand: a scenario file of its own, then `--record`."""
    assert later
    done = simulate(folder, "two-shops.toml", "itself", "--windows", "2")
    assert done.returncode == 0, done.stderr
    assert gates(folder / "itself") == gates(folder / "later")
    assert gates(folder / "itself" / "earlier") == gates(folder / "earlier")
    verify(folder, "itself")
    again = simulate(folder, "two-shops.toml", "itself", "--windows", "2")
    assert (again.returncode, again.stdout) == (0, done.stdout)


def gates(run):
    """What every platform's gate and test said."""
    platforms = json.loads((run / "results.json").read_text())["platforms"]
    return {name: (each["gate"], each["models"]) for name, each in platforms.items()}


def verify(folder, run):
    verified = subprocess.run(
        [ISTHMUS, "client", "certificate", run, "--verify"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
