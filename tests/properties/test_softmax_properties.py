"""The fused loss and its gradients are those of autograd over the logits written out."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from isthmus_client import softmax
from isthmus_client.softmax import Candidates, Offset, fused_softmax

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


def plain(query, target, negative, scale, candidates, weight, offset):
    """Every logit in one table, then PyTorch's own cross-entropy."""
    right = (query * target).sum(dim=1) + scale * offset.right
    wrong = query @ negative.T + scale * (offset.query @ offset.negative.T)
    wrong = wrong.masked_fill(candidates.target.unsqueeze(1) == candidates.negative, -torch.inf)
    table = torch.cat([right.unsqueeze(1), wrong], dim=1)
    nothing = torch.zeros(len(table), dtype=torch.long)
    return (weight * functional.cross_entropy(table, nothing, reduction="none")).sum()


def problem(positions, negatives, items, seed, dtype, size=1.0):
    """Leaves, candidates, weights and offset of a random problem."""
    source = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return size * torch.randn(*shape, generator=source, dtype=dtype)

    candidates = Candidates(
        torch.randint(items, (positions,), generator=source),
        torch.randint(items, (negatives,), generator=source),
    )
    leaves = [draw(positions, 5), draw(positions, 5), draw(negatives, 5), draw(1)[0]]
    offset = Offset(draw(positions, 3), draw(negatives, 3), draw(positions))
    weight = torch.rand(positions, generator=source, dtype=dtype)
    return [leaf.requires_grad_() for leaf in leaves], candidates, weight, offset


def compare(made, dtype):
    leaves, candidates, weight, offset = made
    query, target, negative, scale = leaves
    loss = fused_softmax(query, target, negative, candidates, weight, offset=offset, scale=scale)
    expected = plain(*leaves, candidates, weight, offset)
    close = {"atol": TOLERANCE[dtype], "rtol": TOLERANCE[dtype]}
    torch.testing.assert_close(loss, expected, **close)
    # An upstream factor, as where other terms join the loss.
    ours = torch.autograd.grad(3 * loss, leaves)
    theirs = torch.autograd.grad(3 * expected, leaves)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, **close)


@given(
    positions=st.integers(1, 40),
    negatives=st.integers(1, 30),
    items=st.integers(1, 25),  # so few that a negative is often the target
    seed=st.integers(0, 2**31),
    dtype=st.sampled_from([torch.float64, torch.float32]),
)
def test_loss_and_gradients_equal_those_of_the_logits_written_out(
    positions, negatives, items, seed, dtype
):
    compare(problem(positions, negatives, items, seed, dtype), dtype)


@pytest.mark.parametrize("positions", [1, 5, 6, 17])
def test_blocks_add_up(positions, monkeypatch):
    monkeypatch.setattr(softmax, "BUFFER", 5 * 9 + 8)  # five positions
    compare(problem(positions, 9, 50, 4, torch.float64), torch.float64)


def test_steep_logits_neither_overflow_nor_vanish():
    compare(problem(20, 30, 1000, 1, torch.float64, size=40.0), torch.float64)


def test_where_every_negative_is_the_target_nothing_is_left_to_lose():
    leaves, _, weight, offset = problem(4, 3, 1, 2, torch.float64)
    only = Candidates(torch.zeros(4, dtype=torch.long), torch.zeros(3, dtype=torch.long))
    loss = fused_softmax(*leaves[:3], only, weight, offset=offset, scale=leaves[3])
    assert loss.item() == 0
    assert all(g.abs().max() == 0 for g in torch.autograd.grad(loss, leaves))


def test_without_positions_the_loss_is_zero():
    leaves, _, weight, _ = problem(0, 3, 9, 2, torch.float64)
    nothing = Candidates(torch.zeros(0, dtype=torch.long), torch.tensor([1, 2, 3]))
    loss = fused_softmax(*leaves[:3], nothing, weight)
    loss.backward()
    assert loss.item() == 0
    assert leaves[2].grad.abs().max() == 0


def test_gradients_agree_with_finite_differences():
    leaves, candidates, weight, offset = problem(6, 5, 12, 3, torch.float64)

    def loss(query, target, negative, scale):
        return fused_softmax(
            query, target, negative, candidates, weight, offset=offset, scale=scale
        )

    assert torch.autograd.gradcheck(loss, leaves)
