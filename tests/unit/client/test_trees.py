"""Several uses of trees at once come to what each comes to alone, and ask no tree twice."""

import lightgbm
import numpy as np
import pytest
from scipy import sparse

from isthmus.ranker import SIGNALS
from isthmus_client.signals.table import CONTENT
from isthmus_client.trees import Trees, reorder_each

USERS, ITEMS, LISTED = 7, 30, 12


def grown(columns, seed):
    """Forty trees over so many columns, in LightGBM's own form."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(900, columns))
    bought = (rows[:, 0] + random.normal(size=900) > 0).astype(np.int8)
    told = {"objective": "lambdarank", "num_leaves": 5, "verbose": -1, "num_threads": 1}
    found = lightgbm.Dataset(rows, label=bought, group=[30] * 30)
    return lightgbm.train(told, found, 40).model_to_string()


@pytest.fixture(scope="module")
def ways():
    boosted, stacked = grown(len(SIGNALS), 1), grown(len(SIGNALS) + 1, 2)
    return (
        Trees(boosted, LISTED, 40, 1.0),
        Trees(boosted, LISTED, 10, 0.5),
        Trees(stacked, LISTED, 25, 0.5, stacked=True),
        Trees(boosted, LISTED, 25, 1.0),
        Trees(boosted, 5, 25, 1.0),
        Trees(boosted, LISTED, 10, 1.0),
        Trees(stacked, LISTED, 25, 1.0, stacked=True),
    )


def asked(seed):
    random = np.random.default_rng(seed)
    signals = random.normal(size=(USERS, len(SIGNALS), ITEMS)).astype(np.float32)
    scores = random.normal(size=(USERS, ITEMS)).astype(np.float32)
    known = sparse.csr_matrix((random.random((USERS, ITEMS)) < 0.2).astype(np.float32))
    return scores, signals, signals[:, CONTENT] + 1.0, known


@pytest.mark.parametrize("seed", range(5))
def test_each_way_is_what_it_is_alone(ways, seed):
    given = asked(seed)
    for trees, together in zip(ways, reorder_each(ways, *given), strict=True):
        np.testing.assert_allclose(together, trees.reorder(*given), rtol=0, atol=1e-6)


def test_what_trees_say_is_what_the_booster_says_of_listed_items(ways):
    scores, signals, content, known = asked(9)
    trees = ways[0]
    made = trees.reorder(scores, signals, content, known)
    booster = lightgbm.Booster(model_str=trees.text)
    for user in range(USERS):
        moved = np.flatnonzero(made[user] != scores[user])
        assert moved.size == LISTED
        read = signals[user, :, moved].copy()
        read[:, CONTENT] = content[user, moved]
        says = scores[user, moved] + booster.predict(read, num_iteration=trees.count)
        np.testing.assert_allclose(np.diff(made[user, moved]), np.diff(says), atol=1e-4)


def test_every_tree_is_asked_once(ways, monkeypatch):
    counted = []
    predict = lightgbm.Booster.predict

    def counting(self, *given, num_iteration, **more):
        counted.append(num_iteration)
        return predict(self, *given, num_iteration=num_iteration, **more)

    monkeypatch.setattr(lightgbm.Booster, "predict", counting)
    reorder_each([trees for trees in ways if trees.listed == LISTED], *asked(3))
    assert sorted(counted) == [10, 15, 15, 25]


def test_no_way_is_no_work():
    assert reorder_each((), *asked(0)) == []
