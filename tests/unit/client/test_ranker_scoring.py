"""Scoring in buffers is the ranker's own forward pass."""

import numpy as np
import pytest
import torch

from isthmus.ranker import SIGNALS, RankerConfig, initial_ranker
from isthmus_client.ranker_scoring import score_items
from isthmus_client.signals.table import CONTENT

USERS, ITEMS = 7, 13


@pytest.fixture
def ranker():
    made, random = initial_ranker(RankerConfig(), 1), torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(generator=random)
    return made


@pytest.fixture
def signals():
    shape = (USERS, len(SIGNALS), ITEMS)
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def forward(ranker, signals):
    with torch.no_grad():
        return ranker(torch.from_numpy(signals)).numpy()


def test_scores_are_those_of_the_forward_pass(ranker, signals):
    expected = forward(ranker, signals)
    np.testing.assert_allclose(score_items(ranker, signals), expected, atol=1e-4)
    other_order = np.asfortranarray(signals)
    np.testing.assert_allclose(score_items(ranker, other_order), expected, atol=1e-4)


def test_half_precision_is_read_as_it_was_rounded(ranker, signals):
    half = signals.astype(np.float16)
    expected = forward(ranker, half.astype(np.float32))
    np.testing.assert_allclose(score_items(ranker, half), expected, atol=1e-4)


def test_an_encoders_signal_takes_the_place_of_the_tables(ranker, signals):
    content, before = np.flip(signals[:, 0], axis=1).copy(), signals.copy()
    replaced = signals.copy()
    replaced[:, CONTENT] = content
    made = score_items(ranker, signals, content)
    np.testing.assert_allclose(made, forward(ranker, replaced), atol=1e-4)
    np.testing.assert_array_equal(signals, before)


def test_nobody_has_no_scores(ranker, signals):
    assert score_items(ranker, signals[:0]).shape == (0, ITEMS)
