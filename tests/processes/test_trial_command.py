"""`isthmus client trial` as a platform calls it, in a process that may not make a socket."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from tiny_encoder import save_tiny_encoder

from isthmus.border import split
from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus_client.release import ENCODER_NAME, TextEncoderName, write_encoder
from isthmus_client.text_encoder import HuggingFaceEncoder

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "support" / "trial_program.py"
SHOPS = ROOT / "docs" / "examples" / "two-shops"
TABLES = ("--events", SHOPS / "home-events.csv", "--items", SHOPS / "home-items.csv")
CONFIG = EncoderConfig(content=12, dim=4, layers=1, heads=2, max_events=10)
CONTRACT = """
[platform]
name = "home"
[events]
source = "elsewhere.csv"
behaviours = { looked = "view", bought = "purchase" }
columns = { user_id = "customer", item_id = "article", timestamp = "when", behaviour = "action" }
[items]
source = "elsewhere.csv"
"""

pytestmark = pytest.mark.slow


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trial")
    encoder = HuggingFaceEncoder(save_tiny_encoder(folder / "encoder"))
    write_encoder(
        split(initial_encoder(CONFIG, seed=4))[0],
        asdict(CONFIG),
        folder / "release",
        taken_after=6,
        text_encoder=TextEncoderName(encoder.name, encoder.fingerprint),
    )
    (folder / "home.toml").write_text(CONTRACT)
    return folder


def trial(folder, *arguments, encoder=("--encoder", "encoder")):
    fixed = ("--platform", "home.toml", "--max-users", "60", "--cache", "cache", *encoder)
    return subprocess.run(
        [sys.executable, PROGRAM, "client", "trial", "release", *TABLES, *fixed, *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(name="first", scope="module")
def _first(folder):
    return trial(folder, "--out", "first", "--json")


def test_it_opens_no_socket_and_prints_json_alone(first, folder):
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    assert first.stdout == (folder / "first" / "trial.json").read_text()
    found = json.loads(first.stdout)
    assert found["shared"].startswith("Nothing left this computer")
    assert {"sasrec", "local", "release", "personalised"} <= set(found["sizes"][-1]["models"])
    assert (folder / "first" / "trial.html").read_text().startswith("<!doctype html>")


def test_the_watch_would_see_a_socket():
    code = (
        "from trial_program import forbid_sockets; forbid_sockets(); import socket; socket.socket()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(PROGRAM.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 99
    assert "A SOCKET" in done.stderr


def test_another_text_encoder_is_a_message_and_leaves_nothing(folder):
    refused = trial(folder, "--out", "x", "--json", encoder=())
    assert refused.returncode == 12, refused.stderr
    error = json.loads(refused.stderr)
    assert "text encoder" in error["message"]
    assert "--encoder" in error["hint"]
    assert not (folder / "x").exists()


def test_an_altered_release_is_a_message_and_leaves_nothing(folder):
    path = folder / "release" / ENCODER_NAME
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        refused = trial(folder, "--out", "x")
    finally:
        path.write_bytes(whole)
    assert refused.returncode == 12
    assert "was altered" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (folder / "x").exists()
