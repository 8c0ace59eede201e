"""What users who met the same items tell, beyond the small cases of the properties."""

import numpy as np
import pytest
from planted_histories import histories_of, random_platform
from scipy import sparse
from slow_signals import slow_ease, slow_svd

from isthmus_client.baselines import interactions
from isthmus_client.signals import collaborative
from isthmus_client.signals.collaborative import fit_collaborative


def fitted(histories, items):
    stop = histories.offsets[1:]
    counts = interactions(histories, stop, items)
    return fit_collaborative(histories, stop, counts), (counts.toarray() > 0).astype(float)


@pytest.fixture(scope="module")
def wide():
    """More users and items than there are factors."""
    return random_platform(users=90, items=70, events=25, seed=6).histories


@pytest.mark.parametrize("dense", [1000, 0])
def test_factors_are_those_of_a_whole_decomposition(wide, dense, monkeypatch):
    monkeypatch.setattr(collaborative, "DENSE", dense)
    model, known = fitted(wide, 70)
    assert model.factors[0].shape == (70, 48)
    made = model.svd(sparse.csr_matrix(known))
    np.testing.assert_allclose(made, known @ slow_svd(known), atol=2e-4)


@pytest.mark.parametrize("shape", [(3, 9), (9, 3)])
def test_fewer_users_or_items_than_factors(shape):
    histories = random_platform(users=shape[0], items=shape[1], events=6, seed=1).histories
    model, known = fitted(histories, shape[1])
    made = model.svd(sparse.csr_matrix(known))
    np.testing.assert_allclose(made, known @ slow_svd(known), atol=1e-4)


def test_users_alike_in_everything_leave_one_factor():
    model, known = fitted(histories_of(*[[0, 2]] * 7, [0, 2, 2]), 4)
    assert model.factors[0].shape == (4, 1)
    scores = model.svd(sparse.csr_matrix(known[:1]))[0]
    assert scores[[0, 2]].min() > 0.5
    np.testing.assert_allclose(scores[[1, 3]], 0, atol=1e-6)


def test_the_ridge_works_among_the_most_popular_alone(wide, monkeypatch):
    monkeypatch.setattr(collaborative, "RIDGE_ITEMS", 20)
    model, known = fitted(wide, 70)
    popular = known.sum(axis=0)
    assert model.ridge_items.size == 20
    assert popular[model.ridge_items].min() >= np.sort(popular)[-20]
    others = np.setdiff1d(np.arange(70), model.ridge_items)
    scores = model.ease(sparse.csr_matrix(known))
    assert not scores[:, others].any()
    part = known[:, model.ridge_items]
    np.testing.assert_allclose(scores[:, model.ridge_items], part @ slow_ease(part), atol=1e-4)


def test_what_follows_is_told_from_what_comes_together():
    """Item 1 comes in the basket after 0, item 2 in the same one."""
    basket = [(0, 0), (2, 0), (1, 100)]
    model, _ = fitted(histories_of(*[basket] * 30), 4)
    row = sparse.csr_matrix(np.array([[1, 0, 0, 0]], np.float32))
    follow, similar = (made(row).toarray()[0] for made in (model.follow, model.knn))
    assert follow[1] == pytest.approx(30 / (np.sqrt(30 * 60) + 10), rel=1e-5)
    assert not follow[[0, 2, 3]].any()
    assert similar[1] == similar[2] > 0


def test_nobody_knows_nothing():
    model, _ = fitted(histories_of(), 5)
    row = sparse.csr_matrix(np.ones((2, 5), np.float32))
    for score in (model.knn, model.ease, model.svd, model.follow):
        assert score(row).shape == (2, 5)
        assert not sparse.csr_matrix(score(row)).count_nonzero()
