"""What is fitted at home: a head around an encoder that stays as released."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted_histories import histories_of, platform_of, random_platform

from isthmus.border import split
from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus_client.evaluate import Evaluator
from isthmus_client.mixing import search_mix
from isthmus_client.model import PlatformModel, PrivateHead, logits, queries
from isthmus_client.personalise import (
    HeadSettings,
    head_loss,
    log_popularity,
    personalise,
)
from isthmus_client.ranking import rank
from isthmus_client.workspace import Workspace

CONFIG = EncoderConfig(content=6, dim=8, layers=1, heads=2, max_events=6)
SETTINGS = HeadSettings(epochs=6, patience=0, batch_size=8, negatives=12, learning_rate=0.05)
LONGER = replace(SETTINGS, epochs=25)


@pytest.fixture
def workspace():
    return Workspace(random_platform(users=90, items=25, seed=3), max_events=6)


@pytest.fixture
def orderly():
    """After item n comes item n + 1: content does not know it, an item residual can."""
    lists = [[(start + step) % 25 for step in range(5 + start % 3)] for start in range(90)]
    return Workspace(platform_of(histories_of(*lists), 25), max_events=6)


@pytest.fixture
def release():
    made = initial_encoder(CONFIG, seed=2)
    with torch.no_grad():
        made.item.weight.normal_(generator=torch.Generator().manual_seed(2))
    return made


def fitted(workspace, release, settings=SETTINGS, seed=0):
    return personalise(workspace, release, settings, seed=seed)


def test_the_encoder_stays_bit_for_bit(workspace, release):
    before = split(release)[0].fingerprint()
    done = fitted(workspace, release)
    assert split(release)[0].fingerprint() == before
    assert split(done.model.shared)[0].fingerprint() == before
    assert all(p.grad is None for p in done.model.shared.parameters())


def test_the_head_learns_what_content_does_not_know(orderly, release):
    done = fitted(orderly, release, LONGER)
    assert done.best > 0
    assert torch.count_nonzero(done.model.private.residual) > 0
    assert done.curve[done.best].ndcg > done.curve[0].ndcg + 0.05
    test = Evaluator(orderly, "test")
    assert test.model(done.model).mean_ndcg > test.content(release).mean_ndcg + 0.05


def test_it_is_never_worse_than_its_own_starting_mix_on_the_tuning_users(workspace, release):
    done = fitted(workspace, release)
    evaluator = Evaluator(workspace, "validation", purpose="tuning")
    start = PlatformModel(release, PrivateHead(workspace.items, CONFIG.dim))
    untouched = evaluator.model(start).mean_ndcg
    done.mix.apply(start.private, log_popularity(workspace))
    mixed, final = evaluator.model(start).mean_ndcg, evaluator.model(done.model).mean_ndcg
    assert done.curve[0].ndcg == mixed
    assert final == done.curve[done.best].ndcg
    assert final >= mixed >= untouched - 1e-9


def test_the_mix_is_the_searchs(workspace, release):
    evaluator = Evaluator(workspace, "validation", purpose="tuning")
    expected = search_mix(
        evaluator.parts(release), evaluator.task, log_popularity(workspace).numpy()
    )
    assert fitted(workspace, release).mix == expected


def test_the_same_seed_gives_the_same_head(orderly, release):
    one, again, other = (
        split(fitted(orderly, release, LONGER, seed=seed).model)[1].fingerprint()
        for seed in (1, 1, 2)
    )
    assert one == again
    assert one != other


def test_patience_ends_the_fit(workspace, release):
    brief = fitted(workspace, release, HeadSettings(epochs=50, patience=1, batch_size=8))
    assert len(brief.curve) - 1 - brief.best <= 1


def test_scores_of_the_model_are_what_the_evaluator_ranks(workspace, release):
    """The parts of the search, weighted by hand, rank as the model does."""
    done = fitted(workspace, release, HeadSettings(epochs=0))
    evaluator = Evaluator(workspace, "test")
    parts, mix = evaluator.parts(release), done.mix
    scores = mix.prior * parts.prior + mix.content * parts.content
    scores = scores + mix.bias * log_popularity(workspace).numpy()
    by_hand = rank(
        evaluator.task, lambda users: scores[np.searchsorted(evaluator.task.users, users)]
    )
    np.testing.assert_allclose(evaluator.model(done.model).ndcg, by_hand.ndcg, atol=1e-6)


def test_log_popularity_counts_training_users_once_and_is_centred():
    #                training | validation, test
    histories = histories_of([0, 0, 1, 2, 3], [0, 4, 4], [2, 0, 1, 1])
    made = log_popularity(Workspace(platform_of(histories, 5), max_events=6))
    users = np.array([3, 1, 1, 0, 0])  # user 0 trains on 0 0 1, user 1 on 0, user 2 on 2 0
    expected = np.log1p(users) - np.log1p(users).mean()
    np.testing.assert_allclose(made.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "histories", [histories_of([4], [2]), histories_of([(1, 0), (2, 0)], [(4, 9)])]
)
def test_without_validation_users_the_release_stays_as_it_is(release, histories):
    workspace = Workspace(platform_of(histories, 9), max_events=6)
    done = fitted(workspace, release)
    assert torch.count_nonzero(done.model.private.residual) == 0
    assert torch.count_nonzero(done.model.private.bias) == 0
    assert done.curve[0].ndcg is None
    assert len(done.curve) == 1


def test_a_released_encoder_can_still_be_trained_afterwards(workspace, release):
    fitted(workspace, release)
    assert all(parameter.requires_grad for parameter in release.parameters())


def of_the_head(workspace, release):
    """A model with a head away from its start, and a batch for it."""
    frozen = release.requires_grad_(requires_grad=False)
    model = PlatformModel(frozen, PrivateHead(workspace.items, CONFIG.dim)).double()
    source = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.private.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=source))
    users = workspace.sequences.training_users[:20]
    return model, workspace.sequences.training_batch(users, np.random.default_rng(4))


def slow_head_loss(model, batch, content, negatives):
    """Mean over users of the mean over their positions, one position at a time."""
    at = torch.from_numpy(batch.targets >= 0)
    scores = logits(model, queries(model.shared, batch, content, at), content, torch.arange(25))
    losses = [[] for _ in batch.targets]
    for row, user, target in zip(
        scores, at.nonzero()[:, 0].tolist(), batch.targets[batch.targets >= 0].tolist(), strict=True
    ):
        others = [row[n] for n in negatives.tolist() if n != target]
        losses[user].append(torch.logsumexp(torch.stack([row[target], *others]), 0) - row[target])
    return sum(torch.stack(one).mean() for one in losses) / len(losses)


def test_the_heads_loss_and_its_gradient_are_those_of_a_loop_over_full_scores(workspace, release):
    model, batch = of_the_head(workspace, release)
    content, head = workspace.content.double(), list(model.private.parameters())
    fast = head_loss(model, batch, content, np.random.default_rng(6), 12)
    negatives = np.random.default_rng(6).integers(0, workspace.items, size=12)
    slow = slow_head_loss(model, batch, content, negatives)
    torch.testing.assert_close(fast, slow, atol=1e-10, rtol=1e-10)
    for one, other in zip(
        torch.autograd.grad(fast, head), torch.autograd.grad(slow, head), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)


def test_the_heads_loss_makes_no_tensor_on_the_default_device(workspace, release):
    model, batch = of_the_head(workspace, release)
    content = workspace.content.double()
    expected = head_loss(model, batch, content, np.random.default_rng(6), 12)
    with torch.device("meta"):
        loss = head_loss(model, batch, content, np.random.default_rng(6), 12)
        loss.backward()
    assert loss == expected
