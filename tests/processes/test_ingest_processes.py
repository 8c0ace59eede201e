"""Ingests that are killed at any point, and ingests at the same time, in real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ingest_cases import KEYS, contract, rows_of, tables, take_in, write_events, write_items

from isthmus_client.store import Store

SUPPORT = Path(__file__).parents[1] / "support"
KILLS = 16


def program(*arguments):
    found = subprocess.run(
        [sys.executable, SUPPORT / "ingest_program.py", *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    return json.loads(found.stdout), found.stderr


@pytest.mark.slow
def test_a_killed_ingest_leaves_the_old_generation_or_the_new_one(tmp_path):
    folder = tmp_path / "killed"
    folder.mkdir()
    found, _ = program("kill", folder, KILLS, 5)
    assert found["first"] == 0
    generation, events, killed = 1, 0, 0
    for one in found["story"]:
        assert one["missing"] == []
        assert one["rows"] == one["events"] == one["distinct"]
        assert one["generation"] - generation in {0, 1}
        assert one["events"] >= events
        if one["generation"] == generation and events:
            assert one["events"] == events
        generation, events = one["generation"], one["events"]
        killed += one["killed"]
    assert killed == KILLS
    assert generation > 1  # some came through
    assert found["end"]["orphans"] == 0
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    write_items(undisturbed)
    (undisturbed / "events.parquet").write_bytes((folder / "events.parquet").read_bytes())
    take_in(undisturbed, contract(undisturbed), accept_rejected=True)
    assert rows_of(folder) == rows_of(undisturbed)
    same, other = tables(folder), tables(undisturbed)
    assert same.catalogue.item_ids == other.catalogue.item_ids
    assert same.histories.user_ids == other.histories.user_ids
    for name in ("offsets", "items", "behaviours", "times"):
        np.testing.assert_array_equal(getattr(same.histories, name), getattr(other.histories, name))


def test_of_two_ingests_one_refuses_and_names_the_other(tmp_path):
    found, said = program("race", tmp_path, 2, 0)
    assert sorted(found["codes"]) == [0, 16]
    assert "is being written by process" in said
    assert found["generation"] == 1


def test_an_ingest_that_waits_finds_nothing_new(tmp_path):
    found, _ = program("race", tmp_path, 3, 60)
    assert sorted(found["codes"]) == [0, 3, 3]
    assert found["generation"] == 1
    assert found["rows"] == found["distinct"]


def test_a_full_disk_leaves_the_old_generation(tmp_path):
    found, said = program("full", tmp_path, 20_000)
    assert (found["first"], found["code"]) == (0, 18)
    assert "cannot be written" in said
    assert "free space" in said
    assert found["before"] == found["after"]
    assert found["after"]["orphans"] == 0


def test_another_process_maps_the_same_sequences(tmp_path):
    write_items(tmp_path)
    write_events(tmp_path, [("ann", "lamp", 1_714_521_600), ("ann", "rug", 1_714_521_700)])
    take_in(tmp_path, contract(tmp_path))
    code = (
        "import sys; from isthmus_client.store import map_descriptor as m; "
        "a = m(int(sys.argv[1])); print(a['times'].tolist(), a['times'].flags.writeable)"
    )

    with Store.open(tmp_path / "store", KEYS, writable=False) as store:
        _, descriptor = store.sequences()
    found = subprocess.run(
        [sys.executable, "-c", code, str(descriptor)],
        check=True,
        capture_output=True,
        text=True,
        pass_fds=[descriptor],
    )
    os.close(descriptor)
    assert found.stdout.strip() == "[1714521600, 1714521700] False"
