"""`isthmus simulate` as a person or a program calls it, on two tiny invented shops."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHOPS = ROOT / "docs" / "examples" / "two-shops" / "two-shops.toml"
ISTHMUS = Path(sys.executable).with_name("isthmus")

pytestmark = pytest.mark.slow


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
    return tmp_path_factory.mktemp("simulate")


def simulate(folder, *arguments, scenario=SHOPS):
    fixed = ("--scenario", scenario, "--rounds", "2", "--out", "run", "--cache", "cache")
    return subprocess.run(
        [ISTHMUS, "simulate", *fixed, *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(name="first", scope="module")
def _first(folder):
    return simulate(folder, "--json")


def test_json_is_all_that_is_printed(first, folder):
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    assert first.stdout == (folder / "run" / "results.json").read_text()


def test_the_promised_figures_are_there(first):
    results = json.loads(first.stdout)
    assert set(results["platforms"]) == {"books", "home"}
    for platform in results["platforms"].values():
        for model in (
            "popularity",
            "item_knn",
            "prior",
            "local",
            "federated",
            "personalised",
            "pooled",
        ):
            assert {"ndcg@10", "hr@10", "mrr"} <= set(platform["models"][model])
        assert platform["gate"]["decision"] in {"federated", "local"}
    assert results["privacy"]["mechanism"] == "none"


def test_the_report_and_the_release_are_there(first, folder):
    assert first.returncode == 0, first.stderr
    written = {path.name for path in (folder / "run").rglob("*") if path.is_file()}
    assert {"report.html", "results.json", "encoder.safetensors", "model-card.md"} <= written


def test_a_person_sees_the_warning_the_table_and_the_path(first, folder):
    before = (folder / "run" / "results.json").stat().st_mtime_ns
    shown = simulate(folder)
    assert shown.returncode == 0 == first.returncode, shown.stderr
    assert "N O T   P R I V A T E" in shown.stderr
    assert "is finished already" in shown.stderr
    assert "books" in shown.stdout
    assert str(folder / "run" / "report.html") in shown.stdout
    assert (folder / "run" / "results.json").stat().st_mtime_ns == before


def test_another_configuration_does_not_overwrite_the_run(first, folder):
    refused = simulate(folder, "--seed", "8", "--json")
    assert refused.returncode == 10
    assert refused.stdout == ""
    error = json.loads(refused.stderr)
    assert "seed 7 → 8" in error["message"]
    assert "--force" in error["hint"]
    assert (folder / "run" / "results.json").read_text() == first.stdout


INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from isthmus.cli import main
main()
"""


def test_an_interrupted_run_goes_on_to_the_same_result(first, folder):
    fixed = ("--scenario", SHOPS, "--rounds", "2", "--out", "again", "--cache", "cache")
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "simulate", *fixed],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        for line in running.stderr:
            if line.startswith("federation"):
                break
        running.send_signal(signal.SIGINT)
        assert "--resume" in running.stderr.read()
    assert running.returncode == 130
    assert not (folder / "again" / "results.json").exists()
    resumed = simulate(folder, "--out", "again", "--resume", "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert figures(json.loads(resumed.stdout)) == figures(json.loads(first.stdout))


def figures(results):
    """All that training decides, without clocks."""
    kept = ("models", "repeat_models", "differences", "gate")
    return {
        name: [platform[key] for key in kept] for name, platform in results["platforms"].items()
    }


def test_mistakes_are_messages(folder):
    for scenario, code in (("absent.toml", 10), (SHOPS.parent / "books-items.csv", 10)):
        refused = simulate(folder, "--out", "other", scenario=scenario)
        assert refused.returncode == code
        assert "error: " in refused.stderr
        assert "Traceback" not in refused.stderr
        assert not (folder / "other").exists()
