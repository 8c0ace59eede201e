"""Kill -9 at any point of a run, resume, and nothing differs from an undisturbed run."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.audit_log import verify_log

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "support" / "federation_program.py"


def run(folder, *options):
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, PROGRAM, folder, *options],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run(folder)
    assert done.returncode == 0, done.stderr
    return done.stdout, rounds_of(folder)


def rounds_of(folder):
    """Everything in the records but the seconds, and the tensors' bytes."""
    records = []
    for path in sorted((folder / "rounds").glob("round-*.json")):
        checkpoint = json.loads(path.read_text())["checkpoint"]
        if checkpoint["record"]:
            del checkpoint["record"]["seconds"]
        records.append(checkpoint)
    tensors = [p.read_bytes() for p in sorted((folder / "rounds").glob("*.safetensors"))]
    return records, tensors


@pytest.mark.parametrize(
    "point",
    ["train:1", "train:3", "before:2", "between:2", "after:2", "between:0", "before:4", "after:4"],
)
def test_a_killed_run_resumes_to_the_very_same_bytes(tmp_path, undisturbed, point):
    killed = run(tmp_path / "run", "--die", point)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = run(tmp_path / "run", "--die", point)
    assert resumed.returncode == 0, resumed.stderr
    assert (resumed.stdout, rounds_of(tmp_path / "run")) == undisturbed
    for name in ("a", "b", "c"):
        check = verify_log(tmp_path / "run" / "receipts" / f"{name}.jsonl")
        assert check.first_bad is None
        assert check.lines >= 4


def test_another_configuration_does_not_resume(tmp_path):
    run(tmp_path / "run", "--die", "after:2")
    other = run(tmp_path / "run", "--optimiser", "fedavgm")
    assert other.returncode == 1
    assert "optimiser.name was fedadam, now fedavgm" in other.stderr
