"""`isthmus benchmark transfer` on two tiny invented shops: killed, continued, refused."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from isthmus_simulations.transfer.models import MODELS
from isthmus_simulations.transfer.results import ComparisonName, TransferResults

ROOT = Path(__file__).parents[2]
SHOPS = ROOT / "docs" / "examples" / "two-shops" / "two-shops.toml"
ISTHMUS = Path(sys.executable).with_name("isthmus")
COMMAND = (
    *(ISTHMUS, "benchmark", "transfer", "--data", SHOPS, "--seeds", "1", "--rounds", "1"),
    *("--max-users", "100", "--workers", "1", "--out", "out", "--cache", "cache"),
)
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80"}

pytestmark = pytest.mark.slow


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
    return tmp_path_factory.mktemp("transfer")


def run(folder, *arguments):
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(name="killed", scope="module")
def _killed(folder):
    """Killed as soon as its first cell of two is finished; when that cell was written."""
    with subprocess.Popen(
        [*COMMAND, "--seeds", "2"], cwd=folder, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    ) as parent:
        for line in parent.stderr:
            if "seed 1 is finished" in line:
                break
        parent.send_signal(signal.SIGKILL)
    return (folder / "out" / "cells" / "two-shops-1" / "cell.json").stat().st_mtime_ns


@pytest.fixture(name="continued", scope="module")
def _continued(folder, killed):
    assert killed
    return run(folder, "--json")


def test_a_killed_benchmark_goes_on_and_computes_no_cell_twice(continued, folder, killed):
    assert (continued.returncode, continued.stderr) == (0, "")
    cell = folder / "out" / "cells" / "two-shops-1" / "cell.json"
    assert cell.stat().st_mtime_ns == killed
    assert not (folder / "out" / "cells" / "two-shops-2" / "cell.json").exists()


def test_json_is_all_that_is_printed_and_keeps_the_schema(continued, folder):
    assert continued.stdout == (folder / "out" / "transfer.json").read_text()
    results = TransferResults.load(folder / "out" / "transfer.json")
    assert [p.platform for p in results.platforms] == ["books", "home"]
    for platform in results.platforms:
        assert list(platform.models) == list(MODELS)
        assert set(platform.comparisons) == set(get_args(ComparisonName))
        assert platform.models["item_knn"].trials
        assert platform.cost.bytes_per_round > 0
        assert platform.curves["federated"][-1].bytes > 0
    found = results.scenarios["two-shops"]
    assert (found.rounds, found.ranker_rounds) == ((2,), (1,))  # one round of each federation


def test_page_and_table_are_there(continued, folder):
    assert continued.returncode == 0, continued.stderr
    assert "books" in (folder / "out" / "transfer.html").read_text()
    rows = (folder / "out" / "transfer.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * len(MODELS)


def test_cells_of_other_options_are_refused(continued, folder):
    refused = run(folder, "--rounds", "2")
    assert (refused.returncode, refused.stdout) == (22, "")
    assert "rounds 1 → 2" in refused.stderr
    assert "--restart" in refused.stderr
    assert (folder / "out" / "transfer.json").read_text() == continued.stdout


def test_a_second_window_is_added_to_the_cells_that_are_there(continued, folder, killed):
    one = TransferResults.model_validate_json(continued.stdout)
    done = run(folder, "--windows", "2", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    cells = folder / "out" / "cells"
    assert (cells / "two-shops-1" / "cell.json").stat().st_mtime_ns == killed
    assert (cells / "two-shops-earlier-1" / "cell.json").exists()
    two = TransferResults.model_validate_json(done.stdout)
    assert (one.method.windows, two.method.windows) == (1, 2)
    assert list(two.scenarios) == ["two-shops"]
    for before, after in zip(one.platforms, two.platforms, strict=True):
        assert after.models == before.models
