"""Several uses of trees at once come to what each comes to alone, and ask no tree twice."""

import lightgbm
import numpy as np
import pytest
from scipy import sparse

from isthmus.ranker import SIGNALS
from isthmus_client.ranker_training import listing
from isthmus_client.signals.table import CONTENT
from isthmus_client.trees import Trees, dealt, reorder_each

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
        Trees(boosted, LISTED, 40, 1.0, on_top=False),
        Trees(stacked, LISTED, 25, 0.5, stacked=True, on_top=False),
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
    trees = ways[-2]
    made = trees.reorder(scores, signals, content, known)
    booster = lightgbm.Booster(model_str=trees.text)
    for user in range(USERS):
        new = np.flatnonzero(known.toarray()[user] == 0)
        listed = new[np.argsort(-listing(signals)[user, new])[:LISTED]]
        read = signals[user, :, listed].copy()
        read[:, CONTENT] = content[user, listed]
        says = scores[user, listed] + booster.predict(read, num_iteration=trees.count)
        places = np.sort(scores[user, listed])
        np.testing.assert_allclose(made[user, listed[np.argsort(says)]], places, atol=1e-6)


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


@pytest.mark.parametrize("seed", range(40))
def test_places_are_dealt_in_the_order_that_is_wanted(seed):
    random = np.random.default_rng(seed)
    users, items = int(random.integers(0, 5)), int(random.integers(1, 12))
    scores = random.normal(size=(users, items)).astype(np.float32)
    wanted = random.integers(0, int(random.integers(1, 12)), size=(users, items)).astype(np.float32)
    new = random.random((users, items)) < random.choice([0.5, 1.0])
    made = dealt(scores, wanted, new)
    assert np.isneginf(made[~new]).all()
    for chosen, *row in zip(new, scores, wanted, made, strict=True):
        before, asked_for, after = (values[chosen] for values in row)
        falling, order = np.sort(before)[::-1], np.argsort(-asked_for, kind="stable")
        slow = np.empty_like(before)
        for value in np.unique(asked_for):
            equals = np.flatnonzero(asked_for[order] == value)
            slow[order[equals]] = falling[equals].mean(dtype=np.float64)
        np.testing.assert_allclose(after, slow, rtol=1e-6)
