"""The ledger under kill -9, several processes, a full disk and a medium that cannot be written."""

import json
import os
import resource
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus_client.ledger import Ledger

PROGRAM = Path(__file__).parents[1] / "support" / "ledger_program.py"
APART = ("unshare", "--map-root-user", "--mount")
"""Mounts of its own, without rights that the test does not have."""


def play(*words, prefix=(), limit=None):
    done = subprocess.run(
        [*prefix, sys.executable, PROGRAM, *map(str, words)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=limit,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return json.loads(done.stdout)


def apart(mount, folder, *words):
    """The program, where `mount` made the folder another file system."""
    command = " ".join(shlex.quote(str(word)) for word in (sys.executable, PROGRAM, *words))
    done = subprocess.run(
        [*APART, "bash", "-c", f"set -e; F={shlex.quote(str(folder))}; {mount}; {command}"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def can_mount():
    words = [*APART, "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


needs_mounts = pytest.mark.skipif(not can_mount(), reason="no user namespaces with mounts here")


@pytest.mark.slow
def test_a_platform_killed_at_any_point_has_charged_all_that_left(tmp_path):
    story = play("kill", tmp_path, 36, 11)
    assert all(each["killed"] for each in story)
    assert not any(each["uncharged"] for each in story)
    for name in ("charged", "spent", "left"):
        seen = [each[name] for each in story]
        assert seen == sorted(seen), f"{name} fell"
    last = story[-1]
    assert last["charged"] >= 10, "too few rounds to have been killed in the middle of"
    assert last["resent"] >= 3
    assert last["left"] <= last["charged"] + last["resent"]


def test_processes_at_once_charge_every_round_of_each(tmp_path):
    found = play("race", tmp_path, 3, 12)
    assert found == {"failed": 0, "charged": 36, "uncharged": []}


@needs_mounts
def test_a_full_disk_stops_the_platform_before_anything_uncharged_leaves(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    mount = 'mount -t tmpfs -o size=256k none "$F"; trap \'cp "$F"/* "$F/../kept"\' EXIT'
    folder = tmp_path / "small"
    folder.mkdir()
    found = apart(mount, folder, "spend", folder, 10_000)
    assert "the disk is full or fails" in found["error"]
    assert "make room" in found["hint"]
    check_whole(kept)


def test_a_file_that_may_not_grow_stops_the_platform_too(tmp_path):
    def small():
        resource.setrlimit(resource.RLIMIT_FSIZE, (96 * 1024, 96 * 1024))

    found = play("spend", tmp_path, 10_000, limit=small)
    assert "the disk is full or fails" in found["error"]
    check_whole(tmp_path)
    assert play("spend", tmp_path, 3)["error"] is None  # with room again it goes on


def check_whole(folder):
    """Nothing is half written, and all that left is charged."""
    with Ledger(folder / "ledger.sqlite") as ledger:
        rows = ledger.entries()
    left = (folder / "left.txt").read_text().split()
    committed = [row.fingerprint for row in rows if row.kind == "commit"]
    assert 3 < len(left) == len(set(left))
    assert set(left) <= set(committed)
    assert len(committed) <= sum(row.kind == "reserve" for row in rows)


READ_ONLY = 'mount --bind "$F" "$F"; mount -o remount,bind,ro "$F"'


@needs_mounts
def test_a_ledger_is_not_made_where_nothing_can_be_written(tmp_path):
    found = apart(READ_ONLY, tmp_path, "spend", tmp_path, 1)
    assert "cannot be made: Read-only file system" in found["error"]
    assert not list(tmp_path.iterdir())


@needs_mounts
def test_a_ledger_on_a_read_only_medium_can_be_looked_at_and_not_spent_from(tmp_path):
    play("spend", tmp_path, 2)
    found = apart(READ_ONLY, tmp_path, "spend", tmp_path, 3)
    assert "cannot be opened for that" in found["error"]
    assert "who may read and write" in found["hint"]
    assert apart(READ_ONLY, tmp_path, "look", tmp_path)["charged"] == 2
