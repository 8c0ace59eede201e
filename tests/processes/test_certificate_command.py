"""A real run leaves certificates that another process measures again, and finds a forgery."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def isthmus(*words, cwd):
    return subprocess.run(
        [BIN / "isthmus", *map(str, words)],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certified")
    scenario = ROOT / "docs" / "examples" / "two-shops" / "two-shops.toml"
    words = ("--scenario", scenario, "--rounds", 1, "--quick", "--out", folder / "run", "--json")
    done = isthmus("simulate", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run", json.loads(done.stdout)


@pytest.mark.slow
def test_the_run_is_certified_as_its_results_say(run):
    folder, results = run
    done = isthmus("client", "certificate", folder, "--json", cwd=folder)
    found = {each["platform"]: each for each in json.loads(done.stdout)}
    assert set(found) == set(results["platforms"])
    for name, platform in results["platforms"].items():
        assert found[name]["decision"] == platform["gate"]["decision"]
        assert found[name]["served"] == platform["gate"]["served"]
        assert found[name]["window"]["users"] == platform["gate"]["users"]
        assert found[name]["release"] == results["config"]["release_fingerprint"]
        assert (folder / "certificates" / f"{name}.html").is_file()


@pytest.mark.slow
def test_another_process_measures_the_same_figures_without_training(run):
    folder, results = run
    done = isthmus("client", "certificate", folder, "--verify", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [each["platform"] for each in told] == sorted(results["platforms"])
    assert all(each["reproduced"] and each["same_code"] for each in told)


@pytest.mark.slow
def test_a_forged_decision_is_found(run):
    folder, results = run
    name = min(results["platforms"])
    path = folder / "certificates" / f"{name}.json"
    honest = path.read_text()
    path.write_text(
        honest.replace('"decision": "local"', '"decision": "federated"', 1).replace(
            '"seed": 7', '"seed": 8', 1
        )
    )
    done = isthmus("client", "certificate", folder, "--platform", name, "--verify", cwd=folder)
    path.write_text(honest)
    assert done.returncode == 31
    assert f"the certificate of {name} does not hold" in done.stderr
