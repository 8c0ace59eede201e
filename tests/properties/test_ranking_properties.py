"""Ranking against a loop over users and items, and baselines against loops over events."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from planted_histories import RETURN, drawn_histories, drawn_split, spans
from scipy import sparse

from isthmus_client.baselines import (
    interactions,
    item_knn,
    item_similarity,
    own_history,
    popularity,
)
from isthmus_client.ranking import CUTOFF, Task, build_task, rank

BRIEF = settings(deadline=None, max_examples=150)
FEW = st.sampled_from([-2.0, 0.0, 0.5, 3.0])  # so few values that ties are common


@st.composite
def tasks(draw):
    """Users with any history and at least one target, and their scores."""
    items, users = draw(st.integers(1, 26)), draw(st.integers(1, 4))
    parts = draw(arrays(np.int8, (users, items), elements=st.integers(0, 2)))
    masked = draw(st.booleans())
    targets, history = parts == 1, parts == 2
    targets[:, 0], history[:, 0] = True, False
    if not masked:
        history |= draw(arrays(bool, (users, items)))
    scores = draw(arrays(np.float32, (users, items), elements=FEW))
    matrices = (sparse.csr_matrix(m.astype(np.float32)) for m in (history, targets))
    return Task(np.arange(users) * 3 + 1, *matrices, masked), scores


def by_user(task, scores):
    """Hands out a user's own row, whatever chunk the user is asked for in."""
    row = {int(user): place for place, user in enumerate(task.users)}
    return lambda users: scores[[row[int(user)] for user in users]]


def slow_ranks(scores, hidden, targets):
    """Expected rank of each target when ties are broken by chance."""
    open_to = [i for i in range(len(scores)) if not hidden[i]]
    ranks = []
    for target in targets:
        better = sum(scores[i] > scores[target] for i in open_to)
        tied = sum(scores[i] == scores[target] for i in open_to if i != target)
        ranks.append(1 + better + tied / 2)
    return ranks


def slow_user(scores, hidden, targets):
    """NDCG@10, hit@10 and reciprocal rank of one user."""
    ranks = slow_ranks(scores, hidden, targets)
    gain = sum(1 / math.log2(1 + r) for r in ranks if r <= CUTOFF)
    ideal = sum(1 / math.log2(1 + r) for r in range(1, min(len(targets), CUTOFF) + 1))
    return min(gain / ideal, 1.0), float(min(ranks) <= CUTOFF), 1 / min(ranks)


@BRIEF
@given(tasks())
def test_metrics_are_those_of_a_loop(case):
    task, scores = case
    ranking = rank(task, by_user(task, scores))
    for row in range(task.users.size):
        hidden = task.history[row].toarray()[0] * task.masked
        targets = np.flatnonzero(task.targets[row].toarray()[0])
        slow = slow_user(scores[row], hidden, targets)
        fast = (ranking.ndcg[row], ranking.hit[row], ranking.reciprocal[row])
        np.testing.assert_allclose(fast, slow, rtol=1e-12)


@BRIEF
@given(tasks())
def test_every_target_has_its_rank_user_and_item(case):
    task, scores = case
    ranking = rank(task, by_user(task, scores))
    told = zip(ranking.target_rows, ranking.target_items, ranking.target_ranks, strict=True)
    slow = []
    for row in range(task.users.size):
        hidden = task.history[row].toarray()[0] * task.masked
        targets = np.flatnonzero(task.targets[row].toarray()[0])
        ranks = slow_ranks(scores[row], hidden, targets)
        slow += [(row, item, r) for item, r in zip(targets, ranks, strict=True)]
    assert sorted(told) == slow


@BRIEF
@given(tasks())
def test_metrics_lie_between_nothing_and_perfection(case):
    task, scores = case
    ranking = rank(task, by_user(task, scores))
    for metric in (ranking.ndcg, ranking.hit, ranking.reciprocal):
        assert (metric >= 0).all()
        assert (metric <= 1 + 1e-12).all()
    assert 0 < ranking.coverage <= 1


@BRIEF
@given(tasks())
def test_the_targets_on_top_are_perfection(case):
    task, _ = case
    best = task.targets.toarray() * 5 + np.linspace(0, 1, task.targets.shape[1], dtype=np.float32)
    ranking = rank(task, by_user(task, best))
    np.testing.assert_allclose(ranking.ndcg, 1, rtol=1e-12)
    assert (ranking.reciprocal == 1).all()


@BRIEF
@given(drawn_histories(), st.data(), st.sampled_from(["validation", "test"]), st.booleans())
def test_a_windows_users_and_targets_are_those_of_a_loop(histories, data, window, masked):
    split = data.draw(drawn_split(histories))
    task = build_task(histories, split, window, 7, masked=masked)
    expected = {}
    for user, (first, last) in enumerate(spans(histories)):
        start = split.train_stop[user] if window == "validation" else split.validation_stop[user]
        stop = split.validation_stop[user] if window == "validation" else last
        before = set(histories.items[first:start].tolist())
        met = {int(histories.items[p]) for p in range(start, stop) if not_returned(histories, p)}
        if before and (met - before if masked else met):
            expected[user] = (before, met - before if masked else met)
    assert task.users.tolist() == sorted(expected)
    for row, user in enumerate(task.users.tolist()):
        assert set(task.history[row].indices.tolist()) == expected[user][0]
        assert set(task.targets[row].indices.tolist()) == expected[user][1]


def not_returned(histories, place):
    return histories.behaviours[place] != RETURN


@st.composite
def counted(draw):
    """Histories, a training stop, a later stop of what users are known by."""
    histories = draw(drawn_histories())
    split = draw(drawn_split(histories))
    return histories, split.train_stop, split.validation_stop


def slow_counts(histories, stop):
    """How often each user met each item. {user: {item: times}}."""
    counts = {}
    for user, (start, _) in enumerate(spans(histories)):
        counts[user] = {}
        for item in histories.items[start : stop[user]].tolist():
            counts[user][item] = counts[user].get(item, 0) + 1
    return counts


@BRIEF
@given(counted())
def test_popularity_and_own_history_are_those_of_a_loop(case):
    histories, train, known = case
    fast = interactions(histories, train, 7), interactions(histories, known, 7)
    counts, seen = slow_counts(histories, train), slow_counts(histories, known)
    users = np.arange(histories.users)
    popular = [sum(item in counts[user] for user in counts) for item in range(7)]
    assert popularity(fast[0])(users).tolist() == [popular] * histories.users
    own = own_history(*fast)(users)
    for user in counts:
        expected = [
            seen[user].get(item, 0) + popular[item] / (max(popular) + 1) for item in range(7)
        ]
        np.testing.assert_allclose(own[user], expected, rtol=1e-6)


@BRIEF
@given(counted(), st.integers(0, 4), st.sampled_from([0.0, 10.0]))
def test_item_knn_is_that_of_a_loop(case, neighbours, shrinkage):
    histories, train, known = case
    similarity = item_similarity(
        interactions(histories, train, 7), neighbours=neighbours, shrinkage=shrinkage
    )
    scorer = item_knn(similarity, interactions(histories, known, 7))
    counts, seen = slow_counts(histories, train), slow_counts(histories, known)
    scores = scorer(np.arange(histories.users))
    for user, row in enumerate(scores):
        expected = np.zeros(7)
        for item in seen[user]:
            expected += slow_neighbours(counts, item, neighbours, shrinkage)
        np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-6)


def slow_neighbours(counts, item, neighbours, shrinkage):
    """Similarities of an item to all others, the best alone (ties at the border stay)."""
    fans = {i: {u for u in counts if i in counts[u]} for i in range(7)}
    values = np.zeros(7)
    for other in set(range(7)) - {item}:
        norm = math.sqrt(len(fans[item])) * math.sqrt(len(fans[other])) + shrinkage + 1e-9
        values[other] = len(fans[item] & fans[other]) / norm
    if neighbours:
        worst = sorted(values)[-neighbours]
        values[values < worst - 1e-7] = 0.0  # the fast one rounds to float32
    return values
