"""Whitening: of catalogue text alone, whatever axes a platform's text lies along."""

import numpy as np
import pytest

from isthmus_client.content import unit_rows, whiten


def vectors(items=40, content=6, seed=0):
    """Strongly stretched along the first axis and off centre, as sentence embeddings are."""
    made = np.random.default_rng(seed).normal(size=(items, content))
    return (made * [9, 4, 1, 1, 1, 1][:content] + 5).astype(np.float32)


def test_rows_have_length_one():
    made = whiten(vectors())
    assert made.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, rtol=1e-5)


def test_no_direction_dominates_any_more():
    raw, white = unit_rows(vectors(2000) - vectors(2000).mean(axis=0)), whiten(vectors(2000))
    assert raw.var(axis=0)[0] / raw.var(axis=0).sum() > 0.6
    assert white.var(axis=0).max() / white.var(axis=0).sum() < 0.3


def test_full_whitening_makes_every_direction_alike_before_the_rows_are_scaled():
    """Against the definition: with no shrinkage, (x - mean) times covariance^-1/2."""
    raw = vectors(200).astype(np.float64)
    centred = raw - raw.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov(centred.T))
    expected = centred @ axes @ np.diag(values**-0.5) @ axes.T
    np.testing.assert_allclose(np.cov(expected.T), np.eye(6), atol=1e-9)
    made = whiten(vectors(200), shrinkage=0.0)
    np.testing.assert_allclose(made, unit_rows(expected.astype(np.float32)), atol=1e-5)


def test_a_turned_catalogue_gives_the_turned_result():
    """Symmetric whitening has no axes of its own: platforms stay in one coordinate system."""
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))
    turned = whiten((vectors() @ turn).astype(np.float32))
    np.testing.assert_allclose(turned, whiten(vectors()) @ turn, atol=1e-4)


def test_the_order_of_items_does_not_matter():
    order = np.random.default_rng(2).permutation(40)
    np.testing.assert_allclose(whiten(vectors()[order]), whiten(vectors())[order], atol=1e-5)


def test_no_power_only_centres():
    centred = vectors() - vectors().mean(axis=0)
    np.testing.assert_allclose(whiten(vectors(), power=0.0), unit_rows(centred), atol=1e-5)


@pytest.mark.parametrize("items", [1, 2, 3, 5])
def test_fewer_items_than_directions(items):
    made = whiten(vectors(items))
    assert made.shape == (items, 6)
    assert np.isfinite(made).all()


def test_what_equals_the_centre_stays_zero():
    assert whiten(np.ones((4, 6), np.float32)).tolist() == np.zeros((4, 6)).tolist()
    assert whiten(vectors(1)).tolist() == [[0] * 6]


def test_the_vectors_given_stay_as_they_are():
    given = vectors()
    whiten(given)
    np.testing.assert_array_equal(given, vectors())
