"""Signals computed pair by pair in plain loops: the slow truth that fast ones are held against."""

import itertools
from collections import Counter

import numpy as np

DAY = 86_400.0
FLAT = ("popularity", "repeats")  # item signals that need no times


def events_of(histories, stop, user):
    """(position, item, time) of a user's events before `stop`."""
    positions = range(int(histories.offsets[user]), int(stop[user]))
    return [(p, int(histories.items[p]), int(histories.times[p])) for p in positions]


def slow_item_signals(histories, counted, items):
    """Each item's statistics, one item and one user at a time."""
    users = [events_of(histories, counted, user) for user in range(histories.users)]
    now = max((time for mine in users for *_, time in mine), default=None)
    rows = [_item_row(users, item, now if histories.timed else None) for item in range(items)]
    return {name: np.array([row[name] for row in rows], np.float32) for name in rows[0]}


def _item_row(users, item, now):
    met = [times for mine in users if (times := [t for _, i, t in mine if i == item])]
    events = sum(map(len, met))
    row = {"popularity": np.log1p(len(met)), "repeats": np.log1p(events / max(len(met), 1))}
    if now is None:
        zeros = ("popularity_90d", "popularity_30d", "popularity_7d", "adoption_30d", "adoption_7d")
        return row | dict.fromkeys((*zeros, "last_seen", "first_seen"), 0.0)
    last = [(now - max(times)) / DAY for times in met]
    first = [(now - min(times)) / DAY for times in met]

    def decayed(ages, half_life):
        return np.log1p(sum(0.5 ** (age / half_life) for age in ages))

    return row | {
        "popularity_90d": decayed(last, 90),
        "popularity_30d": decayed(last, 30),
        "popularity_7d": decayed(last, 7),
        "adoption_30d": decayed(first, 30),
        "adoption_7d": decayed(first, 7),
        "last_seen": np.log1p(min(last, default=365.0)),
        "first_seen": np.log1p(max(first, default=0.0)),
    }


def slow_recent(histories, stop, user, items, decay, look_back=50):
    """A user's last events, each weighing `decay` for every one that came after it. (items,)."""
    row = np.zeros(items)
    for age, (_, item, _) in enumerate(reversed(events_of(histories, stop, user))):
        if age < look_back:
            row[item] += decay**age
    return row


def slow_last_moment(histories, stop, user, items, look_back=50):
    """1 for the items of a user's last basket, or of the last event without times. (items,)."""
    row, mine = np.zeros(items), events_of(histories, stop, user)[-look_back:]
    for position, item, time in mine:
        if position == mine[-1][0] or (histories.timed and time == mine[-1][2]):
            row[item] = 1.0
    return row


def slow_known(histories, stop, user, items):
    """1 where a user met an item. (items,)."""
    row = np.zeros(items)
    row[[item for _, item, _ in events_of(histories, stop, user)]] = 1.0
    return row


def slow_transitions(histories, counted, items, shrinkage=10.0):
    """How often a basket with one item is followed by one with another. (items, items)."""
    follows = Counter()
    for user in range(histories.users):
        baskets = _baskets(events_of(histories, counted, user), timed=histories.timed)
        for before, after in itertools.pairwise(baskets):
            follows.update((i, j) for i in before for j in after if i != j)
    table = np.zeros((items, items))
    for (i, j), count in follows.items():
        out = sum(n for (a, _), n in follows.items() if a == i)
        into = sum(n for (_, b), n in follows.items() if b == j)
        table[i, j] = count / (np.sqrt(out * into) + shrinkage)
    return table


def _baskets(mine, *, timed):
    baskets, moment = [], None
    for position, item, time in mine:
        here = time if timed else position
        if here != moment:
            baskets.append(set())
        baskets[-1].add(item)
        moment = here
    return baskets


def slow_cosines(known, shrinkage=10.0):
    """Shrunk cosines of items' user sets. known: (users, items) -> (items, items)."""
    items = known.shape[1]
    table = np.zeros((items, items))
    for i in range(items):
        for j in range(items):
            if i != j:
                both = float(known[:, i] @ known[:, j])
                norms = np.sqrt(known[:, i].sum() * known[:, j].sum())
                table[i, j] = both / (norms + shrinkage + 1e-9)
    return table


def slow_ease(known):
    """Each met item's ridge regression on all the other met ones. (items, items)."""
    items = known.shape[1]
    met = [item for item in range(items) if known[:, item].any()]
    table = np.zeros((items, items))
    if not met:
        return table
    ridge = float(np.clip(10.0 * np.mean([known[:, item].sum() for item in met]), 20.0, 500.0))
    for item in met:
        others = [other for other in met if other != item]
        x = known[:, others]
        gram = x.T @ x + ridge * np.eye(len(others))
        table[others, item] = np.linalg.solve(gram, x.T @ known[:, item])
    return table


def slow_svd(known, factors=48):
    """PureSVD by a dense decomposition, as one matrix from history to scores. (items, items)."""
    weight = 1.0 / np.sqrt(known.sum(axis=0) + 5.0)
    rank = min(factors, min(known.shape) - 1, int(known.any(axis=1).sum()) - 1)
    axes = np.linalg.svd(known * weight, full_matrices=False)[2][: max(rank, 0)]
    return (weight[:, None] * axes.T) @ (axes / weight)


def slow_level(values):
    """Mean 0 and deviation 1 in each row, as far as it varies. (users, items)."""
    return np.array([(row - row.mean()) / (row.std() + 1e-3) for row in values])
