"""The public ranker: a constant that comes with the installation, and where a ranker starts."""

from pathlib import Path

import pytest

from isthmus import ranker_public
from isthmus.border import split
from isthmus.errors import DataInvalidError
from isthmus.ranker import RankerConfig, initial_ranker
from isthmus.ranker_public import public_ranker, starting_ranker

DECISION = Path(__file__).parents[3] / "docs/decisions/0024-a-ranker-from-public-purchases.md"


def test_it_is_the_ranker_that_the_decision_names():
    shared, private = split(public_ranker())
    assert not private.tensors
    assert shared.is_finite()
    assert f"`{shared.fingerprint()}`" in DECISION.read_text()


def test_it_is_a_constant_and_no_seed_moves_it():
    made = {split(starting_ranker("public", seed))[0].fingerprint() for seed in (0, 1, 7)}
    assert made == {split(public_ranker())[0].fingerprint()}


def test_the_mixture_is_round_zero_as_before():
    mixture = split(starting_ranker("mixture", 5))[0]
    assert mixture.fingerprint() == split(initial_ranker(RankerConfig(), 5))[0].fingerprint()
    assert mixture.fingerprint() != split(public_ranker())[0].fingerprint()


def test_a_damaged_installation_is_an_error_with_advice(monkeypatch):
    monkeypatch.setattr(ranker_public, "FILE", "py.typed")
    with pytest.raises(DataInvalidError, match="cannot be read") as caught:
        public_ranker()
    assert "install" in caught.value.hint
