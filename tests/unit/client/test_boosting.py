"""Trees reorder a user's listed items and nothing else, and learn from listed items alone."""

from dataclasses import replace

import lightgbm
import numpy as np
import pytest
import torch
from scipy import sparse

from isthmus.ranker import LISTING, SIGNALS, RankerConfig, initial_ranker
from isthmus_client.boosting import BOOSTED, STACKED, grow
from isthmus_client.ranker_training import Examples
from isthmus_client.signals.table import CONTENT
from isthmus_client.trees import Trees

HARD, TARGETS, SPARE = 12, 2, 6
TOLD = SIGNALS.index("last_seen")  # decides what is bought; the ranker of round 0 does not read it


def examples_of(count, seed=0):
    """Examples in which the item of the largest signal is bought."""
    random = np.random.default_rng(seed)
    signals = random.normal(size=(count, len(SIGNALS), TARGETS + HARD + SPARE))
    offsets = np.zeros((count, signals.shape[2]), dtype=np.float32)
    offsets[:, TARGETS + HARD :] = 1.0
    shares = np.zeros_like(offsets)
    best = signals[:, TOLD, : TARGETS + HARD].argmax(axis=1)
    # the bought item stands first, as where examples are made
    rows = np.arange(count)
    swapped = signals[rows, :, best].copy()
    signals[rows, :, best] = signals[:, :, 0]
    signals[:, :, 0] = swapped
    shares[:, 0] = 1.0
    return Examples(signals.astype(np.float16), shares, offsets)


def ranker():
    return initial_ranker(RankerConfig(), seed=0)


@pytest.fixture(scope="module")
def grown():
    found = grow(ranker(), examples_of(1500), listed=HARD, seed=1)
    assert found is not None
    return found


def scored(signals):
    with torch.no_grad():
        return ranker()(torch.from_numpy(signals)).numpy()


def no_history(users, items):
    return sparse.csr_matrix((users, items), dtype=np.float32)


def drawn(users, items, seed):
    random = np.random.default_rng(seed)
    signals = random.normal(size=(users, len(SIGNALS), items)).astype(np.float32)
    return signals, scored(signals)


def ways(grown):
    return (*grown.ways(), *grown.stacked_ways(), grown.cautious())


def test_as_many_trees_grow_as_any_use_asks_for(grown):
    for trees in ways(grown):
        booster = lightgbm.Booster(model_str=trees.text)
        assert booster.num_trees() == (STACKED if trees.stacked else BOOSTED) >= trees.count


def test_every_use_learns_what_the_ranker_does_not_know(grown):
    signals, scores = drawn(200, HARD, seed=5)
    truth = signals[:, TOLD].argmax(axis=1)
    content = signals[:, CONTENT]
    before = np.mean(scores.argmax(axis=1) == truth)
    for trees in ways(grown):
        made = trees.reorder(scores, signals, content, no_history(200, HARD))
        assert np.mean(made.argmax(axis=1) == truth) > before + 0.2


@pytest.mark.parametrize("seed", range(25))
def test_only_listed_items_change_places(grown, seed):
    random = np.random.default_rng(seed)
    items = int(random.integers(1, 40))
    signals, scores = drawn(3, items, seed)
    met = random.random((3, items)) < random.choice([0.0, 0.3, 0.6])
    plain = sum(weight * signals[:, SIGNALS.index(name)] for name, weight in LISTING.items())
    apart = replace(grown, on_top=False)
    for trees in (grown.cautious(), grown.stacked_ways()[0], apart.cautious()):
        known = sparse.csr_matrix(met.astype(np.float32))
        made = trees.reorder(scores, signals, signals[:, CONTENT], known)
        for user in range(3):
            new = np.flatnonzero(~met[user])
            order = new[np.argsort(-plain[user, new])]
            listed, others = order[:HARD], order[HARD:]
            assert np.array_equal(made[user, others], scores[user, others])
            if trees.on_top:
                above = made[user, listed].min(initial=np.inf)
                assert above > made[user, others].max(initial=-np.inf)
            else:
                before, after = np.sort(scores[user, listed]), np.sort(made[user, listed])
                np.testing.assert_allclose(after, before, atol=1e-6)


def test_without_any_weight_the_ranker_s_order_stays(grown):
    signals, scores = drawn(20, HARD, seed=8)
    for text, stacked in ((grown.boosted, False), (grown.stacked, True)):
        trees = Trees(text, HARD, 100, 0.0, stacked=stacked)
        made = trees.reorder(scores, signals, signals[:, CONTENT], no_history(20, HARD))
        assert np.array_equal(np.argsort(made), np.argsort(scores))


def test_targets_that_are_not_listed_teach_nothing():
    examples = examples_of(60)
    hidden = examples.signals.copy()
    for name in LISTING:
        hidden[:, SIGNALS.index(name), 0] = -50.0  # far below every hard candidate
    lost = Examples(hidden, examples.shares, examples.offsets)
    assert grow(ranker(), lost, listed=HARD, seed=1) is None


def test_the_score_of_the_encoder_at_hand_is_read(grown):
    signals, scores = drawn(5, HARD, seed=9)
    left_open = signals.copy()
    left_open[:, CONTENT] = 77.0
    trees, known = grown.cautious(), no_history(5, HARD)
    one = trees.reorder(scores, signals, signals[:, CONTENT], known)
    assert np.array_equal(one, trees.reorder(scores, left_open, signals[:, CONTENT], known))
