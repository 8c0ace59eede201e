"""The engine's clipped sum is that of a loop over users, and no user moves it by more than C."""

from copy import deepcopy
from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st
from private_cases import (
    CONFIG,
    TOLERANCE,
    assert_same,
    clipped_by_hand,
    difference,
    drawn_batch,
    drawn_content,
    drawn_encoder,
    drawn_negatives,
    drawn_zoo,
    norm,
    rows_of,
    slow_sum,
)

from isthmus_client.dp import clipped_sum, clipped_sum_of, contributions

DTYPES = st.sampled_from([torch.float64, torch.float32])
SEEDS = st.integers(0, 2**31)
NORMS = st.sampled_from([1e-3, 0.7, 3.0, 1e4])


@st.composite
def problems(draw):
    """Encoder, batch, content and negatives of any shape; items are often repeated.

    The adapters read all of the content or its leading numbers alone.
    """
    seed, dtype, items = draw(SEEDS), draw(DTYPES), draw(st.integers(1, 12))
    users = draw(st.integers(1, 10))
    empty = draw(st.sets(st.integers(0, users - 1), max_size=3))
    batch = drawn_batch(users, items, seed, longest=draw(st.integers(1, 9)), empty=empty)
    negatives = drawn_negatives(items, draw(st.integers(1, 20)), seed)
    config = replace(CONFIG, adapter_width=draw(st.sampled_from([None, 1, 4])))
    encoder = drawn_encoder(seed, dtype, config)
    return encoder, batch, drawn_content(items, seed, dtype), negatives


@given(problem=problems(), clipping_norm=NORMS, cost=st.sampled_from([0.0, 24.0, 1e9]))
def test_clipped_sum_is_the_loop_over_users(problem, clipping_norm, cost):
    """Whichever form each layer's gradients take."""
    encoder, batch, content, negatives = problem
    before, contributions.KEPT_COST = contributions.KEPT_COST, cost
    try:
        found = clipped_sum(encoder, [batch], content, negatives, clipping_norm)
    finally:
        contributions.KEPT_COST = before
    expected = slow_sum(encoder, batch, content, negatives, clipping_norm)
    exact = slow_sum(deepcopy(encoder).double(), batch, content.double(), negatives, clipping_norm)
    # Where a gradient's terms cancel, the loop itself is no better than its own rounding.
    rounding = norm(difference(expected, exact))
    tolerance = TOLERANCE[content.dtype] * norm(exact) + 3 * rounding
    assert norm(difference(found.tensors, exact)) <= tolerance
    assert set(found.tensors) == set(expected)
    assert found.users == len(batch.items)


@given(problem=problems(), clipping_norm=NORMS)
def test_no_user_moves_the_sum_by_more_than_the_clipping_norm(problem, clipping_norm):
    """The removal test: ||S(D) - S(D without u)|| <= C."""
    encoder, batch, content, negatives = problem
    everyone = clipped_sum(encoder, [batch], content, negatives, clipping_norm)
    for user in range(len(batch.items)):
        others = rows_of(batch, [u for u in range(len(batch.items)) if u != user])
        rest = clipped_sum(encoder, [others], content, negatives, clipping_norm)
        moved = norm(difference(everyone.tensors, rest.tensors))
        rounding = TOLERANCE[content.dtype] * norm(everyone.tensors)
        assert moved <= clipping_norm + rounding


@given(problem=problems(), cut=st.integers(0, 10), clipping_norm=NORMS)
def test_micro_batches_only_cut_the_work(problem, cut, clipping_norm):
    encoder, batch, content, negatives = problem
    users = range(len(batch.items))
    parts = [rows_of(batch, [*users[:cut]]), rows_of(batch, [*users[cut:]]).trimmed()]
    found = clipped_sum(encoder, parts, content, negatives, clipping_norm)
    whole = clipped_sum(encoder, [batch], content, negatives, clipping_norm)
    assert_same(found.tensors, whole.tensors, content.dtype)
    assert (found.users, found.within) == (whole.users, whole.within)


@given(
    seed=SEEDS,
    dtype=DTYPES,
    shape=st.tuples(st.integers(1, 8), st.integers(1, 9)),
    sizes=st.tuples(st.integers(1, 30), st.integers(1, 6), st.integers(2, 6)),
    table=st.booleans(),
    cost=st.sampled_from([0.0, 24.0, 1e9]),
)
def test_every_kind_of_layer_equals_the_loop(seed, dtype, shape, sizes, table, cost):
    """Ids repeat, one layer is called twice, and one has no positions."""
    ids, width, hidden = sizes
    zoo = drawn_zoo(seed, dtype, ids=ids, width=width, hidden=hidden, table=table)
    given_ids = torch.randint(ids, shape, generator=torch.Generator().manual_seed(seed))
    before, contributions.KEPT_COST = contributions.KEPT_COST, cost
    try:
        found = clipped_sum_of(zoo, [(len(given_ids), lambda: zoo(given_ids))], 0.9)
    finally:
        contributions.KEPT_COST = before
    losses = (zoo(given_ids[[user]])[0] for user in range(len(given_ids)))
    assert_same(found.tensors, clipped_by_hand(zoo, losses, 0.9), dtype)
