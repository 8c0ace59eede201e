"""Cells on disk: whole or absent, never of another identity."""

import json

import numpy as np
import pytest
from transfer_cells import cell, platform_facts, values

from isthmus.errors import ResumeError
from isthmus_simulations.transfer.store import CellStore

MARK = {"scenario": "made", "training": {"seed": 3}, "betas": (0.9, 0.99), "data": "abc"}


@pytest.fixture(name="store")
def _store(tmp_path):
    return CellStore(tmp_path / "cells")


@pytest.fixture(name="kept")
def _kept(store):
    """A cell whose platforms and models are not in the order of the alphabet."""
    made = cell(
        3,
        zoo=(platform_facts(30), values(range(30), {"prior": 0.5})),
        ant=(platform_facts(20), values(range(5, 20), {})),
    )
    store.write(made, MARK)
    return made


def test_a_cell_comes_back_value_by_value_and_in_order(store, kept):
    found = store.read("made", 3, MARK)
    assert found.facts == kept.facts
    assert list(found.facts.platforms) == ["zoo", "ant"]
    assert [m.name for m in found.facts.platforms["zoo"].models] == [
        m.name for m in kept.facts.platforms["zoo"].models
    ]
    for name, given in kept.values.items():
        for field, array in vars(given).items():
            assert np.array_equal(getattr(found.values[name], field), array, equal_nan=True)


def test_a_cell_that_is_not_there_is_none(store, kept):
    assert store.read("made", 4, MARK) is None
    assert kept.facts.seed == 3


@pytest.mark.parametrize("file", ["values.npz", "cell.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "empty"])
def test_a_damaged_cell_is_none(store, kept, file, damage):
    path = store.path("made", kept.facts.seed) / file
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "flip":
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(bytes(data))
    else:
        path.write_bytes(bytes(data[: len(data) // 2 if damage == "cut" else 0]))
    assert store.read("made", 3, MARK) is None


def test_values_of_another_cell_are_not_taken_for_its_own(store, kept):
    store.write(cell(4, zoo=(platform_facts(9), values(range(9), {}))), MARK)
    other, mine = store.path("made", 4) / "values.npz", store.path("made", 3) / "values.npz"
    mine.write_bytes(other.read_bytes())
    assert store.read("made", kept.facts.seed, MARK) is None


def test_another_identity_is_refused_by_name(store, kept):
    with pytest.raises(ResumeError, match=r'data "abc" → "xyz"') as refused:
        store.read("made", kept.facts.seed, MARK | {"data": "xyz"})
    assert "--restart" in refused.value.hint
    assert "training" not in str(refused.value)


def test_an_option_that_is_new_is_another_identity(store, kept):
    with pytest.raises(ResumeError, match=r"rounds null → 3"):
        store.read("made", kept.facts.seed, MARK | {"rounds": 3})


def test_another_format_is_computed_again(store, kept):
    path = store.path("made", kept.facts.seed) / "cell.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    assert store.read("made", 3, MARK) is None


def test_clearing_leaves_nothing(store, kept):
    store.clear()
    assert store.read("made", kept.facts.seed, MARK) is None
