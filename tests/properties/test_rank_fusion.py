"""Ranks that are fused do not depend on the order of a file, and counting is sorting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from scipy.stats import rankdata

from isthmus_client import ranking
from isthmus_client.ranker_model import SMOOTHING, reciprocal_ranks
from isthmus_client.ranking import expected_ranks

USERS, ITEMS = 3, 8
SCORES = arrays(np.float32, (USERS, ITEMS), elements=st.integers(-3, 3).map(float))
MARKED = arrays(np.bool_, (USERS, ITEMS))


@given(SCORES, MARKED)
def test_new_items_share_the_mean_rank_of_their_score(scores, known):
    made = reciprocal_ranks(scores, sparse.csr_matrix(known.astype(np.float32)))
    for row, mine, old in zip(made, scores, known, strict=True):
        expected = 1.0 / (SMOOTHING + rankdata(-mine[~old], method="average"))
        np.testing.assert_allclose(row[~old], expected, rtol=1e-6)
        assert not row[old].any()


@given(SCORES, MARKED, st.permutations(range(ITEMS)))
def test_another_order_of_the_catalogue_moves_ranks_with_their_items(scores, known, order):
    made, moved = (
        reciprocal_ranks(scores[:, places], sparse.csr_matrix(known[:, places].astype(np.float32)))
        for places in (list(range(ITEMS)), order)
    )
    np.testing.assert_array_equal(moved, made[:, order])


@pytest.mark.parametrize("counted", [0, 16])
@given(scores=SCORES, wanted=MARKED)
def test_targets_have_their_mean_rank_counted_or_sorted(counted, scores, wanted):
    targets = sparse.csr_matrix(wanted.astype(np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "COUNTED", counted)
        ranks, row = expected_ranks(scores, targets)
    expected = [
        rankdata(-mine, method="average")[w] for mine, w in zip(scores, wanted, strict=True)
    ]
    np.testing.assert_array_equal(ranks, np.concatenate(expected))
    np.testing.assert_array_equal(row, np.nonzero(wanted)[0])
