"""The loss against a loop, its gradient too; what a stretch of training may and may not do."""

import copy

import numpy as np
import pytest
import torch
from planted_histories import random_platform

from isthmus.border import split
from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus_client.model import content_logits, queries
from isthmus_client.training import (
    SCALE_SPEED,
    Settings,
    batches,
    bucketed,
    content_loss,
    distance,
    generator,
    optimiser_for,
    threads,
    train_content,
)
from isthmus_client.workspace import Workspace

CONFIG = EncoderConfig(content=6, dim=8, layers=1, heads=2, max_events=5)
ITEMS = 15


def slow_softmax(table, batch, negatives):
    """Mean over users of the mean over their positions. table: (positions, items)."""
    position, users = 0, []
    for row in batch.targets.tolist():
        losses = []
        for target in [t for t in row if t >= 0]:
            scores = table[position]
            others = [scores[n] for n in negatives.tolist() if n != target]
            losses.append(
                torch.logsumexp(torch.stack([scores[target], *others]), 0) - scores[target]
            )
            position += 1
        users.append(torch.stack(losses).mean() if losses else torch.zeros(()))
    return torch.stack(users).mean()


@pytest.fixture(scope="module")
def workspace():
    return Workspace(random_platform(users=30, items=ITEMS, seed=2), max_events=5)


@pytest.fixture
def encoder():
    made = initial_encoder(CONFIG, seed=1)
    with torch.no_grad():
        made.item.weight.normal_(generator=torch.Generator().manual_seed(2))
    return made


def test_the_federated_objective_is_the_loop_over_content_scores(workspace, encoder):
    users = workspace.sequences.training_users
    batch = workspace.sequences.training_batch(users, np.random.default_rng(4))
    loss = content_loss(encoder, batch, workspace.content, np.random.default_rng(5), 20)
    negatives = np.random.default_rng(5).integers(0, ITEMS, size=20)
    query = queries(encoder, batch, workspace.content, torch.from_numpy(batch.targets >= 0))
    table = content_logits(encoder, query, workspace.content)
    torch.testing.assert_close(loss, slow_softmax(table, batch, negatives))


def train(workspace, encoder, settings=None, *, epochs=1.0, seed=0):
    settings = settings or Settings(batch_size=8, negatives=20, learning_rate=0.01)
    random = generator(seed, "test")
    return train_content(
        encoder,
        workspace.sequences,
        workspace.content,
        batches(workspace.sequences.training_users, settings, epochs, random),
        settings=settings,
        random=random,
        optimiser=optimiser_for(encoder, settings),
    )


def test_training_learns_and_reports_the_mean_loss(workspace, encoder):
    before = train(workspace, encoder)
    for seed in range(8):
        after = train(workspace, encoder, epochs=3, seed=seed)
    assert after < 0.9 * before


def test_the_same_seed_trains_the_same_bytes(workspace):
    prints = []
    for seed in (3, 3, 4):
        made = initial_encoder(CONFIG, seed=1)
        train(workspace, made, seed=seed)
        prints.append(split(made)[0].fingerprint())
    assert prints[0] == prints[1] != prints[2]


def test_every_part_of_the_encoder_is_trained(workspace, encoder):
    before = split(encoder)[0]
    train(workspace, encoder, epochs=3)
    moved = split(encoder)[0].minus(before)
    assert all(np.abs(tensor).max() > 0 for tensor in moved.tensors.values())


def test_the_priors_sharpness_learns_faster_than_the_rest(encoder):
    settings = Settings(learning_rate=0.01, weight_decay=0.5)
    rates = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in optimiser_for(encoder, settings).param_groups
        for parameter in group["params"]
    }
    assert rates.pop(id(encoder.log_scale)) == (SCALE_SPEED * 0.01, 0.0)
    assert set(rates.values()) == {(0.01, 0.5)}
    assert len(rates) == len(list(encoder.parameters())) - 1


def moved_by(workspace, **settings):
    made = initial_encoder(CONFIG, seed=1)
    before = split(made)[0]
    train(
        workspace,
        made,
        Settings(batch_size=8, negatives=20, learning_rate=0.01, **settings),
        epochs=4,
    )
    return split(made)[0].minus(before).norm()


def test_a_proximal_term_holds_back(workspace):
    assert moved_by(workspace, proximal=100.0) < 0.7 * moved_by(workspace)


def test_one_step_moves_no_further_than_the_clipped_gradient(workspace, encoder):
    with torch.no_grad():
        encoder.item.weight.mul_(30)  # so steep that the gradient is clipped
    before, settings = split(encoder)[0], Settings(batch_size=99, negatives=20)
    random = generator(0, "test")
    train_content(
        encoder,
        workspace.sequences,
        workspace.content,
        batches(workspace.sequences.training_users, settings, 1.0, random),
        settings=settings,
        random=random,
        optimiser=torch.optim.SGD(encoder.parameters(), lr=0.5),
    )
    assert split(encoder)[0].minus(before).norm() == pytest.approx(0.5, rel=1e-3)


def test_distance_is_the_sum_of_squares():
    module = torch.nn.Linear(2, 1)
    start = [p.detach() - 2 for p in module.parameters()]
    assert distance(module, start).item() == pytest.approx(3 * 4)
    assert distance(module, []).item() == 0


USERS = np.array([5, 2, 9, 4, 11])


def parts(epochs=1.0, **settings):
    return batches(USERS, Settings(**settings), epochs, np.random.default_rng(0))


@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_a_pass_takes_everyone_once(size):
    made = parts(batch_size=size)
    assert all(part.size == size for part in made[:-1])
    assert 0 < made[-1].size <= size
    assert sorted(np.concatenate(made).tolist()) == sorted(USERS.tolist())


def test_passes_follow_each_other_in_new_orders():
    order = np.concatenate(parts(3.0, batch_size=4)).tolist()
    passes = [order[:5], order[5:10], order[10:]]
    assert all(sorted(one) == sorted(USERS.tolist()) for one in passes)
    assert len({tuple(one) for one in passes}) > 1


@pytest.mark.parametrize(("epochs", "users"), [(0.2, 1), (0.5, 3), (1.2, 6), (0.01, 1)])
def test_a_part_of_a_pass_rounds_up(epochs, users):
    assert np.concatenate(parts(epochs, batch_size=2)).size == users


def test_steps_may_be_limited():
    assert [p.size for p in parts(4.0, batch_size=2, max_steps=3)] == [2, 2, 2]


def lengths_of(users):
    """A made-up length for each user, long tail included."""
    return np.asarray(users * 7919 % 41, dtype=np.int64)


def many(count=103, epochs=1.0, size=4, seed=0):
    settings = Settings(batch_size=size)
    return batches(np.arange(count) * 3, settings, epochs, np.random.default_rng(seed))


@pytest.mark.parametrize("count", [1, 3, 4, 103, 500])
def test_buckets_hold_everyone_of_a_pass_once_in_batches_of_the_same_sizes(count):
    plain = many(count)
    made = bucketed(plain, lengths_of, np.random.default_rng(1))
    assert sorted(p.size for p in made) == sorted(p.size for p in plain)
    assert sorted(np.concatenate(made).tolist()) == sorted(np.concatenate(plain).tolist())


def padding(parts):
    """Share of the padded batches that holds no event."""
    lengths = [lengths_of(part) for part in parts]
    return 1 - sum(row.sum() for row in lengths) / sum(row.size * row.max() for row in lengths)


def test_buckets_save_most_of_the_padding():
    plain = many(1000, size=16)
    assert padding(bucketed(plain, lengths_of, np.random.default_rng(1))) < padding(plain) / 4


def test_buckets_come_in_an_order_that_does_not_follow_length():
    made = bucketed(many(1000, size=16), lengths_of, np.random.default_rng(1))
    longest = [lengths_of(part).max() for part in made]
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.4


def test_buckets_mix_users_anew_in_every_pass():
    made = [
        {
            frozenset(p.tolist())
            for p in bucketed(many(seed=k), lengths_of, np.random.default_rng(k))
        }
        for k in (1, 1, 2)
    ]
    assert made[0] == made[1]
    assert len(made[0] & made[2]) < len(made[0]) / 2


def test_the_rest_of_a_pass_is_of_users_of_any_length():
    """It weighs more by user, so it may not always be the longest or the shortest."""
    found = []
    for seed in range(40):
        made = bucketed(many(102, seed=seed), lengths_of, np.random.default_rng(seed))
        (rest,) = [part for part in made if part.size == 2]
        found.append(lengths_of(rest).mean())
    assert np.mean(found) == pytest.approx(lengths_of(np.arange(102) * 3).mean(), abs=4)


def test_a_small_platform_does_not_meet_a_user_many_times_in_one_batch():
    made = bucketed(many(8, epochs=20, size=4), lengths_of, np.random.default_rng(0))
    assert all(np.unique(part).size >= 3 for part in made)


def test_threads_are_set_inside_and_given_back():
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_columns_without_targets_change_nothing(workspace, encoder):
    users = workspace.sequences.training_users
    batch = workspace.sequences.training_batch(users, np.random.default_rng(4))
    trimmed = batch.trimmed()
    assert trimmed.items.shape[1] < batch.items.shape[1]
    both = [
        content_loss(encoder, one, workspace.content, np.random.default_rng(5), 20)
        for one in (batch, trimmed)
    ]
    gradients = [torch.autograd.grad(loss, list(encoder.parameters())) for loss in both]
    torch.testing.assert_close(both[0], both[1])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_the_gradient_of_the_federated_objective_is_that_of_plain_scores(workspace, encoder):
    """Items embedded once a step, running sums and the fused softmax against none of them."""
    doubled, content = copy.deepcopy(encoder).double(), workspace.content.double()
    batch = workspace.sequences.training_batch(
        workspace.sequences.training_users, np.random.default_rng(4)
    )
    fast = content_loss(doubled, batch, content, np.random.default_rng(5), 20)
    negatives = np.random.default_rng(5).integers(0, ITEMS, size=20)
    query = queries(doubled, batch, content, torch.from_numpy(batch.targets >= 0))
    slow = slow_softmax(content_logits(doubled, query, content), batch, negatives)
    parameters = list(doubled.parameters())
    for one, other in zip(
        torch.autograd.grad(fast, parameters), torch.autograd.grad(slow, parameters), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)


def test_a_batch_without_targets_has_no_loss(workspace, encoder):
    batch = workspace.sequences.latest(np.arange(4))
    loss = content_loss(encoder, batch, workspace.content, np.random.default_rng(5), 20)
    assert loss.item() == 0


def test_a_step_makes_no_tensor_on_the_default_device(workspace, encoder):
    """As on a GPU: what is made without a word about its device would land elsewhere."""
    settings = Settings(batch_size=8, negatives=20, proximal=0.1)
    expected = train(workspace, copy.deepcopy(encoder), settings)
    with torch.device("meta"):
        assert train(workspace, encoder, settings) == expected
    assert {parameter.device.type for parameter in encoder.parameters()} == {"cpu"}


def test_bfloat16_stays_near_and_leaves_parameters_wide(workspace, encoder):
    batch = workspace.sequences.training_batch(
        workspace.sequences.training_users, np.random.default_rng(4)
    )
    parameters = list(encoder.parameters())
    losses = [
        content_loss(
            encoder, batch, workspace.content, np.random.default_rng(5), 20, bfloat16=narrow
        )
        for narrow in (False, True)
    ]
    wide, narrow = (torch.autograd.grad(loss, parameters) for loss in losses)
    assert losses[0] != losses[1]  # it does something
    torch.testing.assert_close(losses[0], losses[1], atol=0.03, rtol=0)
    assert {gradient.dtype for gradient in narrow} == {torch.float32}
    cosine = torch.nn.functional.cosine_similarity(
        *(torch.cat([g.flatten() for g in gradients]) for gradients in (wide, narrow)), dim=0
    )
    assert cosine > 0.99


def test_generators_differ_by_seed_and_purpose_and_not_by_process():
    drawn = {
        names: generator(*names).integers(2**60).item()
        for names in [(1, "round", "a", 1), (1, "round", "a", 2), (1, "round", "b", 1), (2, "head")]
    }
    assert len(set(drawn.values())) == 4
    assert generator(1, "round", "a", 1).integers(2**60) == drawn[1, "round", "a", 1]
    # A fixed figure: another process, and another day, draws the same.
    assert generator(1, "round", "a", 1).integers(1000) == 562
