"""How a platform's model scores: against sums written out, and as the prior at the start."""

import numpy as np
import pytest
import torch
from planted_histories import histories_of

from isthmus.border import split
from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus_client.model import (
    PRIOR_DECAY,
    PlatformModel,
    PrivateHead,
    Queries,
    content_logits,
    content_of,
    decayed_sums,
    last_positions,
    logits,
    prior_queries,
    queries,
)
from isthmus_client.sequences import Sequences

CONFIG = EncoderConfig(content=5, dim=8, layers=1, heads=2, max_events=6)
ITEMS = 11
HISTORIES = histories_of([1, 4, 2, 9], [3], [7, 7, 0], [5, 6, 8, 10, 1, 2, 3, 4])


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


CONTENT = torch.nn.functional.normalize(numbers(ITEMS, 5, seed=1), dim=1)


@pytest.fixture
def model():
    """Every part of the score speaks."""
    made = PlatformModel(initial_encoder(CONFIG, seed=3), PrivateHead(ITEMS, CONFIG.dim))
    with torch.no_grad():
        made.shared.item.weight.copy_(numbers(8, 5, seed=2))
        made.private.residual.copy_(numbers(ITEMS, 8, seed=3))
        made.private.bias.copy_(numbers(ITEMS, seed=4))
        made.private.prior_weight.fill_(0.7)
        made.private.content_weight.fill_(1.3)
    return made


def latest(users=(0, 1, 2, 3), most=6):
    made = Sequences(HISTORIES, HISTORIES.offsets[1:], max_events=most, horizon=1)
    return made.latest(np.array(users))


def asked(shared, users=(0, 1, 2, 3)):
    batch = latest(users)
    with torch.no_grad():
        return queries(shared, batch, CONTENT, last_positions(batch))


def test_the_priors_query_is_the_decayed_mean_of_the_history():
    query = asked(initial_encoder(CONFIG, seed=3)).prior
    for row, items in enumerate([[1, 4, 2, 9], [3], [7, 7, 0], [8, 10, 1, 2, 3, 4]]):
        total = sum(CONTENT[i] * PRIOR_DECAY**age for age, i in enumerate(reversed(items)))
        torch.testing.assert_close(query[row], total / total.norm())


def test_the_prior_at_every_position_sees_what_came_so_far():
    events = numbers(2, 5, 3)
    whole = prior_queries(events)
    for seq in range(1, 6):
        torch.testing.assert_close(prior_queries(events[:, :seq])[:, -1], whole[:, seq - 1])


def test_a_gradient_passes_through_the_decayed_sums():
    events = numbers(2, 7, 3).double()
    leaf = events.clone().requires_grad_()
    torch.testing.assert_close(decayed_sums(leaf).detach(), decayed_sums(events))
    assert torch.autograd.gradcheck(decayed_sums, leaf)


def test_a_history_without_content_has_no_direction():
    assert torch.count_nonzero(prior_queries(torch.zeros(2, 4, 3))) == 0


def test_padding_has_no_content():
    content = content_of(latest(), CONTENT)
    assert torch.count_nonzero(content[1, 1:]) == 0
    assert torch.equal(content[1, 0], CONTENT[3])


def test_at_round_zero_scores_are_the_priors():
    shared = initial_encoder(CONFIG, seed=3)
    query = asked(shared)
    with torch.no_grad():
        scores = content_logits(shared, query, CONTENT)
    cosines = query.prior @ CONTENT.T
    torch.testing.assert_close(scores, CONFIG.prior_scale * cosines, rtol=1e-5, atol=1e-6)
    assert torch.equal(scores.argsort(dim=1), cosines.argsort(dim=1))


def test_a_new_head_leaves_the_shared_scores_as_they_are(model):
    fresh = PlatformModel(model.shared, PrivateHead(ITEMS, CONFIG.dim))
    query = asked(model.shared)
    with torch.no_grad():
        full = logits(fresh, query, CONTENT, torch.arange(ITEMS))
        torch.testing.assert_close(full, content_logits(model.shared, query, CONTENT))


def test_the_full_score_is_the_sum_of_its_parts(model):
    query, head = asked(model.shared), model.private
    with torch.no_grad():
        scores = logits(model, query, CONTENT, torch.arange(ITEMS))
        sharpness, items = model.shared.scale, CONTENT @ model.shared.item.weight.T
    for user in range(4):
        for item in range(ITEMS):
            prior = 0.7 * sharpness * (query.prior[user] @ CONTENT[item])
            content = 1.3 * (query.user[user] @ items[item])
            residual = query.user[user] @ head.residual[item]
            expected = prior + content + residual + head.bias[item]
            torch.testing.assert_close(scores[user, item], expected.detach())


def test_scores_of_some_items_are_those_of_all(model):
    some = torch.tensor([4, 9, 4])
    with torch.no_grad():
        whole = logits(model, asked(model.shared), CONTENT, torch.arange(ITEMS))
        part = logits(model, asked(model.shared), CONTENT[some], some)
    torch.testing.assert_close(part, whole[:, some])


def test_a_user_scores_the_same_alone_and_beside_longer_histories(model):
    together = asked(model.shared)
    for user in range(4):
        alone = asked(model.shared, [user])
        torch.testing.assert_close(alone.user[0], together.user[user], rtol=0, atol=1e-5)
        torch.testing.assert_close(alone.prior[0], together.prior[user], rtol=0, atol=1e-5)


def test_queries_come_in_row_major_order(model):
    batch = latest()
    at = torch.from_numpy(batch.items >= 0)
    every = queries(model.shared, batch, CONTENT, at)
    assert every.user.shape == (4 + 1 + 3 + 6, 8)
    last = torch.tensor([3, 4, 7, 13])
    torch.testing.assert_close(
        every.user[last], queries(model.shared, batch, CONTENT, last_positions(batch)).user
    )


def test_last_positions():
    assert last_positions(latest(most=3)).tolist() == [
        [False, False, True],
        [True, False, False],
        [False, False, True],
        [False, False, True],
    ]


def test_the_border_runs_between_encoder_and_head(model):
    shared, private = split(model)
    assert all(name.startswith("shared.") for name in shared.tensors)
    assert set(private.tensors) == {
        "private.bias",
        "private.content_weight",
        "private.prior_weight",
        "private.residual",
    }


def test_content_scores_take_no_private_parameter(model):
    query = asked(model.shared)
    query = Queries(query.prior, query.user)
    content_logits(model.shared, query, CONTENT).sum().backward()
    assert all(p.grad is None for p in model.private.parameters())
    assert model.shared.item.weight.grad is not None
