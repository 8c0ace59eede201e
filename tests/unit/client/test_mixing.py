"""The search for mixing weights: never worse than the release, and what is there is found."""

import numpy as np
import pytest
import torch
from scipy import sparse

from isthmus_client.mixing import FEWEST, Mix, Parts, _grid, search_mix, sure_gain
from isthmus_client.model import PrivateHead
from isthmus_client.ranking import Task, rank

USERS, ITEMS = np.arange(3, 83, 2), 30
COUNT = USERS.size


def task_of(targets):
    return Task(
        USERS[: len(targets)],
        sparse.csr_matrix((len(targets), ITEMS), dtype=np.float32),
        sparse.csr_matrix(np.asarray(targets, np.float32)),
        masked=True,
    )


def wanted(seed=0):
    made = np.zeros((len(USERS), ITEMS), np.float32)
    random = np.random.default_rng(seed)
    for row in made:
        row[random.integers(ITEMS, size=2)] = 1
    return made


def noise(*shape, seed=0):
    return np.random.default_rng([seed, 9]).normal(size=shape).astype(np.float32)


def quality(mix, parts, task, bias):
    """Written out: row k of the parts belongs to the k-th user of the task."""
    scores = mix.prior * parts.prior + mix.content * parts.content + mix.bias * bias
    return rank(task, lambda users: scores[np.searchsorted(USERS, users)]).ndcg


@pytest.mark.parametrize("seed", range(6))
def test_the_mix_is_never_worse_than_the_release(seed):
    parts = Parts(noise(COUNT, ITEMS, seed=seed), noise(COUNT, ITEMS, seed=seed + 50))
    task, bias = task_of(wanted(seed)), noise(ITEMS, seed=seed + 99)
    release = quality(Mix(), parts, task, bias)
    found = quality(search_mix(parts, task, bias), parts, task, bias)
    assert found.mean() >= release.mean()
    surest = max(sure_gain(quality(mix, parts, task, bias), release) for mix in _grid())
    assert sure_gain(found, release) == pytest.approx(max(surest, 0.0))


@pytest.mark.parametrize("users", [FEWEST - 1, FEWEST])
def test_a_handful_of_users_cannot_argue_the_release_away(users):
    targets = wanted()[:users]
    parts, none = Parts(noise(users, ITEMS), targets), np.zeros(ITEMS, np.float32)
    moved = search_mix(parts, task_of(targets), none) != Mix()
    assert moved == (users >= FEWEST)


def test_a_sure_gain_is_the_mean_less_its_standard_error():
    start = np.linspace(0, 0.5, 40)
    gains = np.tile([0.1, -0.02], 20)
    assert sure_gain(start + gains, start) == pytest.approx(0.04 - np.std(gains, ddof=1) / 40**0.5)
    assert sure_gain(start, start) == 0
    assert sure_gain(start[:7] + 0.5, start[:7]) < 0


def test_a_part_that_knows_is_found():
    """Each part in turn knows the targets, softly; the others are loud noise."""
    targets = wanted()
    loud = [20 * noise(COUNT, ITEMS, seed=1), 20 * noise(COUNT, ITEMS, seed=2)]
    task, none = task_of(targets), np.zeros(ITEMS, np.float32)
    found = search_mix(Parts(targets, loud[0]), task, none)
    assert found.content == 0
    assert found.prior > 0
    found = search_mix(Parts(loud[0], targets), task, none)
    assert found.prior == 0
    assert found.content > 0
    bias = np.zeros(ITEMS, np.float32)
    bias[4] = 5
    everyone = task_of(np.tile(bias > 0, (COUNT, 1)))
    assert (
        search_mix(Parts(noise(COUNT, ITEMS), noise(COUNT, ITEMS, seed=3)), everyone, bias).bias > 0
    )


def test_every_mix_is_tried_once_the_release_first():
    tried = list(_grid())
    assert tried[0] == Mix()
    assert len(tried) == len(set(tried))
    assert {mix.bias > 0 for mix in tried} == {True, False}


def test_what_helps_nobody_is_left_as_it_is():
    perfect = Parts(wanted(), np.zeros((COUNT, ITEMS), np.float32))
    assert search_mix(perfect, task_of(wanted()), np.zeros(ITEMS, np.float32)) == Mix()


def test_nobody_to_search_with():
    nothing = np.zeros((0, ITEMS), np.float32)
    assert search_mix(Parts(nothing, nothing), task_of(nothing), noise(ITEMS)) == Mix()


def test_the_release_as_it_is():
    head = PrivateHead(ITEMS, 4)
    before = {name: value.clone() for name, value in head.state_dict().items()}
    Mix().apply(head, torch.from_numpy(noise(ITEMS)))
    for name, value in head.state_dict().items():
        assert torch.equal(value, before[name])


def test_weights_are_written_into_a_head():
    head, bias = PrivateHead(ITEMS, 4), torch.from_numpy(noise(ITEMS))
    Mix(bias=0.5, prior=0.25, content=0.1).apply(head, bias)
    torch.testing.assert_close(head.bias.detach(), 0.5 * bias)
    assert head.prior_weight.item() == 0.25
    assert head.content_weight.item() == pytest.approx(0.1)
    assert all(parameter.requires_grad for parameter in head.parameters())
